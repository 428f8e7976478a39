"""Rounds: which images are asked about, in which order and why, and which of them still wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, select, union, update

from minimax_al.campaign.store.database import after_writing, portions
from minimax_al.campaign.store.history import answer_in, holding, is_settled, what_holds
from minimax_al.campaign.store.schema import classes, items, picks, rounds
from minimax_al.errors import BudgetError, CampaignError, DataError

LEASE_SKEW = timedelta(minutes=2)
"""Time by which the clocks of two machines that share a campaign may differ."""


@dataclass(frozen=True)
class Choice:
    """An image to ask about, before it has its place in a round.

    Attributes:
        item_id: the image.
        reason: why, in a sentence.
        scores: numbers behind the reason, by name.
        at_random: drawn uniformly, whatever a strategy says.
        suggestion: id of the class that the model would say.
        confidence: of the suggestion, in [0, 1].
    """

    item_id: int
    reason: str
    scores: Mapping[str, float] = field(default_factory=dict)
    at_random: bool = False
    suggestion: int | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Pick:
    """An image of a round.

    Attributes:
        item: its id.
        path: its file, relative to the images' folder.
        round: number of the round, from 1.
        rank: place in the round, from 0.
        reason: why it was picked, in a sentence.
        scores: numbers behind the reason, by name.
        at_random: drawn uniformly, whatever the strategy says.
        suggestion: the class that the model would say; None without a model.
        confidence: of the suggestion, in [0, 1].
        answer: "waiting", "label", "unsure" or "skip".
        class_name: of the label that holds.
        lease_holder: Person or tool for which it is kept.
        lease_until: Time until which it is kept; None if it is lent to a tool, or free.
        lease_from: Time since which it is kept.
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

    def is_with_a_person(self, now: datetime) -> bool:
        """Return whether a lease keeps the image for a person; `now` is the time of the campaign's lease clock."""
        if self.lease_until is None:
            return False
        begins_later = self.lease_from is not None and self.lease_from > now + LEASE_SKEW
        return now < self.lease_until and not begins_later


@dataclass(frozen=True)
class RoundState:
    """How far a round is.

    Attributes:
        number: from 1.
        strategy: what chose.
        picks: how many images it has.
        waiting: how many of them nobody has answered.
        opened_at: when it was opened.
        closed_at: when it was closed; None while it is open.
    """

    number: int
    strategy: str
    picks: int
    waiting: int
    opened_at: datetime
    closed_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether answers are waited for."""
        return self.closed_at is None and self.waiting > 0


def candidates(connection: Connection) -> list[int]:
    """Ids of the images that may be asked about, ascending: active, and nothing is said of them or a duplicate."""
    return list(connection.scalars(select(items.c.id).where(is_candidate()).order_by(items.c.id)))


def count_candidates(connection: Connection) -> int:
    """How many images may be asked about; takes time for what was answered, not for the pool."""
    answered, copy = select(holding().c.item_id).cte("answered"), items.alias("copy")
    stood_for = select(copy.c.duplicate_of).join(answered, copy.c.id == answered.c.item_id)
    settled = union(select(answered.c.item_id), stood_for.where(copy.c.duplicate_of.is_not(None)))
    active = select(func.count()).select_from(items).where(items.c.status == "active")
    every: int = connection.execute(active).scalar_one()
    done: int = connection.execute(active.where(items.c.id.in_(settled))).scalar_one()
    return every - done


def is_candidate() -> ColumnElement[bool]:
    """SQL: a row of `items` may be asked about."""
    twin = items.alias("twin")
    twin_settled = exists().where(twin.c.duplicate_of == items.c.id, is_settled(twin.c.id))
    return and_(items.c.status == "active", ~is_settled(items.c.id), ~twin_settled)


def round_state(connection: Connection, number: int | None = None) -> RoundState | None:
    """The state of a round, by default of the latest; None where there is none."""
    row = _round(connection, number)
    if row is None:
        return None
    return RoundState(row.number, row.strategy, row.budget, row.waiting, row.opened_at, row.closed_at)


def asked_by_latest(connection: Connection, item_ids: Sequence[int]) -> dict[int, int]:
    """The id of the latest round, for those of the images that it asks about."""
    latest = select(func.max(rounds.c.id)).scalar_subquery()
    asked = select(picks.c.item_id, picks.c.round_id).where(picks.c.round_id == latest)
    rows = [connection.execute(asked.where(picks.c.item_id.in_(portion))) for portion in portions(item_ids)]
    return {row.item_id: row.round_id for found in rows for row in found}


def check_no_round_is_open(connection: Connection) -> None:
    """Refuses to go on while answers are waited for.

    Raises:
        CampaignError: a round is open.
    """
    state = round_state(connection)
    if state is not None and state.is_open:
        raise CampaignError(
            f"round {state.number} is still open: {state.waiting} of {state.picks} images wait for an answer; "
            "label or skip them, or close the round"
        )


def check_budget(budget: int, available: int) -> None:
    """Refuses a budget of nothing, or of more than there is.

    Raises:
        BudgetError: it is not from 1 to `available`.
    """
    if available == 0:
        raise BudgetError("every image has its answer: add images to the folder, or stop here")
    if not 1 <= budget <= available:
        raise BudgetError(f"a budget of {budget} was given; it must be from 1 to the {available} unlabelled images")


def draw(ids: Sequence[int], count: int, seed: int, number: int) -> list[int]:
    """`count` ids drawn uniformly without replacement; a function of all arguments alone."""
    generator = np.random.default_rng([seed, number])
    return [ids[position] for position in generator.permutation(len(ids))[:count].tolist()]


def next_round_number(connection: Connection) -> int:
    """The number that the next round will have."""
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
) -> int:
    """Opens a round with these picks, candidates all of them, in this order; closes the one before.

    Returns:
        Its number.
    """
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


def close(connection: Connection, now: datetime) -> None:
    """Closes the round that is open, if one is; unanswered images may be picked again."""
    connection.execute(update(rounds).where(rounds.c.closed_at.is_(None)).values(closed_at=now))


def list_picks(connection: Connection, number: int | None = None) -> list[Pick]:
    """The picks of a round (by default of the latest), by rank."""
    row = _round(connection, number)
    if row is None:
        return []
    return [as_pick(found) for found in connection.execute(pick_rows().where(picks.c.round_id == row.id))]


def find_pick(connection: Connection, item_id: int, number: int | None = None) -> Pick:
    """The pick of an image in a round, by default in the latest that asked about it.

    Raises:
        DataError: no such round has asked about the image.
    """
    wanted = pick_rows().where(picks.c.item_id == item_id)
    if number is not None:
        wanted = wanted.where(rounds.c.number == number)
    row = connection.execute(wanted.order_by(None).order_by(rounds.c.number.desc()).limit(1)).first()
    if row is None:
        path = connection.execute(select(items.c.path).where(items.c.id == item_id)).scalar_one()
        raise DataError(f"{path!r} was asked about in {'no round' if number is None else f'no round {number}'}")
    return as_pick(row)


@cache
def pick_rows() -> Select[Any]:
    """Everything that `as_pick` needs, by rank."""
    said, suggested = classes.alias("said_class"), classes.alias("suggested_class")
    return (
        select(
            picks,
            items.c.path,
            rounds.c.number,
            answer_in(picks.c.item_id, picks.c.round_id).label("answer"),
            said.c.name.label("class_name"),
            suggested.c.name.label("suggested"),
        )
        .join(items, items.c.id == picks.c.item_id)
        .join(rounds, rounds.c.id == picks.c.round_id)
        .outerjoin(said, said.c.id == what_holds("class_id", picks.c.item_id))
        .outerjoin(suggested, suggested.c.id == picks.c.suggestion)
        .order_by(picks.c.rank)
    )


def as_pick(row: Row[Any]) -> Pick:
    """A row of `pick_rows` as a pick."""
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
    statement = select(rounds).order_by(rounds.c.number.desc()).limit(1)
    if number is not None:
        statement = select(rounds).where(rounds.c.number == number)
    return connection.execute(statement).first()
