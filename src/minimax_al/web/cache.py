"""One reading for everybody who asks while it is fresh."""

import time
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

CHEAP_SECONDS = 0.1
"""A reading that takes less is done whenever somebody asks."""

REUSE = 5.0
"""A reading that takes longer serves for so many times as long."""

T = TypeVar("T")


class SharedReading(Generic[T]):
    """Keeps what many ask for from being read once for each of them.

    A campaign's status takes a second with a million images, and twenty open pages ask for it after every answer.
    With this they take a sixth of one thread at most, whatever their number.

    Args:
        read: what is asked for.
        clock: seconds, ever rising.
    """

    def __init__(self, read: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._lock = Lock()
        self._kept: tuple[Hashable, T] | None = None
        self._fresh_until = 0.0

    def get(self, key: Hashable) -> T:
        """What was read last if it is fresh, or else what is read now.

        Args:
            key: a reading under another key is not fresh.
        """
        with self._lock:  # who comes while somebody reads waits for that reading
            start = self._clock()
            if self._kept is not None and self._kept[0] == key and start < self._fresh_until:
                return self._kept[1]
            value = self._read()
            end = self._clock()
            self._kept = key, value
            self._fresh_until = end + REUSE * (end - start) if end - start > CHEAP_SECONDS else end
            return value

    def forget(self) -> None:
        """Makes the next one read again."""
        with self._lock:
            self._kept = None
