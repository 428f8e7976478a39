"""Leases: an image is kept for one person for a time, and never shown to two at once."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from minimax_al.campaign.opinions.second_opinions import lease_opinions, release_opinions
from minimax_al.campaign.rounds.rounds import FREE, Pick, as_pick, has_lapsed, open_rounds, pick_rows
from minimax_al.campaign.store.database import portions
from minimax_al.campaign.store.history import check_author
from minimax_al.campaign.store.schema import picks, rounds
from minimax_al.errors import ConfigurationError


@dataclass(frozen=True)
class Lease:
    """Images kept for one person.

    Attributes:
        picks: Leased picks, by rank; empty if none is free.
        until: Time at which they return to the queue if they are not answered or renewed.
        waiting: Number of unanswered images of the open rounds, these included.
        with_others: Number of those that are leased to other annotators.
        next_free_at: Time at which the first of these returns; None if none is with others.
        lent: Number of images kept for another tool, such as a project of Label Studio, until answered or recalled.
    """

    picks: tuple[Pick, ...]
    until: datetime
    waiting: int
    with_others: int
    next_free_at: datetime | None
    lent: int = 0


class Holder(NamedTuple):
    """Person with leases, at one browser or program.

    Attributes:
        author: Name of the person.
        session: Identifier of the browser; None for a caller that has a single one. Two browsers under one name hold
            different images.
    """

    author: str
    session: str | None = None


class UptimeClock:
    """Monotonic clock for leases: its time of start plus the uptime of the machine since then.

    Setting the machine's clock neither ends nor extends running leases.

    Args:
        clock: Function that returns the current time, with a time zone; called once.
        uptime: Function that returns the seconds for which the machine has run.
    """

    def __init__(self, clock: Callable[[], datetime], uptime: Callable[[], float] | None = None) -> None:
        self._uptime = uptime or _uptime
        self._start, self._since = clock(), self._uptime()

    def __call__(self) -> datetime:
        """Return the time."""
        return self._start + timedelta(seconds=self._uptime() - self._since)


def take_lease(connection: Connection, holder: Holder, count: int, now: datetime, seconds: float) -> Lease:
    """Keep up to `count` waiting images of the open rounds for one holder.

    Images that the holder has already come first and are renewed, so that a page that is loaded again shows the same
    images. The cost depends on the number of leased images and on `count`, not on the size of the rounds.

    Args:
        connection: Connection in a write transaction.
        holder: Person and browser.
        count: Largest number of images, at least 1.
        now: Current time, by a clock that does not jump.
        seconds: Duration of the lease in seconds.

    Raises:
        ConfigurationError: `count` is less than one, or `seconds` is not positive.
        CampaignError: The author is blank.
    """
    if count < 1:
        raise ConfigurationError(f"count={count} must be at least one image to lease")
    if seconds <= 0:
        raise ConfigurationError(f"seconds={seconds:g} must be positive: a lease lasts for some time")
    check_author(holder.author)
    until = now + timedelta(seconds=seconds)
    unfinished = select(rounds.c.id, rounds.c.waiting).where(rounds.c.closed_at.is_(None), rounds.c.waiting > 0)
    waiting = {row.id: row.waiting for row in connection.execute(unfinished)}
    # At most half of the images, so that second opinions do not hold up a round.
    second = lease_opinions(connection, holder, max(1, count // 2), now, until)
    if not waiting:
        return Lease(second, until, 0, 0, None)
    ids = list(waiting)
    with_others, next_free_at = _with_others(connection, ids, holder, now)
    lent = connection.execute(select(func.count()).where(picks.c.round_id.in_(ids), _lent())).scalar_one()
    kept = _keep(connection, _for_holder(connection, ids, holder, count - len(second), now), holder, now, until)
    return Lease((*second, *kept), until, sum(waiting.values()), with_others, next_free_at, lent)


def release(connection: Connection, holder: Holder) -> int:
    """Return a holder's images to the queue; without a session, those of all sessions under that name.

    Returns:
        The number of images.
    """
    theirs = picks.c.lease_holder == holder.author, picks.c.lease_until.is_not(None)
    held = update(picks).where(*theirs)
    if holder.session is not None:
        held = held.where(picks.c.lease_session == holder.session)
    return connection.execute(held.values(FREE)).rowcount + release_opinions(connection, holder)


def lend(connection: Connection, item_ids: Sequence[int], tool: str, now: datetime) -> int:
    """Keep waiting images of the open round for another tool: a lease without an end.

    Images that a person holds stay theirs.

    Args:
        connection: Connection in a write transaction.
        item_ids: Ids of the images.
        tool: Name of the tool.
        now: Current time, by a clock that does not jump.

    Returns:
        The number of images that are kept for the tool now.
    """
    waits = picks.c.waits & picks.c.round_id.in_(open_rounds())
    free = waits & or_(picks.c.lease_until.is_(None), has_lapsed(now))
    lent = 0
    for portion in portions(item_ids):
        these = update(picks).where(free, picks.c.item_id.in_(portion))
        lent += connection.execute(these.values({**FREE, "lease_holder": tool})).rowcount
    return lent


def recall(connection: Connection) -> int:
    """Return the lent images of the open round to the queue; return their number."""
    return connection.execute(
        update(picks).where(picks.c.round_id.in_(open_rounds()), _lent()).values(lease_holder=None)
    ).rowcount


def end_leases(connection: Connection, item_ids: Sequence[int]) -> None:
    """End the leases of images that have their answer."""
    for portion in portions(item_ids):
        held = picks.c.item_id.in_(portion) & picks.c.lease_holder.is_not(None)
        connection.execute(update(picks).where(held).values(FREE))


def _with_others(
    connection: Connection, round_ids: Sequence[int], holder: Holder, now: datetime
) -> tuple[int, datetime | None]:
    """Return how many images other holders have, and when the first of them returns."""
    others = (*_held(round_ids), ~_is_of(holder), ~has_lapsed(now))
    row = connection.execute(select(func.count(), func.min(picks.c.lease_until)).where(*others)).one()
    return row[0], row[1]


def _for_holder(
    connection: Connection, round_ids: Sequence[int], holder: Holder, count: int, now: datetime
) -> list[int]:
    """Return ids of picks for a holder: first those already held, then free or lapsed ones, oldest round first."""
    ranked = select(picks.c.id, picks.c.round_id, picks.c.rank).order_by(picks.c.round_id, picks.c.rank)
    theirs = ranked.where(*_held(round_ids), _is_of(holder), ~_lent()).limit(count)
    ids = [row.id for row in connection.execute(theirs)]
    left = count - len(ids)
    if left:
        never = ranked.where(picks.c.round_id.in_(round_ids), picks.c.waits, picks.c.lease_holder.is_(None))
        lapsed = ranked.where(*_held(round_ids), ~_is_of(holder), has_lapsed(now))
        free = [row for one in (never, lapsed) for row in connection.execute(one.limit(left))]
        ids += [row.id for row in sorted(free, key=lambda row: (row.round_id, row.rank))[:left]]
    return ids


def _keep(
    connection: Connection, ids: Sequence[int], holder: Holder, now: datetime, until: datetime
) -> tuple[Pick, ...]:
    author, session = holder
    held = {"lease_holder": author, "lease_session": session, "lease_from": now, "lease_until": until}
    kept: list[Pick] = []
    for portion in portions(ids):
        connection.execute(update(picks).where(picks.c.id.in_(portion)).values(held))
        kept += [as_pick(row) for row in connection.execute(pick_rows().where(picks.c.id.in_(portion)))]
    return tuple(sorted(kept, key=lambda pick: (pick.round, pick.rank)))


def _held(round_ids: Sequence[int]) -> tuple[ColumnElement[bool], ...]:
    """Return SQL for: a pick of the rounds waits and is, or was, kept for a person or a tool."""
    return picks.c.round_id.in_(round_ids), picks.c.waits, picks.c.lease_holder.is_not(None)


def _is_of(holder: Holder) -> ColumnElement[bool]:
    """Return SQL for: a pick is, or was, kept for this holder."""
    return (picks.c.lease_holder == holder.author) & picks.c.lease_session.is_not_distinct_from(holder.session)


def _lent() -> ColumnElement[bool]:
    """Return SQL for: a pick waits and is kept for a tool, by a lease without an end."""
    return picks.c.waits & picks.c.lease_holder.is_not(None) & picks.c.lease_until.is_(None)


def _uptime() -> float:
    """Return the seconds for which the machine has run, time asleep included where the system counts it."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)  # Linux: its monotonic clock stops while the machine sleeps
    return time.monotonic() if boot is None else time.clock_gettime(boot)
