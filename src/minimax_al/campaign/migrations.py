"""Bringing an older database to the current schema: forward only, each step in one transaction.

A step that is interrupted leaves the version before it. A database of a newer version is left as it is.
"""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, inspect, select, update

from minimax_al.campaign.schema import metadata, schema_version
from minimax_al.campaign.store import Store
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


FIRST_VERSION = 1
MIGRATIONS: tuple[Migration, ...] = ()
"""All steps, in order. The first release's tables are version 1."""


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
