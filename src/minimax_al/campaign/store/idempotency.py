"""Idempotency keys: a retried request with the same key runs once.

Key, digest of the request's body and result are stored in the same transaction as the change. After a crash the key is
known if and only if the change was made. A request with a known key and another body is refused.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, func, select

from minimax_al.campaign.store.schema import requests
from minimax_al.errors import CampaignError

KEPT = timedelta(days=30)
"""Time for which a key is known at least: longer than a page is closed with answers that it could not send."""

KEPT_COUNT = 20_000
"""Number of latest keys that are known whatever their age: a clock that jumps ahead must not forget them."""

T = TypeVar("T")


def once(
    connection: Connection,
    author: str,
    key: str | None,
    change: Callable[[], T],
    *,
    now: datetime,
    body: Sequence[object],
) -> T | Any:  # noqa: ANN401 - JSON
    """Make the change of a request, or return the stored result if its key is known.

    Args:
        connection: Connection in a write transaction.
        author: Author of the request; keys of different authors are independent.
        key: Idempotency key; None if the request is never retried.
        change: Function that makes the change. If it raises, the key is not stored.
        now: Current time.
        body: Body of the request, as values that JSON can hold.

    Returns:
        The result of `change`, as JSON; the first one if the request is a retry.

    Raises:
        CampaignError: The author has used the key for another request.
    """
    if key is None:
        return change()
    digest = hashlib.sha256(json.dumps(body, default=repr).encode()).hexdigest()
    same = select(requests.c.result, requests.c.digest).where(requests.c.author == author, requests.c.key == key)
    earlier = connection.execute(same).first()
    if earlier is not None:
        if earlier.digest not in (None, digest):  # older versions stored none
            raise CampaignError(
                f"{author!r} has used the idempotency key {key!r} for another request: nothing was changed; "
                "give every new request a key of its own"
            )
        return earlier.result
    result = change()
    number = connection.execute(select(func.coalesce(func.max(requests.c.number), 0))).scalar_one() + 1
    _forget(connection, number, now)
    row = {"author": author, "key": key, "at": now, "result": result, "digest": digest, "number": number}
    connection.execute(requests.insert().values(row))
    return result


def _forget(connection: Connection, number: int, now: datetime) -> None:
    """Delete keys that are both old and not among the latest; `number` is that of the next key."""
    is_old = requests.c.at < now - KEPT
    connection.execute(delete(requests).where(is_old, requests.c.number <= number - KEPT_COUNT))
