"""Taking turns: one writer at a time among all threads and processes that have the same file open.

SQLite has locks of its own, but its write-ahead log may lose committed transactions when two connections write and
checkpoint in the same instant (the "WAL-reset bug" of versions 3.7.0 to 3.51.2, which Python may be linked with for
years to come). Who waits for a turn before writing is never in that instant. The operating system ends the turn of
a process that dies.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from minimax_al.errors import StoreError

try:
    import fcntl
except ImportError:  # Windows: between processes SQLite's own locks have to do
    fcntl = None  # type: ignore[assignment]

_POLL_SECONDS = 0.005


class Turns:
    """The right to write, handed from one to the next.

    Args:
        path: a file that stands for the right among processes, made when it is first asked for; None where a
            database server sees to that, and threads alone take turns here.
        wait_seconds: how long to wait for it.
    """

    def __init__(self, path: Path | None, wait_seconds: float) -> None:
        self.path = path
        self.wait_seconds = wait_seconds
        self._here = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Has the right inside the block.

        Raises:
            StoreError: somebody else has it for too long, or the file cannot be made.
        """
        deadline = time.monotonic() + self.wait_seconds
        if not self._here.acquire(timeout=self.wait_seconds):
            raise self._too_long()
        try:
            if self.path is None:
                yield
                return
            with self._open(self.path) as file:
                self._lock(file, deadline)
                try:
                    yield
                finally:
                    # Closing would do, were it not for programs started meanwhile: they have the file open too.
                    self._unlock(file)
        finally:
            self._here.release()

    def _open(self, path: Path) -> BinaryIO:
        try:
            return path.open("ab")
        except OSError as error:
            raise StoreError(
                f"the campaign's database cannot be written, as {str(path)!r} cannot: {error.strerror}; "
                "allow writing in the campaign's folder, and see that its disk has room"
            ) from error

    def _lock(self, file: BinaryIO, deadline: float) -> None:
        while fcntl is not None:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise self._too_long() from None
                time.sleep(_POLL_SECONDS)
            else:
                return

    def _unlock(self, file: BinaryIO) -> None:
        if fcntl is not None:
            fcntl.flock(file.fileno(), fcntl.LOCK_UN)

    def _too_long(self) -> StoreError:
        return StoreError(
            f"the campaign's database is locked by another writer for more than {self.wait_seconds:g} seconds "
            f"({'in this process' if self.path is None else str(self.path)}): wait until it has finished, then try "
            "again; nothing was changed"
        )
