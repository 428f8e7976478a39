"""What requests may bring: bodies of a size, in a time, and so many uploads at once.

It is plain ASGI around the application, so that no route can be forgotten.
"""

from collections.abc import Sequence
from typing import NamedTuple

import anyio
from fastapi import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minimax_al.web.refusals import RETRY_SECONDS, refusal


class Limit(NamedTuple):
    """What a body may be.

    Attributes:
        size: in bytes.
        seconds: from its beginning to its end.
    """

    size: int
    seconds: float


BODY = Limit(1 << 20, 60)
"""What every body may be."""

UPLOAD = Limit(64 << 20, 600)
"""What an uploaded file may be; a page waits as long for its answer."""

UPLOADS_AT_ONCE = 8
"""All of them may be in memory."""

PLACE_SECONDS = 10.0
"""How long an upload waits for its place; small ones are through in a moment."""


class BodyLimit:
    """Refuses bodies that are too large or too slow, whether they say so or not, and uploads beyond a number.

    Args:
        app: what is guarded.
        uploads: how the paths begin that take uploads.
        notices: how the paths begin that take bodies as large as uploads, from senders that wait for no place: they
            send once, and do not look at the answer.
        at_once: how many uploads may be under way at a time, from their first byte to their answer.
        usual: for all other paths.
        upload: for an upload.
        wait: how many seconds an upload waits for its place, unread.
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
        wait: float = PLACE_SECONDS,
    ) -> None:
        self.app = app
        self.uploads = tuple(uploads)
        self.notices = tuple(notices)
        self.usual = usual
        self.upload = upload
        self.wait = wait
        self._places = anyio.CapacityLimiter(at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].startswith(self.uploads):
            await self._in_its_place(scope, receive, send)
        else:
            limit = self.upload if scope["path"].startswith(self.notices) else self.usual
            await self._limited(scope, receive, send, limit)

    async def _in_its_place(self, scope: Scope, receive: Receive, send: Send) -> None:
        mine = object()
        with anyio.move_on_after(self.wait) as waiting:
            await self._places.acquire_on_behalf_of(mine)
        if waiting.cancelled_caught:
            sentence = f"{self._places.total_tokens:g} uploads are under way already: send it again in a moment"
            await refusal(429, sentence, {"Retry-After": str(RETRY_SECONDS)})(scope, receive, send)
            return
        try:
            await self._limited(scope, receive, send, self.upload)
        finally:
            self._places.release_on_behalf_of(mine)

    async def _limited(self, scope: Scope, receive: Receive, send: Send, limit: Limit) -> None:
        too_large = f"the body is larger than the {limit.size:,} bytes that are taken here"
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
            # Whoever reads the body is inside of the application's handlers, which make an answer of these.
            if not message:
                raise HTTPException(408, f"the body has not arrived within {limit.seconds:g} seconds: send it again")
            seen += len(message.get("body", b""))
            if seen > limit.size:
                raise HTTPException(413, too_large)
            is_whole = not message.get("more_body", False)
            return message

        await self.app(scope, counted, send)
