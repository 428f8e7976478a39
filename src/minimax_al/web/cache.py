"""Short-lived shared cache of the campaign status."""

import time
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

CHEAP_SECONDS = 0.1
"""Duration below which a value is read for every caller, in seconds."""

REUSE = 5.0
"""Lifetime of a slower value, as a multiple of the time that reading it took."""

T = TypeVar("T")


class SharedCache(Generic[T]):
    """Cache of one value that is slow to read.

    The status of a campaign of a million images takes a second, and twenty open pages request it after every answer.
    With the cache, all readings together take at most a sixth of one thread.

    Args:
        read: Function that reads the value.
        clock: Function that returns a time in seconds that never decreases.
    """

    def __init__(self, read: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._lock = Lock()
        self._kept: tuple[Hashable, T] | None = None
        self._fresh_until = 0.0

    def get(self, key: Hashable) -> T:
        """Return the cached value if it is fresh, or read it.

        Args:
            key: Version of the value; a value cached under another key is not fresh.
        """
        with self._lock:  # concurrent callers wait for one reading
            start = self._clock()
            if self._kept is not None and self._kept[0] == key and start < self._fresh_until:
                return self._kept[1]
            value = self._read()
            end = self._clock()
            self._kept = key, value
            self._fresh_until = end + REUSE * (end - start) if end - start > CHEAP_SECONDS else end
            return value

    def forget(self) -> None:
        """Discard the cached value."""
        with self._lock:
            self._kept = None
