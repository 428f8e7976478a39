"""Requests that come again because their answer was lost: what they ask for is done once.

A page that gets no answer cannot know whether its request arrived, and sends it again with the same key. What has
come of a key is kept in memory: a server that was started again since takes the request for a new one.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request

MOST_KEYS = 4096
"""How many are remembered; the oldest goes first."""

T = TypeVar("T")
_Key = tuple[str, str, str]


class Repeats:
    """What has come of requests, by key. Threads may share it.

    Args:
        most: how many are remembered.
    """

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._most = most
        self._lock = Lock()
        self._known: dict[_Key, Future[Any]] = {}

    def once(self, key: _Key, do: Callable[[], T]) -> T:
        """Does something, or gives what came of it when it was done; while that still runs, waits.

        Args:
            key: of the request: route, author, and the client's own word for it.
            do: what the request asks for. Where it raises, nothing is remembered.
        """
        mine: Future[T] = Future()
        with self._lock:
            first = self._known.setdefault(key, mine)
            if len(self._known) > self._most:
                del self._known[next(iter(self._known))]
        if first is not mine:
            earlier: T = first.result()
            return earlier
        try:
            mine.set_result(do())
        except BaseException as error:  # noqa: BLE001 - raised again below
            with self._lock:
                if self._known.get(key) is mine:
                    del self._known[key]
            mine.set_exception(error)
        return mine.result()


class Once:
    """Does what one request asks for, unless the same request has come before.

    Args:
        repeats: what is known.
        route: of the request.
        key: the client's word for the request; None where every request is a new one.
    """

    def __init__(self, repeats: Repeats, route: str, key: str | None) -> None:
        self._repeats = repeats
        self._route = route
        self._key = key

    def __call__(self, author: str, do: Callable[[], T]) -> T:
        """What `do` gives, or gave the first time."""
        if self._key is None:
            return do()
        return self._repeats.once((self._route, author, self._key), do)


_KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=64,
        description="the client's word for this request: sent again with it, it is answered but not done again",
    ),
]


async def _once(request: Request, key: _KeyHeader = None) -> Once:
    return Once(request.app.state.shared.repeats, request.url.path, key)


DoneOnce = Annotated[Once, Depends(_once)]
