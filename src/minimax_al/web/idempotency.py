"""Idempotency keys of requests: a retried request with the same key runs once.

A page that receives no answer does not know whether its request arrived, and retries it with the same key. The
campaign stores the keys (`campaign.idempotency`), so that they are known after a restart of the server.
"""

from typing import Annotated

from fastapi import Depends, Header, Request

_KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=64,
        description="Key of this request: a retry with the same key is answered, but changes nothing",
    ),
]


async def _key(request: Request, key: _KeyHeader = None) -> str | None:
    return None if key is None else f"{request.url.path} {key}"


RequestKey = Annotated[str | None, Depends(_key)]
"""Idempotency key of a request to this route; None if the client sends none."""
