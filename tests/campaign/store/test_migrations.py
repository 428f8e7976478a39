"""Real steps on real content: a campaign of an older version works on, and its tables are those of a new one."""

import sqlite3
from pathlib import Path

from sqlalchemy import inspect, text

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.image_counts import count_by_status
from minimax_al.campaign.store.migrations import latest_version, migrate, version_of
from minimax_al.campaign.store.schema import items, metadata, picks

BACK_TO_1 = (
    "DROP INDEX picks_free",
    "DROP INDEX picks_held",
    "DROP INDEX labels_by_item",
    "CREATE INDEX ix_labels_item_id ON labels (item_id)",
    "ALTER TABLE picks DROP COLUMN waits",
    "ALTER TABLE rounds DROP COLUMN waiting",
    "ALTER TABLE items DROP COLUMN changed_after",
    "ALTER TABLE picks DROP COLUMN lease_session",
    "ALTER TABLE picks DROP COLUMN lease_from",
    "ALTER TABLE items DROP COLUMN labelled_hash",
    "DROP TABLE requests",
    "DROP TABLE second_opinions",
    "DROP TABLE renumberings",
    "ALTER TABLE runs DROP COLUMN last_label",
    "ALTER TABLE labels DROP COLUMN origin",
    "DROP INDEX labels_by_rewritten",
    "ALTER TABLE labels DROP COLUMN rewrites",
    "ALTER TABLE items DROP COLUMN attributes",
    "DROP TABLE image_counts",
    "UPDATE schema_version SET version = 1",
)
WITHOUT_TRIGGERS = {
    True: [f"DROP TRIGGER items_{what}" for what in ("added", "removed", "changed")],
    False: [f"DROP FUNCTION count_items_{what} CASCADE" for what in ("added", "removed", "changed")],
}
"""Statements that remove the triggers of `items`, on SQLite and on PostgreSQL."""


def shape(store):
    """Columns and indexes of every table."""
    with store.reading() as connection:
        seen = inspect(connection)
        return {
            table: (
                [(one["name"], str(one["type"]), one["nullable"]) for one in seen.get_columns(table)],
                sorted((one["name"], one["column_names"], bool(one["unique"])) for one in seen.get_indexes(table)),
            )
            for table in metadata.tables
        }


def waiting(campaign):
    """(whether each pick waits, how many do in each round)."""
    with campaign.store.reading() as connection:
        rows = connection.execute(picks.select().order_by(picks.c.id)).all()
    return [row.waits for row in rows], [campaign.round(number).waiting for number in (1, 2)]


def test_a_campaign_of_the_first_version_can_be_used(tmp_path, make_campaign, clock):
    database = sqlite3.connect(tmp_path / "campaign.db")
    database.executescript(Path(__file__).with_name("version_1.sql").read_text())
    database.close()
    campaign = make_campaign.track(Campaign.open(tmp_path, clock=clock))
    assert campaign.labels() == {"1.png": "cat", "2.png": "dog"}
    assert [pick.answer for pick in campaign.picks()] == ["waiting", "waiting", "label", "unsure", "waiting"]
    # Of those that wait, one image is missing; in the first round one was labelled and one skipped.
    assert waiting(campaign) == ([False, False, False, True, False, False, False, True], [0, 2])
    assert [pick.path for pick in campaign.lease("ann", 5).picks] == ["5.png", "4.png"]
    assert shape(campaign.store) == shape(make_campaign(count=2, folder="new").store)


def test_every_step_gives_the_tables_of_a_new_campaign(make_campaign, storage, clock):
    campaign = make_campaign(storage=storage)
    campaign.query(6)
    first, second, third, *_ = campaign.picks()
    campaign.label(first.item, "cat", author="ann")
    campaign.skip(second.item, author="ann")
    campaign.skip(third.item, author="ann")
    campaign.undo("ann")
    campaign.close_round()
    campaign.query(9, "random")
    expected, tables = waiting(campaign), shape(campaign.store)
    with campaign.store.writing() as connection:
        for statement in (*WITHOUT_TRIGGERS[campaign.store.is_sqlite], *BACK_TO_1):
            connection.execute(text(statement))
    assert migrate(campaign.store) == latest_version()
    assert waiting(campaign) == expected
    assert shape(campaign.store) == tables
    with campaign.store.writing() as connection:
        assert version_of(connection) == latest_version()
        connection.execute(items.update().where(items.c.id < 4).values(status="missing"))
        assert count_by_status(connection) == {"active": 9, "missing": 3}
