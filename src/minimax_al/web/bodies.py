"""Limits of request bodies: size, duration, and the number of concurrent uploads.

The limits are ASGI middleware around the application, so that they hold for every route.
"""

from collections.abc import Sequence
from typing import NamedTuple

import anyio
from fastapi import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minimax_al.web.refusals import RETRY_SECONDS, refusal


class Limit(NamedTuple):
    """Limit of a body.

    Attributes:
        size: Largest size in bytes.
        seconds: Longest time from its first byte to its last, in seconds.
    """

    size: int
    seconds: float


BODY = Limit(1 << 20, 60)
"""Limit of every body."""

UPLOAD = Limit(64 << 20, 600)
"""Limit of an uploaded file; the page waits equally long for the answer."""

UPLOADS_AT_ONCE = 8
"""Number of concurrent uploads; all of them may be in memory."""

SLOT_SECONDS = 10.0
"""Time for which an upload waits for a slot, in seconds."""


class BodyLimit:
    """Middleware that refuses bodies that are too large or too slow, and too many concurrent uploads.

    Args:
        app: Application behind the middleware.
        uploads: Prefixes of the paths that accept uploads.
        notices: Prefixes of the paths that accept bodies as large as uploads without a slot, from senders that
            send once and ignore the answer.
        at_once: Number of concurrent uploads, from first byte to answer.
        usual: Limit on all other paths.
        upload: Limit of an upload.
        wait: Time for which an upload waits for a slot, unread, in seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        uploads: Sequence[str],
        *,
        notices: Sequence[str] = (),
        at_once: int = UPLOADS_AT_ONCE,
        usual: Limit = BODY,
        upload: Limit = UPLOAD,
        wait: float = SLOT_SECONDS,
    ) -> None:
        self.app = app
        self.uploads = tuple(uploads)
        self.notices = tuple(notices)
        self.usual = usual
        self.upload = upload
        self.wait = wait
        self._slots = anyio.CapacityLimiter(at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].startswith(self.uploads):
            await self._in_a_slot(scope, receive, send)
        else:
            limit = self.upload if scope["path"].startswith(self.notices) else self.usual
            await self._limited(scope, receive, send, limit)

    async def _in_a_slot(self, scope: Scope, receive: Receive, send: Send) -> None:
        mine = object()
        with anyio.move_on_after(self.wait) as waiting:
            await self._slots.acquire_on_behalf_of(mine)
        if waiting.cancelled_caught:
            sentence = f"{self._slots.total_tokens:g} other uploads are in progress: send it again in a moment"
            await refusal(429, sentence, {"Retry-After": str(RETRY_SECONDS)})(scope, receive, send)
            return
        try:
            await self._limited(scope, receive, send, self.upload)
        finally:
            self._slots.release_on_behalf_of(mine)

    async def _limited(self, scope: Scope, receive: Receive, send: Send, limit: Limit) -> None:
        too_large = f"the body is larger than the {limit.size:,} bytes that are accepted here"
        length = HTTPConnection(scope).headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit.size:
            await refusal(413, too_large)(scope, receive, send)
            return
        seen, is_whole, end = 0, False, anyio.current_time() + limit.seconds

        async def counted() -> Message:
            nonlocal seen, is_whole
            message: Message = {}
            with anyio.move_on_after(None if is_whole else end - anyio.current_time()):
                message = await receive()
            # The body is read inside the application, whose exception handlers turn these into answers.
            if not message:
                raise HTTPException(408, f"the body has not arrived within {limit.seconds:g} seconds: send it again")
            seen += len(message.get("body", b""))
            if seen > limit.size:
                raise HTTPException(413, too_large)
            is_whole = not message.get("more_body", False)
            return message

        await self.app(scope, counted, send)
