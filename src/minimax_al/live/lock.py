"""Lock that keeps two live learners of one campaign apart, whichever servers start them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from minimax_al.errors import CampaignError
from minimax_al.locks import file_lock

LOCK = "learner.lock"
"""Lock file in the campaign folder; its holder learns."""


@contextmanager
def learner_alone(folder: Path, pause: Callable[[], object]) -> Iterator[None]:
    """Hold the right to learn inside the block; wait while another learner holds it.

    Args:
        folder: Campaign folder.
        pause: Function that is called between two attempts, and may wait.

    Raises:
        CampaignError: The folder cannot be written.
    """
    while True:
        with file_lock(folder / LOCK, error=CampaignError) as is_ours:
            if is_ours:
                yield
                return
        pause()
