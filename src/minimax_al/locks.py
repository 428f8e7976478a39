"""Locks between processes: a fair one for short critical sections, and a plain one for long tasks.

The operating system releases both when their holder dies. The fair lock serves waiters in order of arrival, so that a
process that never pauses cannot starve the others.
"""

import itertools
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

from minimax_al.errors import MinimaxALError

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    def try_lock(handle: int) -> bool:
        """Return whether the first byte of an open file is locked now; never wait."""
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True

    def _unlock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]

else:

    def try_lock(handle: int) -> bool:
        """Return whether an open file is locked now; never wait."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)


_POLL_SECONDS = 0.0005
"""Pause of the first waiter between two attempts; a waiter behind it pauses longer."""

_LONGEST_POLL_SECONDS = 0.01

_STALLED_SECONDS = 1.0
"""Time after which others pass a first waiter that leaves a free lock alone: its process may be suspended."""

_HELD = "the lock was not free in time"
_numbers = itertools.count()


@contextmanager
def file_lock(path: Path, wait_seconds: float = 0, *, error: type[MinimaxALError]) -> Iterator[bool]:
    """Hold a lock file inside the block; yield False if another process holds it.

    Args:
        path: Lock file, created with its folder if it does not exist.
        wait_seconds: Time to wait for another holder, in seconds.
        error: Class of the error that is raised when the file cannot be locked.

    Raises:
        MinimaxALError: The file cannot be created or locked; of the class `error`.
    """
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(Timeout):
            lock.acquire(timeout=wait_seconds)
    except OSError as reason:
        raise error(
            f"{str(path)!r} cannot be written ({reason.strerror or reason}): allow writing in its folder, and see that "
            "its disk has room"
        ) from reason
    try:
        yield lock.is_locked
    finally:
        lock.release()


class FairLock:
    """Lock between threads and processes that serves waiters in order of arrival.

    One lock file gives mutual exclusion. A queue of tickets next to it gives the order: a waiter creates a ticket file
    named after its time of arrival, locks it, and tries the lock file only when no earlier ticket is locked. The ticket
    of a dead process is not locked, and the next waiter removes it. An error in the queue can change the order, but
    never the exclusion.

    Args:
        path: Lock file, created on first use; None locks the threads of this process only.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._threads = _ThreadQueue()

    @contextmanager
    def held(self, wait_seconds: float) -> Iterator[None]:
        """Hold the lock inside the block.

        Args:
            wait_seconds: Longest time to wait, in seconds.

        Raises:
            TimeoutError: The lock was not free within that time.
            OSError: The lock file cannot be created or locked.
        """
        deadline = time.monotonic() + wait_seconds
        with self._threads.held(deadline):
            if self.path is None:
                yield
                return
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                _take(handle, Path(f"{self.path}.queue"), deadline)
                try:
                    yield
                finally:
                    # Closing is not enough: a forked process may share the open file.
                    _unlock(handle)
            finally:
                os.close(handle)


class _ThreadQueue:
    """Lock between threads that passes from one waiter to the next in order of arrival.

    `threading.Lock` is not fair: a thread that releases it and takes it again at once keeps it.
    """

    def __init__(self) -> None:
        self._mutex = Lock()
        self._owner: Lock | None = None
        self._waiting: deque[Lock] = deque()

    @contextmanager
    def held(self, deadline: float) -> Iterator[None]:
        """Hold the lock inside the block; raise TimeoutError after `deadline` (of `time.monotonic`)."""
        turn = Lock()
        turn.acquire()  # the former owner releases it
        try:
            with self._mutex:
                waits = self._owner is not None
                if waits:
                    self._waiting.append(turn)
                else:
                    self._owner = turn
            if waits and not turn.acquire(timeout=max(0.0, deadline - time.monotonic())) and not self._is_owner(turn):
                raise TimeoutError(_HELD)
            yield
        finally:  # Ctrl+C may end the wait at any step
            self._end(turn)

    def _is_owner(self, turn: Lock) -> bool:
        """Return whether the lock was handed over; otherwise leave the queue."""
        with self._mutex:
            if self._owner is not turn:
                self._waiting.remove(turn)
            return self._owner is turn

    def _end(self, turn: Lock) -> None:
        """Hand the lock over to the next waiter, or leave the queue."""
        with self._mutex:
            if self._owner is turn:
                self._owner = self._waiting.popleft() if self._waiting else None
                if self._owner is not None:
                    self._owner.release()
            elif turn in self._waiting:
                self._waiting.remove(turn)


def _take(handle: int, queue: Path, deadline: float) -> None:
    """Lock an open file after all earlier waiters have had it."""
    if not _names(queue) and try_lock(handle):
        return
    with _ticket(queue) as mine:
        first = _FirstWaiter()
        while True:
            earlier = _earlier(queue, mine)
            if (not earlier or first.is_stalled(earlier[0], handle)) and try_lock(handle):
                return
            if time.monotonic() >= deadline:
                raise TimeoutError(_HELD)
            time.sleep(min(_POLL_SECONDS * (1 + 2 * len(earlier)), _LONGEST_POLL_SECONDS))


class _FirstWaiter:
    """Observation of the first waiter by a later one, which passes it only if it leaves a free lock alone."""

    def __init__(self) -> None:
        self._ticket = ""
        self._since = time.monotonic()
        self._was_free = False

    def is_stalled(self, ticket: str, handle: int) -> bool:
        """Return whether the lock was free twice, `_STALLED_SECONDS` apart, and the first waiter did not take it.

        Args:
            ticket: Ticket of the first waiter.
            handle: Open lock file. The waiter's attempt may meet this one; it repeats its own within milliseconds.
        """
        now = time.monotonic()
        if ticket != self._ticket:
            self._ticket, self._since, self._was_free = ticket, now, False
        if now - self._since <= _STALLED_SECONDS:
            return False
        was_free, self._was_free, self._since = self._was_free, try_lock(handle), now
        if self._was_free:
            _unlock(handle)
        return was_free and self._was_free


@contextmanager
def _ticket(queue: Path) -> Iterator[str]:
    """Keep a locked ticket in the queue inside the block; yield its name.

    Where no ticket can be created (the folder is read-only, the disk is full), the name is empty, which sorts before
    all others: this waiter then tries the lock without order.
    """
    with _created_ticket(queue) or nullcontext("") as name:
        yield name


def _created_ticket(queue: Path) -> "_Ticket | None":
    # The monotonic clock is the same for all processes of a machine, and does not jump.
    arrival = f"{time.monotonic_ns():020d}-{os.getpid()}"
    try:
        queue.mkdir(exist_ok=True)
        while True:
            ticket = _Ticket(queue / f"{arrival}-{next(_numbers)}")
            if ticket.is_valid:
                return ticket
            ticket.remove()
    except OSError:
        return None


class _Ticket:
    """Locked file of one waiter; a context manager that yields its name and removes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        # A waiter that finds the new ticket before it is locked takes it for a dead one, and removes it.
        self.is_valid = try_lock(self._handle) and self._path.exists()

    def __enter__(self) -> str:
        return self._path.name

    def __exit__(self, *error: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Unlock and delete the file."""
        with suppress(OSError):
            _unlock(self._handle)
        os.close(self._handle)
        with suppress(OSError):
            self._path.unlink()


def _names(queue: Path) -> list[str]:
    """Return the names of all tickets, in order of arrival."""
    try:
        return sorted(os.listdir(queue))  # noqa: PTH208 - names alone, and quickly
    except OSError:
        return []


def _earlier(queue: Path, mine: str) -> list[str]:
    """Return the names of earlier tickets, the first of which is alive; remove dead ones before it."""
    earlier = [name for name in _names(queue) if name < mine]
    while earlier and _is_dead(queue / earlier[0]):
        with suppress(OSError):
            (queue / earlier[0]).unlink()  # Windows deletes no open file
        del earlier[0]
    return earlier


def _is_dead(ticket: Path) -> bool:
    """Return whether the process that created a ticket waits no longer; remove its ticket."""
    try:
        handle = os.open(ticket, os.O_RDWR)
    except FileNotFoundError:
        return True
    except OSError:  # of another user
        return False
    try:
        if not try_lock(handle):
            return False
        with suppress(OSError):
            ticket.unlink()  # while it is locked: an owner that has only just created it sees that, and creates another
        return True
    finally:
        os.close(handle)
