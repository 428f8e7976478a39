"""Requests that come again because their answer was lost: what they ask for is done once.

Who gets no answer cannot know whether the request arrived, and sends it again under the same word. The word is written
in the transaction of the deed: what was done is known again after any crash, and what was not done has left no word.
Beside it stands what was asked for, so that nothing else is taken for done.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, select

from minimax_al.campaign.store.schema import requests
from minimax_al.errors import CampaignError

KEPT = timedelta(days=30)
"""How long a request is known again: longer than a page lies closed with answers that it could not send."""

T = TypeVar("T")


def once(
    connection: Connection,
    author: str,
    word: str | None,
    do: Callable[[], T],
    *,
    now: datetime,
    asked: Sequence[object],
) -> T | Any:  # noqa: ANN401 - JSON
    """Does what a request asks for; where it has come before, only says again what came of it.

    Args:
        connection: in a write transaction.
        author: whose request it is.
        word: the author's own for it; None where every request is a new one.
        do: does what is asked for. Where it raises, nothing is remembered.
        now: the time.
        asked: what is asked for, in words and numbers.

    Returns:
        What `do` gives, or gave the first time, as JSON has it.

    Raises:
        CampaignError: the author has asked for something else under this word.
    """
    if word is None:
        return do()
    digest = hashlib.sha256(json.dumps(asked, default=repr).encode()).hexdigest()
    same = select(requests.c.result, requests.c.asked).where(requests.c.author == author, requests.c.word == word)
    earlier = connection.execute(same).first()
    if earlier is not None:
        if earlier.asked not in (None, digest):  # older versions did not say
            raise CampaignError(
                f"{author!r} has asked for something else under the word {word!r}: nothing was done; "
                "give every new request a word of its own"
            )
        return earlier.result
    result = do()
    connection.execute(delete(requests).where(requests.c.at < now - KEPT))
    connection.execute(requests.insert().values(author=author, word=word, at=now, result=result, asked=digest))
    return result
