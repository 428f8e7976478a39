"""Lock that keeps two live learners of one campaign apart, whichever servers start them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from minimax_al.campaign.context import CampaignContext

LOCK = "learner.lock"
"""Lock file in the campaign folder, or the name of the lock in PostgreSQL; its holder learns."""


@contextmanager
def learner_alone(context: CampaignContext, pause: Callable[[], object]) -> Iterator[None]:
    """Hold the right to learn inside the block; wait while another learner holds it.

    Args:
        context: Campaign.
        pause: Function that is called between two attempts, and may wait.

    Raises:
        CampaignError: The folder cannot be written.
    """
    while True:
        with context.alone(LOCK) as is_ours:
            if is_ours:
                yield
                return
        pause()
