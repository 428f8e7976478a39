BEGIN TRANSACTION;
CREATE TABLE classes (
	id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (position), 
	UNIQUE (name)
);
INSERT INTO "classes" VALUES(1,0,'cat');
INSERT INTO "classes" VALUES(2,1,'dog');
CREATE TABLE items (
	id INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	reason TEXT, 
	duplicate_of INTEGER, 
	content_hash VARCHAR(64), 
	perceptual_hash VARCHAR(32), 
	width INTEGER, 
	height INTEGER, 
	size_bytes BIGINT NOT NULL, 
	modified_ns BIGINT NOT NULL, 
	added_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT items_status_is_known CHECK (status IN ('new', 'active', 'duplicate', 'set-aside', 'missing', 'changed')), 
	UNIQUE (path), 
	FOREIGN KEY(duplicate_of) REFERENCES items (id)
);
INSERT INTO "items" VALUES(1,'0.png','active',NULL,NULL,'1f6a0ff3e743c3a92e9089260a80c43deaf64d211353e36f2074111463131b44','a02366518590c6d183e6a95600c8330d',8,8,268,1795380183547810339,1767312002000000);
INSERT INTO "items" VALUES(2,'1.png','active',NULL,NULL,'f881d69d7b19d5011985df0f4fafb3d3af49f128eeb2e9402cf101c32a71604e','35c242272172b162320507f80002dda2',8,8,268,1795380183548179438,1767312002000000);
INSERT INTO "items" VALUES(3,'2.png','active',NULL,NULL,'d10d3b8dd93e1946317af42397768df3a265d47ffb54e179cdd0cc50d3550701','6227a651c6731354d7caad32009dc036',8,8,268,1795380183548375069,1767312002000000);
INSERT INTO "items" VALUES(4,'3.png','missing',NULL,NULL,'f9d7e2a27908479f2f26fe8f400bd06aacbb6aeb034cf9f5f7614455bb9e4317','229373e6261473a409b656db00ec1b74',8,8,268,1795380183548554946,1767312002000000);
INSERT INTO "items" VALUES(5,'4.png','active',NULL,NULL,'02ff7e3bcf1105b99750a4f67efb22d8c4916bb3e8f9340a99c6551aef3f264b','969290f56695a295887e1593006cd064',8,8,268,1795380183548776306,1767312002000000);
INSERT INTO "items" VALUES(6,'5.png','active',NULL,NULL,'2e764ef3d7c725684be828cfa1118d87a4bb462d956040bcceac97615c732c93','a5a4c644d1b6a18408ae34e9001ebde4',8,8,268,1795380183548967610,1767312002000000);
CREATE TABLE labels (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	item_id INTEGER NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	class_id INTEGER, 
	mask VARCHAR(64), 
	author TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	round_id INTEGER, 
	undoes INTEGER, 
	CONSTRAINT labels_kind_is_known CHECK (kind IN ('label', 'skip', 'unsure', 'undo')), 
	CONSTRAINT labels_undo_names_its_row CHECK ((kind = 'undo') = (undoes IS NOT NULL)), 
	CONSTRAINT labels_label_has_an_answer CHECK ((kind = 'label') = (class_id IS NOT NULL OR mask IS NOT NULL)), 
	FOREIGN KEY(item_id) REFERENCES items (id), 
	FOREIGN KEY(class_id) REFERENCES classes (id), 
	FOREIGN KEY(round_id) REFERENCES rounds (id), 
	UNIQUE (undoes), 
	FOREIGN KEY(undoes) REFERENCES labels (id)
);
INSERT INTO "labels" VALUES(1,2,'label',1,NULL,'ann',1767312004000000,1,NULL);
INSERT INTO "labels" VALUES(2,5,'skip',NULL,NULL,'ann',1767312005000000,1,NULL);
INSERT INTO "labels" VALUES(3,3,'label',2,NULL,'bob',1767312009000000,2,NULL);
INSERT INTO "labels" VALUES(4,3,'label',1,NULL,'ann',1767312010000000,2,NULL);
INSERT INTO "labels" VALUES(5,3,'undo',NULL,NULL,'ann',1767312011000000,2,4);
INSERT INTO "labels" VALUES(6,1,'unsure',NULL,NULL,'bob',1767312012000000,2,NULL);
INSERT INTO "labels" VALUES(7,5,'skip',NULL,NULL,'bob',1767312013000000,2,NULL);
INSERT INTO "labels" VALUES(8,5,'undo',NULL,NULL,'bob',1767312014000000,2,7);
CREATE TABLE picks (
	id INTEGER NOT NULL, 
	round_id INTEGER NOT NULL, 
	item_id INTEGER NOT NULL, 
	rank INTEGER NOT NULL, 
	scores JSON NOT NULL, 
	reason TEXT NOT NULL, 
	at_random BOOLEAN NOT NULL, 
	suggestion INTEGER, 
	confidence FLOAT, 
	lease_holder TEXT, 
	lease_until BIGINT, 
	PRIMARY KEY (id), 
	CONSTRAINT picks_name_a_picture_once UNIQUE (round_id, item_id), 
	CONSTRAINT picks_have_a_rank_each UNIQUE (round_id, rank), 
	FOREIGN KEY(round_id) REFERENCES rounds (id), 
	FOREIGN KEY(item_id) REFERENCES items (id), 
	FOREIGN KEY(suggestion) REFERENCES classes (id)
);
INSERT INTO "picks" VALUES(1,1,2,0,'{}','drawn at random: no picture has a label yet',1,NULL,NULL,NULL,NULL);
INSERT INTO "picks" VALUES(2,1,5,1,'{}','drawn at random: no picture has a label yet',1,NULL,NULL,NULL,NULL);
INSERT INTO "picks" VALUES(3,1,4,2,'{}','drawn at random: no picture has a label yet',1,NULL,NULL,NULL,NULL);
INSERT INTO "picks" VALUES(4,2,6,0,'{}','drawn at random',1,NULL,NULL,'ann',1767312608000000);
INSERT INTO "picks" VALUES(5,2,4,1,'{}','drawn at random',1,NULL,NULL,'ann',1767312608000000);
INSERT INTO "picks" VALUES(6,2,3,2,'{}','drawn at random',1,NULL,NULL,NULL,NULL);
INSERT INTO "picks" VALUES(7,2,1,3,'{}','drawn at random',1,NULL,NULL,NULL,NULL);
INSERT INTO "picks" VALUES(8,2,5,4,'{}','drawn at random',1,NULL,NULL,NULL,NULL);
CREATE TABLE rounds (
	id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	budget INTEGER NOT NULL, 
	strategy TEXT NOT NULL, 
	random_share FLOAT NOT NULL, 
	seed BIGINT NOT NULL, 
	run_id INTEGER, 
	opened_at BIGINT NOT NULL, 
	closed_at BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE (number), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "rounds" VALUES(1,1,3,'random',0.0,0,NULL,1767312003000000,1767312006000000);
INSERT INTO "rounds" VALUES(2,2,5,'random',0.0,0,NULL,1767312007000000,NULL);
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	strategy TEXT NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	labels INTEGER NOT NULL, 
	held_out INTEGER NOT NULL, 
	metrics JSON NOT NULL, 
	message TEXT, 
	started_at BIGINT NOT NULL, 
	finished_at BIGINT, 
	PRIMARY KEY (id), 
	CONSTRAINT runs_state_is_known CHECK (state IN ('running', 'done', 'failed'))
);
CREATE TABLE schema_version (
	version INTEGER NOT NULL
);
INSERT INTO "schema_version" VALUES(1);
CREATE TABLE settings (
	"key" VARCHAR(64) NOT NULL, 
	value JSON NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "settings" VALUES('settings','{"images": "/nowhere/pictures", "task": "classification", "strategy": "mal", "seed": 0, "validation_share": 0.2, "near_duplicate_bits": null, "lease_seconds": 600, "stored_size": 256, "worthwhile_gain": 0.005, "recipe": {"augmentation": {"flip": true, "crop": 224}, "missing_classes": "warn"}}');
INSERT INTO "settings" VALUES('created_at','"2026-01-02T00:00:01+00:00"');
CREATE TABLE validation (
	item_id INTEGER NOT NULL, 
	stratum INTEGER NOT NULL, 
	held_out BOOLEAN NOT NULL, 
	PRIMARY KEY (item_id), 
	FOREIGN KEY(item_id) REFERENCES items (id)
);
INSERT INTO "validation" VALUES(2,1,0);
INSERT INTO "validation" VALUES(3,2,0);
CREATE INDEX items_by_representative ON items (duplicate_of);
CREATE INDEX items_by_status ON items (status);
CREATE INDEX items_by_content ON items (content_hash);
CREATE INDEX ix_validation_stratum ON validation (stratum);
CREATE INDEX ix_picks_item_id ON picks (item_id);
CREATE INDEX labels_by_author ON labels (author, id);
CREATE INDEX ix_labels_item_id ON labels (item_id);
CREATE TRIGGER labels_are_not_UPDATEd BEFORE UPDATE ON labels
BEGIN SELECT RAISE(ABORT, 'labels are history: add a row'); END;
CREATE TRIGGER labels_are_not_DELETEd BEFORE DELETE ON labels
BEGIN SELECT RAISE(ABORT, 'labels are history: add a row'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('labels',8);
COMMIT;
