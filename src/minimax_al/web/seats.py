"""Annotators at the page that requested images lately, so that a page that is alone may hold all of them."""

import time
from collections.abc import Callable
from threading import Lock

SEAT_SECONDS = 60.0
"""Time after its last request for which a page counts as present, in seconds; pages ask every ten."""


class Seats:
    """Pages of annotators that requested images lately; safe to share between threads.

    Args:
        clock: Function that returns a time in seconds that never decreases.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._seen: dict[tuple[str, str | None], float] = {}

    def take(self, author: str, session: str | None) -> int:
        """Note that a page asks for images; return the number of pages that are present."""
        with self._lock:
            now = self._clock()
            self._seen[author, session] = now
            self._seen = {page: at for page, at in self._seen.items() if now - at < SEAT_SECONDS}
            return len(self._seen)

    def leave(self, author: str, session: str | None) -> None:
        """Note that a page has returned its images; without a session, all pages of the author."""
        with self._lock:
            self._seen = {
                page: at
                for page, at in self._seen.items()
                if page[0] != author or (session is not None and page[1] != session)
            }
