"""Bringing an older database to the current schema: forward only, each step in one transaction.

A step that is interrupted leaves the version before it. A database of a newer version is left as it is.
"""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, inspect, select, text, update

from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.schema import metadata, schema_version
from minimax_al.errors import CampaignError

logger = logging.getLogger(__name__)


class Migration(NamedTuple):
    """One step of the schema.

    Attributes:
        version: the version that it leads to, from the one before.
        change: what it does, for the log.
        apply: does it; the transaction is not its business.
    """

    version: int
    change: str
    apply: Callable[[Connection], None]


_FILL_WAITS = """
UPDATE picks SET waits = true
WHERE item_id IN (SELECT id FROM items WHERE status = 'active') AND NOT EXISTS (
    SELECT 1 FROM labels said
    WHERE said.item_id = picks.item_id
    AND (said.kind IN ('label', 'unsure') OR said.kind = 'skip' AND said.round_id = picks.round_id)
    AND NOT EXISTS (SELECT 1 FROM labels undone WHERE undone.undoes = said.id)
)
"""


def _picks_say_whether_they_wait(connection: Connection) -> None:
    true = "= 1" if connection.dialect.name == "sqlite" else ""
    for statement in (
        "ALTER TABLE picks ADD COLUMN waits BOOLEAN DEFAULT false NOT NULL",
        "ALTER TABLE rounds ADD COLUMN waiting INTEGER DEFAULT '0' NOT NULL",
        "CREATE INDEX labels_by_item ON labels (item_id, id)",
        "DROP INDEX ix_labels_item_id",
        _FILL_WAITS,
        "UPDATE rounds SET waiting = (SELECT count(*) FROM picks WHERE picks.round_id = rounds.id AND picks.waits)",
        f"CREATE INDEX picks_free ON picks (round_id, rank) WHERE waits {true} AND lease_holder IS NULL",
        f"CREATE INDEX picks_held ON picks (round_id, lease_holder) WHERE waits {true} AND lease_holder IS NOT NULL",
    ):
        connection.execute(text(statement))


def _items_say_what_is_stale(connection: Connection) -> None:
    for statement in (
        "ALTER TABLE items ADD COLUMN changed_after INTEGER",
        "UPDATE items SET changed_after = (SELECT max(id) FROM labels) WHERE status = 'changed'",
    ):
        connection.execute(text(statement))


def _requests_are_known_again(connection: Connection) -> None:
    for statement in (
        """
        CREATE TABLE requests (
            author TEXT NOT NULL, word TEXT NOT NULL, at BIGINT NOT NULL, result JSON NOT NULL,
            PRIMARY KEY (author, word)
        )
        """,
        "CREATE INDEX ix_requests_at ON requests (at)",
    ):
        connection.execute(text(statement))


def _runs_say_what_they_knew(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE runs ADD COLUMN last_label INTEGER"))


def _requests_say_what_was_asked(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE requests ADD COLUMN asked VARCHAR(64)"))


def _leases_know_their_browser(connection: Connection) -> None:
    for statement in (
        "ALTER TABLE picks ADD COLUMN lease_session TEXT",
        "ALTER TABLE picks ADD COLUMN lease_from BIGINT",
        # Nobody knows when they were granted; open pages lease again.
        "UPDATE picks SET lease_holder = NULL, lease_until = NULL WHERE lease_until IS NOT NULL",
        "ALTER TABLE requests ADD COLUMN number BIGINT DEFAULT '0' NOT NULL",
        "CREATE INDEX ix_requests_number ON requests (number)",
    ):
        connection.execute(text(statement))


def _items_remember_the_labelled_content(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE items ADD COLUMN labelled_hash VARCHAR(64)"))


FIRST_VERSION = 1
MIGRATIONS = (
    Migration(2, "a lease looks at a few rows, not at a round", _picks_say_whether_they_wait),
    Migration(3, "a changed image knows which labels are of its former content", _items_say_what_is_stale),
    Migration(4, "a request that comes again is known after a restart, too", _requests_are_known_again),
    Migration(5, "a run knows which labels have come since", _runs_say_what_they_knew),
    Migration(6, "a request that comes again with another wish is refused", _requests_say_what_was_asked),
    Migration(7, "leases know their browser and their beginning, requests their order", _leases_know_their_browser),
    Migration(8, "a file that has its labelled content back keeps its label", _items_remember_the_labelled_content),
)
"""All steps, in order."""


def latest_version(migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """The version that this program writes."""
    return max([FIRST_VERSION, *(step.version for step in migrations)])


def create_tables(connection: Connection) -> None:
    """Make all tables of the current version in an empty database."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(schema_version.insert().values(version=latest_version()))


def version_of(connection: Connection) -> int | None:
    """The version of the database; None where there are no tables yet."""
    if not inspect(connection).has_table(schema_version.name):
        return None
    version: int = connection.execute(select(schema_version.c.version)).scalar_one()
    return version


def migrate(store: Store, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Take every step that the database still lacks.

    Args:
        store: the database.
        migrations: the steps.

    Returns:
        The version that it has now.

    Raises:
        CampaignError: it holds no campaign, or one of a newer version.
    """
    version = _checked_version(store, migrations)
    for step in sorted(migrations):
        if step.version <= version:
            continue
        with store.writing() as connection:
            # Somebody else may have taken the step while we waited for the database.
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
