"""Lock that keeps two trainings of one campaign apart, whether a command, a program, or the page starts them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minimax_al.errors import CampaignError
from minimax_al.locks import file_lock

LOCK = "training.lock"
"""Lock file in the campaign folder; its holder trains."""


@contextmanager
def training_alone(folder: Path) -> Iterator[None]:
    """Hold the right to train inside the block.

    Args:
        folder: Campaign folder.

    Raises:
        CampaignError: Another training runs, or the folder cannot be written.
    """
    with file_lock(folder / LOCK, error=CampaignError) as is_ours:
        if not is_ours:
            raise CampaignError(
                f"another training runs on the campaign {str(folder)!r}: wait until it has ended, then try again"
            )
        yield
