"""One process at a time in a folder, on one machine or on several that share it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from minimax_al.errors import ResultsError

LOCK = "lock"
"""A file in the folder. The operating system gives the lock back when its holder ends, however it ends."""


@contextmanager
def locked(folder: Path, wait_seconds: float = 0) -> Iterator[bool]:
    """Whether the folder is ours inside the block; False where another process has it.

    Args:
        folder: made where it is not there.
        wait_seconds: how long to wait for another process.

    Raises:
        ResultsError: the folder cannot be written.
    """
    lock = FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=wait_seconds)
    except Timeout:
        pass
    except OSError as error:
        raise ResultsError(
            f"{str(folder / LOCK)!r} cannot be written ({error.strerror or error}): allow writing in the folder, and "
            "see that its disk has room"
        ) from error
    try:
        yield lock.is_locked
    finally:
        lock.release()
