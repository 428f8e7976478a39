"""Mark of a campaign whose images have not all been seen yet: from its creation to the end of its first refresh.

A refresh commits images portion by portion. Until the first one has ended, copies and near duplicates may still be
among the active images, so no image may be picked. The mark outlives an interruption, and the next refresh removes it.
"""

from sqlalchemy import ColumnElement, Connection, exists, select

from minimax_al.campaign.store.schema import settings
from minimax_al.errors import CampaignError

FIRST_LOOK = "first_look"
"""Key of the row of settings that is the mark."""


def first_look_has_ended() -> ColumnElement[bool]:
    """Return SQL for: the first refresh has ended; the database evaluates it once per statement."""
    return ~exists(select(settings.c.key).where(settings.c.key == FIRST_LOOK).correlate(None))


def end_first_look(connection: Connection) -> None:
    """Remove the mark.

    Args:
        connection: Connection in a write transaction.
    """
    connection.execute(settings.delete().where(settings.c.key == FIRST_LOOK))


def has_seen_all(connection: Connection) -> bool:
    """Return whether the first refresh has ended."""
    return bool(connection.execute(select(first_look_has_ended())).scalar_one())


def check_has_seen_all(connection: Connection) -> None:
    """Raise an error if the first refresh has not ended.

    Raises:
        CampaignError: It has not ended.
    """
    if not has_seen_all(connection):
        raise CampaignError(
            "the first look at the images was interrupted, or is still running: 'mal status CAMPAIGN' resumes it; "
            "images can be chosen when it has ended"
        )
