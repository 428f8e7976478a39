"""Tables of a campaign's database, at the current version.

Labels are history: the database refuses to change or delete a row, and the current labels are derived from the rows.
A change of these tables needs a step in `migrations`.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    false,
)
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcTime(TypeDecorator[datetime]):
    """Time as whole microseconds since 1970 in UTC: the same on every database, and comparable."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Convert a time for the database."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Convert a value of the database to a time."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

settings = Table(
    "settings",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
)

classes = Table(
    "classes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("position", Integer, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
)

USABLE = ("active", "duplicate")
"""Status of images whose labels training and validation use."""

items = Table(
    "items",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", Text, nullable=False, unique=True, comment="relative to the images' folder, forward slashes"),
    Column("status", String(16), nullable=False),
    Column("reason", Text, comment="why it is set aside"),
    Column("duplicate_of", ForeignKey("items.id"), comment="image that represents it"),
    Column("content_hash", String(64), comment="sha256 of the file"),
    Column("perceptual_hash", String(32), comment="128 bits, hexadecimal; empty for an image without structure"),
    Column("width", Integer, comment="upright"),
    Column("height", Integer),
    Column("size_bytes", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("added_at", UtcTime, nullable=False),
    Column("changed_after", Integer, comment="last of `labels` about the file's former content"),
    Column("labelled_hash", String(64), comment="content that the label is of, where the file has other content now"),
    Column("attributes", JSON(none_as_null=True), comment="further columns of the manifest, as text"),
    CheckConstraint(
        "status IN ('new', 'active', 'duplicate', 'set-aside', 'missing', 'changed')", name="items_status_is_known"
    ),
    Index("items_by_status", "status"),
    Index("items_by_content", "content_hash"),
    Index("items_by_representative", "duplicate_of"),
)

image_counts = Table(
    "image_counts",
    metadata,
    Column("status", String(16), primary_key=True),
    Column("images", BigInteger, nullable=False, comment="kept by triggers; see `image_counts`"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("strategy", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False, comment="hash of everything that the training depends on"),
    Column("labels", Integer, nullable=False, comment="number of labels trained on"),
    Column("held_out", Integer, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("message", Text, comment="why it failed"),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("last_label", Integer, comment="last of `labels` that it used; empty in older versions"),
    CheckConstraint("state IN ('running', 'done', 'failed')", name="runs_state_is_known"),
)

rounds = Table(
    "rounds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("budget", Integer, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("random_share", Float, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("run_id", ForeignKey("runs.id"), comment="run of the model that chose; empty without a model"),
    Column("opened_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    Column("waiting", Integer, nullable=False, server_default="0", comment="number of its waiting picks"),
)

picks = Table(
    "picks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("round_id", ForeignKey("rounds.id"), nullable=False),
    Column("item_id", ForeignKey("items.id"), nullable=False, index=True),
    Column("rank", Integer, nullable=False),
    Column("scores", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_random", Boolean, nullable=False),
    Column("suggestion", ForeignKey("classes.id")),
    Column("confidence", Float),
    Column("lease_holder", Text),
    Column("lease_until", UtcTime, comment="empty where it is lent to another tool"),
    Column("waits", Boolean, nullable=False, server_default=false(), comment="see `waiting`"),
    Column("lease_session", Text, comment="browser of the holder; empty for a program"),
    Column("lease_from", UtcTime, comment="when it was granted or renewed"),
    UniqueConstraint("round_id", "item_id", name="picks_name_a_picture_once"),
    UniqueConstraint("round_id", "rank", name="picks_have_a_rank_each"),
)

_free = picks.c.waits & picks.c.lease_holder.is_(None)
_held = picks.c.waits & picks.c.lease_holder.is_not(None)
Index("picks_free", picks.c.round_id, picks.c.rank, sqlite_where=_free, postgresql_where=_free)
Index("picks_held", picks.c.round_id, picks.c.lease_holder, sqlite_where=_held, postgresql_where=_held)

labels = Table(
    "labels",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item_id", ForeignKey("items.id"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("class_id", ForeignKey("classes.id")),
    Column("mask", String(64), comment="sha256 of the mask's file"),
    Column("author", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("round_id", ForeignKey("rounds.id"), comment="round that picked the image; empty if none did"),
    Column("undoes", ForeignKey("labels.id"), unique=True),
    Column("origin", String(16), comment="how it came; empty in older versions"),
    Column("rewrites", Integer, comment="answer that a change of classes wrote anew as this row"),
    CheckConstraint("kind IN ('label', 'skip', 'unsure', 'undo')", name="labels_kind_is_known"),
    CheckConstraint("(kind = 'undo') = (undoes IS NOT NULL)", name="labels_undo_names_its_row"),
    CheckConstraint("(kind = 'label') = (class_id IS NOT NULL OR mask IS NOT NULL)", name="labels_label_has_an_answer"),
    Index("labels_by_author", "author", "id"),
    Index("labels_by_item", "item_id", "id"),
    sqlite_autoincrement=True,
)
_is_rewritten = labels.c.rewrites.is_not(None)
Index("labels_by_rewritten", labels.c.rewrites, sqlite_where=_is_rewritten, postgresql_where=_is_rewritten)

validation = Table(
    "validation",
    metadata,
    Column("item_id", ForeignKey("items.id"), primary_key=True, autoincrement=False),
    Column("stratum", Integer, nullable=False, index=True, comment="class id of its first label; 0 for masks"),
    Column("held_out", Boolean, nullable=False),
)

second_opinions = Table(
    "second_opinions",
    metadata,
    Column("item_id", ForeignKey("items.id"), primary_key=True, autoincrement=False),
    Column("reason", String(8), nullable=False),
    Column("state", String(8), nullable=False, index=True),
    Column("first_label", ForeignKey("labels.id"), key="first", nullable=False, comment="first answer"),
    Column("second_label", ForeignKey("labels.id"), key="second", comment="independent answer of another author"),
    Column("decision", ForeignKey("labels.id"), comment="answer that decides a conflict"),
    Column("lease_holder", Text),
    Column("lease_session", Text),
    Column("lease_from", UtcTime),
    Column("lease_until", UtcTime),
    Column("pixels", JSON(none_as_null=True), comment="pixels of both masks by their classes, see `mask_opinions`"),
    CheckConstraint("reason IN ('overlap', 'unsure')", name="second_opinions_reason_is_known"),
    CheckConstraint("state IN ('waits', 'agreed', 'conflict', 'decided')", name="second_opinions_state_is_known"),
)

renumberings = Table(
    "renumberings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("last_label", Integer, nullable=False, comment="last of `labels` before the change"),
    Column("numbers", JSON, nullable=False, comment="new class number of each old one, 255 if the class has left"),
)

requests = Table(
    "requests",
    metadata,
    Column("author", Text, primary_key=True),
    Column("word", Text, key="key", primary_key=True, comment="idempotency key, unique per author"),
    Column("at", UtcTime, nullable=False, index=True),
    Column("result", JSON, nullable=False, comment="result of the change"),
    Column("asked", String(64), key="digest", comment="sha256 of the request's body; empty in older versions"),
    Column("number", BigInteger, nullable=False, index=True, server_default="0", comment="order of arrival"),
)

_SQLITE_REFUSES = """
CREATE TRIGGER labels_are_not_{verb}d BEFORE {verb} ON labels
BEGIN SELECT RAISE(ABORT, 'labels are history: add a row'); END
"""
_POSTGRESQL_REFUSES = """
CREATE FUNCTION labels_are_history() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'labels are history: add a row'; END $$;
CREATE TRIGGER labels_are_history BEFORE UPDATE OR DELETE ON labels
FOR EACH ROW EXECUTE FUNCTION labels_are_history();
"""
for _verb in ("UPDATE", "DELETE"):
    event.listen(labels, "after_create", DDL(_SQLITE_REFUSES.format(verb=_verb)).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
event.listen(labels, "after_create", DDL(_POSTGRESQL_REFUSES).execute_if(dialect="postgresql"))  # type: ignore[no-untyped-call]
