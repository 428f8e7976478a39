"""Rounds: the picked images in order, with their reasons, and those that still wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, exists, func, select, union, update

from minimax_al.campaign.rounds.pool_filter import matches
from minimax_al.campaign.store.bulk import streamed
from minimax_al.campaign.store.database import after_writing, portions
from minimax_al.campaign.store.first_look import first_look_has_ended, has_seen_all
from minimax_al.campaign.store.history import answer_in, current_answer, current_answers, is_settled
from minimax_al.campaign.store.image_counts import count_by_status
from minimax_al.campaign.store.schema import classes, items, picks, rounds
from minimax_al.errors import BudgetError, CampaignError, DataError

LEASE_SKEW = timedelta(minutes=2)
"""Time by which the clocks of two machines that share a campaign may differ."""

FREE = {"lease_holder": None, "lease_session": None, "lease_from": None, "lease_until": None}
"""Values of the columns of a lease where no lease is."""


@dataclass(frozen=True)
class Choice:
    """Chosen image, before it is in a round.

    Attributes:
        item_id: Id of the image.
        reason: Reason for the choice, one sentence.
        scores: Scores behind the reason, by name.
        at_random: Whether the image was drawn uniformly.
        suggestion: Id of the class that the model predicts.
        confidence: Confidence of the suggestion, in [0, 1].
    """

    item_id: int
    reason: str
    scores: Mapping[str, float] = field(default_factory=dict)
    at_random: bool = False
    suggestion: int | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Pick:
    """Image of a round.

    Attributes:
        item: Id of the image.
        path: Path of the image, relative to the images' folder.
        round: Number of the round, from 1.
        rank: Rank in the round, from 0.
        reason: Reason for the pick, one sentence.
        scores: Scores behind the reason, by name.
        at_random: Whether the image was drawn uniformly.
        suggestion: Class that the model predicts; None without a model.
        confidence: Confidence of the suggestion, in [0, 1].
        answer: "waiting", "label", "unsure" or "skip".
        class_name: Class of the current label.
        lease_holder: Person or tool for which it is kept.
        lease_until: Time until which it is kept; None if it is lent to a tool, or free.
        lease_from: Time since which it is kept.
        second_opinion: Whether another annotator has answered it; that answer is hidden here.
    """

    item: int
    path: str
    round: int
    rank: int
    reason: str
    scores: Mapping[str, float]
    at_random: bool
    suggestion: str | None
    confidence: float | None
    answer: str
    class_name: str | None
    lease_holder: str | None
    lease_until: datetime | None
    lease_from: datetime | None = None
    second_opinion: bool = False

    def is_with_a_person(self, now: datetime) -> bool:
        """Return whether a lease keeps the image for a person; `now` is the time of the campaign's lease clock."""
        if self.lease_until is None:
            return False
        begins_later = self.lease_from is not None and self.lease_from > now + LEASE_SKEW
        return now < self.lease_until and not begins_later


@dataclass(frozen=True)
class RoundState:
    """Progress of a round.

    Attributes:
        number: Number of the round, from 1.
        strategy: Name of the strategy.
        picks: Number of images.
        waiting: Number of unanswered images.
        opened_at: Time at which it was opened.
        closed_at: Time at which it was closed; None while it is open.
    """

    number: int
    strategy: str
    picks: int
    waiting: int
    opened_at: datetime
    closed_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether the round waits for answers."""
        return self.closed_at is None and self.waiting > 0


def candidates(connection: Connection, where: str | None = None) -> NDArray[np.int64]:
    """Return ids of images that may be picked, ascending: active, without an answer to them or to a duplicate.

    Args:
        connection: Connection to the campaign's database.
        where: Filter on the further columns of a manifest; None for all images.
    """
    ids = select(items.c.id).where(is_candidate(), matches(where)).order_by(items.c.id)
    return np.fromiter((row.id for row in streamed(connection, ids)), dtype=np.int64)


def still_candidates(connection: Connection, item_ids: Sequence[int], where: str | None = None) -> set[int]:
    """Return those of the images that may be picked and are not in an open round."""
    taken = select(picks.c.item_id).where(picks.c.round_id.in_(open_rounds()))
    wanted = select(items.c.id).where(is_candidate(), items.c.id.not_in(taken), matches(where))
    return {item for part in portions(item_ids) for item in connection.scalars(wanted.where(items.c.id.in_(part)))}


def count_candidates(connection: Connection, where: str | None = None) -> int:
    """Return how many images may be picked; without a filter the cost depends on the answers, not on the pool."""
    if where is not None:
        filtered = select(func.count()).select_from(items).where(is_candidate(), matches(where))
        found: int = connection.execute(filtered).scalar_one()
        return found
    if not has_seen_all(connection):
        return 0
    answered, copy = select(current_answers().c.item_id).cte("answered"), items.alias("copy")
    stood_for = select(copy.c.duplicate_of).join(answered, copy.c.id == answered.c.item_id)
    settled = union(select(answered.c.item_id), stood_for.where(copy.c.duplicate_of.is_not(None)))
    active = select(func.count()).select_from(items).where(items.c.status == "active", items.c.id.in_(settled))
    done: int = connection.execute(active).scalar_one()
    return count_by_status(connection).get("active", 0) - done


@cache
def is_candidate() -> ColumnElement[bool]:
    """Return SQL for: a row of `items` may be picked; no row before the first refresh has ended."""
    twin = items.alias("twin")
    twin_settled = exists().where(twin.c.duplicate_of == items.c.id, is_settled(twin.c.id))
    return and_(items.c.status == "active", ~is_settled(items.c.id), ~twin_settled, first_look_has_ended())


def round_state(connection: Connection, number: int | None = None) -> RoundState | None:
    """Return the progress of a round; None if it does not exist.

    By default it is the latest round in which an image waits, else the latest.
    """
    row = _round(connection, number)
    if row is None:
        return None
    return RoundState(row.number, row.strategy, row.budget, row.waiting, row.opened_at, row.closed_at)


def picked_by_latest(connection: Connection, item_ids: Sequence[int]) -> dict[int, int]:
    """Return the id of the round that an answer belongs to: the latest round, or an open one, that picked the image."""
    latest = select(func.max(rounds.c.id)).scalar_subquery()
    current = rounds.c.closed_at.is_(None) | (rounds.c.id == latest)
    asked = select(picks.c.item_id, picks.c.round_id).join(rounds, rounds.c.id == picks.c.round_id).where(current)
    rows = [connection.execute(asked.where(picks.c.item_id.in_(portion))) for portion in portions(item_ids)]
    found = sorted((row.round_id, row.item_id) for some in rows for row in some)
    return {item: number for number, item in found}


@cache
def open_rounds() -> Select[Any]:
    """Return the query for the ids of all open rounds; only live labelling has several at once."""
    return select(rounds.c.id).where(rounds.c.closed_at.is_(None))


def check_no_round_is_open(connection: Connection) -> None:
    """Raise an error if a round is open.

    Raises:
        CampaignError: A round is open.
    """
    state = round_state(connection)
    if state is not None and state.is_open:
        raise CampaignError(
            f"round {state.number} is still open: {state.waiting} of {state.picks} images wait for an answer; "
            "label or skip them, or close the round"
        )


def check_budget(budget: int, available: int, where: str | None = None) -> None:
    """Raise an error if a budget is not possible.

    Raises:
        BudgetError: The budget is not from 1 to `available`.
    """
    if available == 0 and where is not None:
        raise BudgetError(f"no unlabelled image has {where}: give another filter, or none")
    if available == 0:
        raise BudgetError("every image has its answer: add images to the folder, or stop here")
    if not 1 <= budget <= available:
        raise BudgetError(f"a budget of {budget} was given; it must be from 1 to the {available} unlabelled images")


def draw(ids: NDArray[np.int64], count: int, seed: int, number: int) -> list[int]:
    """Return `count` ids drawn uniformly without replacement; a pure function of its arguments."""
    generator = np.random.default_rng([seed, number])
    drawn: list[int] = ids[generator.permutation(len(ids))[:count]].tolist()
    return drawn


def next_round_number(connection: Connection) -> int:
    """Return the number of the next round."""
    number: int = connection.execute(select(func.coalesce(func.max(rounds.c.number), 0))).scalar_one() + 1
    return number


def add_round(
    connection: Connection,
    choices: Sequence[Choice],
    *,
    strategy: str,
    random_share: float,
    seed: int,
    run_id: int | None,
    now: datetime,
    keeps_open: bool = False,
) -> int:
    """Open a round with these candidates as picks, in this order.

    Args:
        connection: Connection in a write transaction.
        choices: Chosen images, in pick order.
        strategy: Strategy that chose.
        random_share: Share that was drawn at random.
        seed: Seed of the campaign.
        run_id: Run of the model that chose.
        now: Current time.
        keeps_open: Whether the open rounds stay open, as in live labelling; no image may be in two of them.

    Returns:
        The number of the round.
    """
    if not keeps_open:
        close(connection, now)
    number = next_round_number(connection)
    values = {"strategy": strategy, "random_share": random_share, "seed": seed, "run_id": run_id, "opened_at": now}
    insert = rounds.insert().values(number=number, budget=len(choices), waiting=len(choices), **values)
    round_id = connection.execute(insert.returning(rounds.c.id)).scalar_one()
    connection.execute(
        picks.insert(),
        [
            {"round_id": round_id, "rank": rank, "waits": True, **vars(choice), "scores": dict(choice.scores)}
            for rank, choice in enumerate(choices)
        ],
    )
    after_writing(connection, len(choices))
    return number


def check_open(connection: Connection, number: int | None, done: str) -> None:
    """Raise CampaignError if another round than this one is open."""
    state = round_state(connection)
    if number is not None and state is not None and state.closed_at is None and state.number != number:
        raise CampaignError(f"round {number} is not the open one, which is round {state.number}: nothing was {done}")


def has_lapsed(now: datetime, table: Table = picks) -> ColumnElement[bool]:
    """Return SQL for: the lease of a row has ended; False for a pick that is lent.

    A lease that begins in the future was granted by a clock that was wrong then, and would hold for too long.
    """
    return (table.c.lease_until <= now) | (table.c.lease_from > now + LEASE_SKEW)


def close(connection: Connection, now: datetime) -> None:
    """Close all open rounds; their unanswered images may be picked again."""
    connection.execute(update(rounds).where(rounds.c.closed_at.is_(None)).values(closed_at=now))


def list_picks(connection: Connection, number: int | None = None) -> list[Pick]:
    """Return the picks of a round by rank, by default of the latest."""
    row = _round(connection, number)
    if row is None:
        return []
    return [as_pick(found) for found in connection.execute(pick_rows().where(picks.c.round_id == row.id))]


def find_pick(connection: Connection, item_id: int, number: int | None = None) -> Pick:
    """Return the pick of an image in a round, by default in the latest that picked it.

    Raises:
        DataError: No such round has picked the image.
    """
    wanted = pick_rows().where(picks.c.item_id == item_id)
    if number is not None:
        wanted = wanted.where(rounds.c.number == number)
    row = connection.execute(wanted.order_by(None).order_by(rounds.c.number.desc()).limit(1)).first()
    if row is None:
        path = connection.execute(select(items.c.path).where(items.c.id == item_id)).scalar_one()
        raise DataError(f"{path!r} was not picked {'in any round' if number is None else f'in round {number}'}")
    return as_pick(row)


@cache
def pick_rows() -> Select[Any]:
    """Return the query for `as_pick`, by rank."""
    given, suggested = classes.alias("given_class"), classes.alias("suggested_class")
    return (
        select(
            picks,
            items.c.path,
            rounds.c.number,
            answer_in(picks.c.item_id, picks.c.round_id).label("answer"),
            given.c.name.label("class_name"),
            suggested.c.name.label("suggested"),
        )
        .join(items, items.c.id == picks.c.item_id)
        .join(rounds, rounds.c.id == picks.c.round_id)
        .outerjoin(given, given.c.id == current_answer("class_id", picks.c.item_id))
        .outerjoin(suggested, suggested.c.id == picks.c.suggestion)
        .order_by(picks.c.rank)
    )


def as_pick(row: Row[Any]) -> Pick:
    """Return a row of `pick_rows` as a pick."""
    return Pick(
        item=row.item_id,
        path=row.path,
        round=row.number,
        rank=row.rank,
        reason=row.reason,
        scores=row.scores,
        at_random=row.at_random,
        suggestion=row.suggested,
        confidence=row.confidence,
        answer=row.answer or "waiting",
        class_name=row.class_name,
        lease_holder=row.lease_holder,
        lease_until=row.lease_until,
        lease_from=row.lease_from,
    )


def _round(connection: Connection, number: int | None) -> Row[Any] | None:
    statement = _latest_round() if number is None else select(rounds).where(rounds.c.number == number)
    return connection.execute(statement).first()


@cache
def _latest_round() -> Select[Any]:
    waits = rounds.c.closed_at.is_(None) & (rounds.c.waiting > 0)
    return select(rounds).order_by(waits.desc(), rounds.c.number.desc()).limit(1)
