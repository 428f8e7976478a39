"""Requests that come again because their answer was lost: what they ask for is done once.

A page that gets no answer cannot know whether its request arrived, and sends it again with the same key. The campaign
keeps keys beside what was done (`campaign.requests`), so that a server that was started again since knows them, too.
"""

from typing import Annotated

from fastapi import Depends, Header, Request

_KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=64,
        description="the client's word for this request: sent again with it, it is answered but not done again",
    ),
]


async def _word(request: Request, key: _KeyHeader = None) -> str | None:
    return None if key is None else f"{request.url.path} {key}"


RequestWord = Annotated[str | None, Depends(_word)]
"""The client's word for its request, of this route alone; None where every request is a new one."""
