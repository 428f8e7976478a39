"""Waiting picks: a stored flag per pick, so that a lease reads a few rows and not the round.

A pick waits while its image is active and has no answer. A change of the history, or of an image's status, calls
`update_waiting` in the same transaction.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, not_, select, update

from minimax_al.campaign.store.database import portions
from minimax_al.campaign.store.history import answer_in
from minimax_al.campaign.store.schema import items, picks, rounds


@cache
def is_waiting() -> ColumnElement[bool]:
    """Return SQL for: the correct value of `picks.waits`: the image is active and has no answer."""
    return (items.c.status == "active") & answer_in(picks.c.item_id, picks.c.round_id).is_(None)


def update_waiting(connection: Connection, item_ids: Sequence[int] | None = None) -> None:
    """Update `picks.waits` and `rounds.waiting`.

    Args:
        connection: Connection in a write transaction.
        item_ids: Ids of images whose answer or status has changed; None for any.
    """
    wrong = list(_wrong(connection, item_ids))
    for portion in portions([row.id for row in wrong]):
        connection.execute(update(picks).where(picks.c.id.in_(portion)).values(waits=not_(picks.c.waits)))
    more: Counter[int] = Counter()
    for row in wrong:
        more[row.round_id] += -1 if row.waits else 1
    if more:
        count = update(rounds).where(rounds.c.id == bindparam("b_id"))
        connection.execute(
            count.values(waiting=rounds.c.waiting + bindparam("b_more")),
            [{"b_id": number, "b_more": change} for number, change in more.items()],
        )


def _wrong(connection: Connection, item_ids: Sequence[int] | None) -> Iterator[Row[Any]]:
    """Return the picks whose flag is out of date."""
    wrong: Select[Any] = (
        select(picks.c.id, picks.c.round_id, picks.c.waits).join(items).where(picks.c.waits != is_waiting())
    )
    if item_ids is None:
        yield from connection.execute(wrong)
        return
    for portion in portions(item_ids):
        yield from connection.execute(wrong.where(picks.c.item_id.in_(portion)))
