"""Lock that keeps two trainings of one campaign apart, whether a command, a program, or the page starts them."""

from collections.abc import Iterator
from contextlib import contextmanager

from minimax_al.campaign.context import CampaignContext
from minimax_al.errors import CampaignError

LOCK = "training.lock"
"""Lock file in the campaign folder, or the name of the lock in PostgreSQL; its holder trains."""


@contextmanager
def training_alone(context: CampaignContext) -> Iterator[None]:
    """Hold the right to train inside the block; in PostgreSQL, against processes on other machines too.

    Args:
        context: Campaign.

    Raises:
        CampaignError: Another training runs, or the folder cannot be written.
    """
    with context.alone(LOCK) as is_ours:
        if not is_ours:
            raise CampaignError(
                f"another training runs on the campaign {str(context.folder)!r}: wait until it has ended, then try "
                "again"
            )
        yield
