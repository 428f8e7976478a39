"""Leases: a picture is kept for the person who was shown it, for a time, and never shown to two at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, update

from minimax_al.campaign.rounds import Pick, as_pick, pick_rows, waits
from minimax_al.campaign.schema import items, picks, rounds


@dataclass(frozen=True)
class Lease:
    """Pictures kept for one person.

    Attributes:
        picks: theirs, by rank; empty where none is free.
        until: when they return to the queue if nobody answers.
        waiting: unanswered pictures of the round, these among them.
        with_others: how many of those are kept for other people.
        next_free_at: when the first of these returns; None where none is with others.
    """

    picks: tuple[Pick, ...]
    until: datetime
    waiting: int
    with_others: int
    next_free_at: datetime | None


def take_lease(connection: Connection, author: str, count: int, now: datetime, seconds: float) -> Lease:
    """Keeps up to `count` waiting pictures of the open round for one person.

    What they hold already comes first and is renewed, so that loading a page again shows the same pictures.

    Args:
        connection: in a write transaction.
        author: who will answer.
        count: most pictures.
        now: the time.
        seconds: for how long.
    """
    until = now + timedelta(seconds=seconds)
    open_round = select(func.max(rounds.c.id)).where(rounds.c.closed_at.is_(None)).scalar_subquery()
    columns = (picks.c.id, picks.c.lease_holder, picks.c.lease_until)
    waiting = select(*columns).join(items).where(picks.c.round_id == open_round, waits()).order_by(picks.c.rank)
    rows = connection.execute(waiting).all()
    theirs = [row.id for row in rows if row.lease_holder == author]
    others = [row.lease_until for row in rows if row.lease_holder not in (None, author) and row.lease_until > now]
    free = [
        row.id for row in rows if row.lease_holder is None or (row.lease_holder != author and row.lease_until <= now)
    ]
    ids = (theirs + free)[:count]
    if ids:
        connection.execute(update(picks).where(picks.c.id.in_(ids)).values(lease_holder=author, lease_until=until))
    chosen = connection.execute(pick_rows().where(picks.c.id.in_(ids))).all()
    return Lease(tuple(as_pick(row) for row in chosen), until, len(rows), len(others), min(others, default=None))


def release(connection: Connection, author: str) -> int:
    """Gives back everything that is kept for one person; returns how many pictures."""
    mine = update(picks).where(picks.c.lease_holder == author)
    return connection.execute(mine.values(lease_holder=None, lease_until=None)).rowcount


def end_lease(connection: Connection, item_id: int) -> None:
    """A picture that has its answer is kept for nobody."""
    held = (picks.c.item_id == item_id) & picks.c.lease_holder.is_not(None)
    connection.execute(update(picks).where(held).values(lease_holder=None, lease_until=None))
