"""Requests that come again because their answer was lost: what they ask for is done once.

Who gets no answer cannot know whether the request arrived, and sends it again under the same word. The word is written
in the transaction of the deed: what was done is known again after any crash, and what was not done has left no word.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, select

from minimax_al.campaign.schema import requests

KEPT = timedelta(days=30)
"""How long a request is known again: longer than a page lies closed with answers that it could not send."""

T = TypeVar("T")


def once(connection: Connection, author: str, word: str | None, now: datetime, do: Callable[[], T]) -> T | Any:  # noqa: ANN401 - JSON
    """Does what a request asks for; where it has come before, only says again what came of it.

    Args:
        connection: in a write transaction.
        author: whose request it is.
        word: the author's own for it; None where every request is a new one.
        now: the time.
        do: what is asked for. Where it raises, nothing is remembered.

    Returns:
        What `do` gives, or gave the first time, as JSON has it.
    """
    if word is None:
        return do()
    same = select(requests.c.result).where(requests.c.author == author, requests.c.word == word)
    earlier = connection.execute(same).first()
    if earlier is not None:
        return earlier.result
    result = do()
    connection.execute(delete(requests).where(requests.c.at < now - KEPT))
    connection.execute(requests.insert().values(author=author, word=word, at=now, result=result))
    return result
