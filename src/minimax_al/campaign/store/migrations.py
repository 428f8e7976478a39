"""Migrations of older databases to the current schema: forward only, each step in one transaction.

An interrupted step leaves the version before it. A database of a newer version is not changed.
"""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, inspect, select, text, update

from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.image_counts import FILL, POSTGRESQL_TRIGGERS, SQLITE_TRIGGERS
from minimax_al.campaign.store.schema import metadata, schema_version
from minimax_al.errors import CampaignError

logger = logging.getLogger(__name__)


class Migration(NamedTuple):
    """Step of the schema.

    Attributes:
        version: Version after the step; it applies to the version before.
        change: Description for the log.
        apply: Function that changes the tables, in the caller's transaction.
    """

    version: int
    change: str
    apply: Callable[[Connection], None]


def _run(*statements: str) -> Callable[[Connection], None]:
    """Return a step that executes statements in order.

    Args:
        statements: SQL; `{is_true}` is the condition that a Boolean column is true, as partial indexes need it.
    """

    def apply(connection: Connection) -> None:
        # SQLite has no Boolean type, and uses a partial index only for a condition in the same words.
        is_true = "= 1" if connection.dialect.name == "sqlite" else ""
        for statement in statements:
            connection.execute(text(statement.format(is_true=is_true)))

    return apply


def _add_image_counts(connection: Connection) -> None:
    triggers = SQLITE_TRIGGERS if connection.dialect.name == "sqlite" else POSTGRESQL_TRIGGERS
    table = "CREATE TABLE image_counts (status VARCHAR(16) NOT NULL PRIMARY KEY, images BIGINT NOT NULL)"
    for statement in (table, FILL, *triggers):
        connection.execute(text(statement))


def _compare_masks(connection: Connection) -> None:
    serial = "SERIAL" if connection.dialect.name == "postgresql" else "INTEGER"
    columns = f"id {serial} NOT NULL PRIMARY KEY, last_label INTEGER NOT NULL, numbers JSON NOT NULL"
    table = f"CREATE TABLE renumberings ({columns})"
    for statement in ("ALTER TABLE second_opinions ADD COLUMN pixels JSON", table):
        connection.execute(text(statement))


FIRST_VERSION = 1
MIGRATIONS = (
    Migration(
        2,
        "picks store whether they wait",
        _run(
            "ALTER TABLE picks ADD COLUMN waits BOOLEAN DEFAULT false NOT NULL",
            "ALTER TABLE rounds ADD COLUMN waiting INTEGER DEFAULT '0' NOT NULL",
            "CREATE INDEX labels_by_item ON labels (item_id, id)",
            "DROP INDEX ix_labels_item_id",
            """
            UPDATE picks SET waits = true
            WHERE item_id IN (SELECT id FROM items WHERE status = 'active') AND NOT EXISTS (
                SELECT 1 FROM labels answer
                WHERE answer.item_id = picks.item_id
                AND (answer.kind IN ('label', 'unsure') OR answer.kind = 'skip' AND answer.round_id = picks.round_id)
                AND NOT EXISTS (SELECT 1 FROM labels undone WHERE undone.undoes = answer.id)
            )
            """,
            "UPDATE rounds SET waiting = (SELECT count(*) FROM picks WHERE picks.round_id = rounds.id AND picks.waits)",
            "CREATE INDEX picks_free ON picks (round_id, rank) WHERE waits {is_true} AND lease_holder IS NULL",
            "CREATE INDEX picks_held ON picks (round_id, lease_holder) WHERE waits {is_true} "
            "AND lease_holder IS NOT NULL",
        ),
    ),
    Migration(
        3,
        "a changed image stores the last label of its former content",
        _run(
            "ALTER TABLE items ADD COLUMN changed_after INTEGER",
            "UPDATE items SET changed_after = (SELECT max(id) FROM labels) WHERE status = 'changed'",
        ),
    ),
    Migration(
        4,
        "idempotency keys survive a restart",
        _run(
            """
            CREATE TABLE requests (
                author TEXT NOT NULL, word TEXT NOT NULL, at BIGINT NOT NULL, result JSON NOT NULL,
                PRIMARY KEY (author, word)
            )
            """,
            "CREATE INDEX ix_requests_at ON requests (at)",
        ),
    ),
    Migration(5, "a run stores the last label that it used", _run("ALTER TABLE runs ADD COLUMN last_label INTEGER")),
    Migration(
        6,
        "idempotency keys store a digest of the request",
        _run("ALTER TABLE requests ADD COLUMN asked VARCHAR(64)"),
    ),
    Migration(
        7,
        "leases store their browser and start, idempotency keys their order",
        _run(
            "ALTER TABLE picks ADD COLUMN lease_session TEXT",
            "ALTER TABLE picks ADD COLUMN lease_from BIGINT",
            # Their start is unknown; open pages lease again.
            "UPDATE picks SET lease_holder = NULL, lease_until = NULL WHERE lease_until IS NOT NULL",
            "ALTER TABLE requests ADD COLUMN number BIGINT DEFAULT '0' NOT NULL",
            "CREATE INDEX ix_requests_number ON requests (number)",
        ),
    ),
    Migration(
        8,
        "a file that has its labelled content back keeps its label",
        _run("ALTER TABLE items ADD COLUMN labelled_hash VARCHAR(64)"),
    ),
    Migration(9, "labels record their origin", _run("ALTER TABLE labels ADD COLUMN origin VARCHAR(16)")),
    Migration(
        10,
        "images keep the further columns of their manifest",
        _run("ALTER TABLE items ADD COLUMN attributes JSON"),
    ),
    Migration(
        11,
        "images can have a second opinion",
        _run(
            """
            CREATE TABLE second_opinions (
                item_id INTEGER NOT NULL PRIMARY KEY REFERENCES items (id),
                reason VARCHAR(8) NOT NULL, state VARCHAR(8) NOT NULL,
                first_label INTEGER NOT NULL REFERENCES labels (id),
                second_label INTEGER REFERENCES labels (id), decision INTEGER REFERENCES labels (id),
                lease_holder TEXT, lease_session TEXT, lease_from BIGINT, lease_until BIGINT,
                CONSTRAINT second_opinions_reason_is_known CHECK (reason IN ('overlap', 'unsure')),
                CONSTRAINT second_opinions_state_is_known CHECK (state IN ('waits', 'agreed', 'conflict', 'decided'))
            )
            """,
            "CREATE INDEX ix_second_opinions_state ON second_opinions (state)",
        ),
    ),
    Migration(12, "the database keeps the number of images by status", _add_image_counts),
    Migration(13, "masks of two annotators are compared, changes of class numbers recorded", _compare_masks),
    Migration(
        14,
        "answers that a change of classes rewrites keep their author",
        _run(
            "ALTER TABLE labels ADD COLUMN rewrites INTEGER",
            "CREATE INDEX labels_by_rewritten ON labels (rewrites) WHERE rewrites IS NOT NULL",
        ),
    ),
)
"""All steps, in order."""


def latest_version(migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Return the version that this program writes."""
    return max([FIRST_VERSION, *(step.version for step in migrations)])


def create_tables(connection: Connection) -> None:
    """Make all tables of the current version in an empty database."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(text(FILL))
    connection.execute(schema_version.insert().values(version=latest_version()))


def version_of(connection: Connection) -> int | None:
    """Return the version of the database; None if it has no tables yet."""
    if not inspect(connection).has_table(schema_version.name):
        return None
    version: int = connection.execute(select(schema_version.c.version)).scalar_one()
    return version


def migrate(store: Store, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Apply every step that the database lacks.

    Args:
        store: Database of the campaign.
        migrations: Steps.

    Returns:
        The version of the database after the steps.

    Raises:
        CampaignError: The database holds no campaign, or one of a newer version.
    """
    version = _checked_version(store, migrations)
    for step in sorted(migrations):
        if step.version <= version:
            continue
        with store.writing() as connection:
            # Another process may have applied the step while this one waited for the lock.
            if version_of(connection) != step.version - 1:
                continue
            step.apply(connection)
            connection.execute(update(schema_version).values(version=step.version))
        logger.info("%s: schema version %d: %s", store.where, step.version, step.change)
    return _checked_version(store, migrations)


def _checked_version(store: Store, migrations: Sequence[Migration]) -> int:
    with store.reading() as connection:
        version = version_of(connection)
    if version is None:
        raise CampaignError(f"{store.where} holds no campaign: its creation was interrupted; create it again")
    if version > latest_version(migrations):
        raise CampaignError(
            f"{store.where} has schema version {version}, and this minimax-al knows versions up to "
            f"{latest_version(migrations)}: upgrade minimax-al (nothing was changed)"
        )
    return version
