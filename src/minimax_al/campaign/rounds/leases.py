"""Leases: an image is kept for the person who was shown it, for a time, and never shown to two at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, select, update

from minimax_al.campaign.rounds.rounds import Pick, as_pick, pick_rows
from minimax_al.campaign.store.database import portions
from minimax_al.campaign.store.history import check_author
from minimax_al.campaign.store.schema import picks, rounds
from minimax_al.errors import ConfigurationError


@dataclass(frozen=True)
class Lease:
    """Images kept for one person.

    Attributes:
        picks: theirs, by rank; empty where none is free.
        until: when they return to the queue if nobody answers.
        waiting: unanswered images of the round, these among them.
        with_others: how many of those are kept for other people.
        next_free_at: when the first of these returns; None where none is with others.
        lent: how many are kept for another place, such as a project of Label Studio, until they are answered or
            recalled.
    """

    picks: tuple[Pick, ...]
    until: datetime
    waiting: int
    with_others: int
    next_free_at: datetime | None
    lent: int = 0


def take_lease(connection: Connection, author: str, count: int, now: datetime, seconds: float) -> Lease:
    """Keeps up to `count` waiting images of the open round for one person.

    What they hold already comes first and is renewed, so that loading a page again shows the same images. Takes
    time for what is kept for people and for `count`, whatever the size of the round.

    Args:
        connection: in a write transaction.
        author: who will answer.
        count: most images, from 1.
        now: the time.
        seconds: for how long.

    Raises:
        CampaignError: the author is blank.
        ConfigurationError: the count is below 1.
    """
    check_author(author)
    if count < 1:
        raise ConfigurationError(f"count={count!r} must be at least one image")
    until = now + timedelta(seconds=seconds)
    latest = select(rounds.c.id, rounds.c.waiting).where(rounds.c.closed_at.is_(None)).order_by(rounds.c.id.desc())
    open_round = connection.execute(latest.limit(1)).first()
    if open_round is None:
        return Lease((), until, 0, 0, None)
    with_others, next_free_at = _with_others(connection, open_round.id, author, now)
    lent = connection.execute(select(func.count()).where(picks.c.round_id == open_round.id, _lent())).scalar_one()
    kept = _keep(connection, _for_person(connection, open_round.id, author, count, now), author, until)
    return Lease(kept, until, open_round.waiting, with_others, next_free_at, lent)


def release(connection: Connection, author: str) -> int:
    """Gives back everything that is kept for one person; returns how many images."""
    mine = update(picks).where(picks.c.lease_holder == author, picks.c.lease_until.is_not(None))
    return connection.execute(mine.values(lease_holder=None, lease_until=None)).rowcount


def lend(connection: Connection, item_ids: Sequence[int], place: str, now: datetime) -> int:
    """Keeps those of the images that wait in the open round for a place, not a person: a lease without an end.

    What a person has before them stays theirs.
    """
    waits = picks.c.waits & picks.c.round_id.in_(select(rounds.c.id).where(rounds.c.closed_at.is_(None)))
    waits &= picks.c.lease_until.is_(None) | (picks.c.lease_until <= now)
    lent = 0
    for portion in portions(item_ids):
        these = update(picks).where(waits, picks.c.item_id.in_(portion))
        lent += connection.execute(these.values(lease_holder=place, lease_until=None)).rowcount
    return lent


def recall(connection: Connection) -> int:
    """Takes back what is lent of the open round; returns how many images."""
    of_open = picks.c.round_id.in_(select(rounds.c.id).where(rounds.c.closed_at.is_(None)))
    return connection.execute(update(picks).where(of_open, _lent()).values(lease_holder=None)).rowcount


def end_leases(connection: Connection, item_ids: Sequence[int]) -> None:
    """Images that have their answer are kept for nobody."""
    for portion in portions(item_ids):
        held = picks.c.item_id.in_(portion) & picks.c.lease_holder.is_not(None)
        connection.execute(update(picks).where(held).values(lease_holder=None, lease_until=None))


def _with_others(connection: Connection, round_id: int, author: str, now: datetime) -> tuple[int, datetime | None]:
    """How many images are kept for others, and when the first of them returns."""
    others = (*_held(round_id), picks.c.lease_holder != author, picks.c.lease_until > now)
    row = connection.execute(select(func.count(), func.min(picks.c.lease_until)).where(*others)).one()
    return row[0], row[1]


def _for_person(connection: Connection, round_id: int, author: str, count: int, now: datetime) -> list[int]:
    """Ids of the picks for one person: theirs, then those that are free or free again, each by rank."""
    ranked = select(picks.c.id, picks.c.rank).order_by(picks.c.rank)
    theirs = ranked.where(*_held(round_id), picks.c.lease_holder == author, ~_lent()).limit(count)
    ids = [row.id for row in connection.execute(theirs)]
    left = count - len(ids)
    if left:
        never = ranked.where(picks.c.round_id == round_id, picks.c.waits, picks.c.lease_holder.is_(None))
        lapsed = ranked.where(*_held(round_id), picks.c.lease_holder != author, picks.c.lease_until <= now)
        free = [row for one in (never, lapsed) for row in connection.execute(one.limit(left))]
        ids += [row.id for row in sorted(free, key=lambda row: row.rank)[:left]]
    return ids


def _keep(connection: Connection, ids: Sequence[int], author: str, until: datetime) -> tuple[Pick, ...]:
    kept: list[Pick] = []
    for portion in portions(ids):
        connection.execute(update(picks).where(picks.c.id.in_(portion)).values(lease_holder=author, lease_until=until))
        kept += [as_pick(row) for row in connection.execute(pick_rows().where(picks.c.id.in_(portion)))]
    return tuple(sorted(kept, key=lambda pick: pick.rank))


def _held(round_id: int) -> tuple[ColumnElement[bool], ...]:
    """SQL: a pick of the round waits and is, or was, kept for somebody."""
    return picks.c.round_id == round_id, picks.c.waits, picks.c.lease_holder.is_not(None)


def _lent() -> ColumnElement[bool]:
    """SQL: a pick waits and is kept for a place: its lease has no end, so no person's name can be that of a place."""
    return picks.c.waits & picks.c.lease_holder.is_not(None) & picks.c.lease_until.is_(None)
