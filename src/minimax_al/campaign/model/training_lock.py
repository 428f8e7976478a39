"""One training at a time on a campaign, whoever asked for it: a command, a program, or the labelling page."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from minimax_al.errors import CampaignError

LOCK = "training.lock"
"""A file in the campaign's folder; who has it locked trains. The operating system lets go for a process that dies."""


@contextmanager
def training_alone(folder: Path) -> Iterator[None]:
    """Has the right to train inside the block.

    Args:
        folder: of the campaign.

    Raises:
        CampaignError: somebody else has it, or the folder cannot be written.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise CampaignError(
            f"another training runs on the campaign {str(folder)!r}: wait until it has ended, then try again"
        ) from None
    except OSError as error:
        raise CampaignError(
            f"{str(folder / LOCK)!r} cannot be written ({error.strerror or error}): allow writing in the campaign's "
            "folder, and see that its disk has room"
        ) from error
    try:
        yield
    finally:
        lock.release()
