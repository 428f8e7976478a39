"""Limits of the server's connections: idle and slow clients cannot take the page from others.

uvicorn waits without limit for the header of a request and accepts any number of connections. A few hundred idle
connections then exhaust the system's limit of open files, and the page can no longer be reached. Here a request header
must arrive in time, a response must make progress, and a new connection beyond the limit closes the longest idle one.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEADER_SECONDS = 15.0
"""Longest time from the first byte of a request, or from the connection, to the end of the header."""

HEADER_BYTES = 64 << 10
"""Largest request header."""

STALL_SECONDS = 60.0
"""Longest time for which a client may read nothing of a response."""

MOST_CONNECTIONS = 512

BACKLOG = 32
"""Connections that the system accepts for the server between two steps of its event loop."""

_MOST_FILES = 4096
_FEWEST_CONNECTIONS = 16

_log = logging.getLogger(__name__)


def connection_limit() -> int:
    """Return how many connections may be open at once, after raising the limit of open files where that is allowed.

    The other half of the files serves images and the database, whose connections open three files each.
    """
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError) as error:
            _log.debug("the limit of open files stays at %d: %s", soft, error)
    return max(_FEWEST_CONNECTIONS, min(MOST_CONNECTIONS, soft // 2 - BACKLOG))


def protocol_with_limits(limit: int) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol with this module's limits.

    Args:
        limit: Number of connections that may be open at once.
    """

    class Limited(LimitedProtocol):
        """The protocol with its limit of connections."""

        most = limit

    return Limited


class LimitedProtocol(AutoHTTPProtocol):  # type: ignore[valid-type, misc]
    """One connection that is closed when its client is too slow.

    Attributes:
        most: Number of connections that may be open at once.
        idle_since: Time of the event loop since which the connection has had no request in progress; None while one is.
    """

    most = MOST_CONNECTIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as uvicorn calls it
        super().__init__(*args, **kwargs)
        self.idle_since: float | None = None
        self._header_bytes = 0
        self._header_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Accept the connection; close the one idle longest if there are too many."""
        super().connection_made(transport)
        self.idle_since = self.loop.time()
        self._expect_header()
        # An aborted connection stays in the set until the next step of the event loop.
        live = [one for one in self.connections if not one.transport.is_closing()]
        if len(live) > self.most:
            _longest_idle(live, self).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Pass data on to uvicorn; close the connection when the header is too long."""
        if self.idle_since is not None:
            self._header_bytes += len(data)
            self._expect_header()
        super().data_received(data)
        if self._is_busy():
            self._start_request()
        elif self._header_bytes > HEADER_BYTES:
            self.transport.abort()

    def on_response_complete(self) -> None:
        """Wait for the next request of the connection."""
        self.idle_since = self.loop.time()
        super().on_response_complete()
        if self._is_busy():  # the next request was there already
            self._start_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        _stop(self._header_timer)
        _stop(self._stall_timer)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give the client a limited time to read more of the response."""
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self._later(STALL_SECONDS)

    def resume_writing(self) -> None:
        """Continue: the client has read more of the response."""
        super().resume_writing()
        _stop(self._stall_timer)
        self._stall_timer = None

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_request(self) -> None:
        self.idle_since = None
        self._header_bytes = 0
        _stop(self._header_timer)
        self._header_timer = None

    def _expect_header(self) -> None:
        if self._header_timer is None:
            self._header_timer = self._later(HEADER_SECONDS)

    def _later(self, seconds: float) -> asyncio.TimerHandle:
        close: Callable[[], object] = self.transport.abort
        handle: asyncio.TimerHandle = self.loop.call_later(seconds, close)
        return handle


def _longest_idle(live: Sequence[LimitedProtocol], newest: LimitedProtocol) -> LimitedProtocol:
    """Return the connection to close: the one idle longest, or the newest if all others have a request in progress."""
    idle = [(one.idle_since, number) for number, one in enumerate(live) if one.idle_since is not None]
    return live[min(idle)[1]] if idle else newest


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
