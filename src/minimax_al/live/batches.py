"""Batches of live labelling: small rounds, several of which are open at once.

A batch is a round, so that history, reports, undo and export treat it as one. An image is in at most one open round.
Finished rounds stay open for a while, so that an undone answer makes its image wait again; then the images that were
skipped in them may be picked again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, func, or_, select, update

from minimax_al.campaign.rounds.rounds import Choice, add_round, has_lapsed, open_rounds, still_candidates
from minimax_al.campaign.store.schema import picks, rounds

KEPT_OPEN = 20
"""Number of latest finished rounds that stay open."""


class OpenPick(NamedTuple):
    """Pick of an open round.

    Attributes:
        item_id: Id of the image.
        waits: Whether it waits for an answer.
        is_free: Whether it waits and nobody holds it.
        suggestion: Id of the suggested class.
        confidence: Confidence of the suggestion.
    """

    item_id: int
    waits: bool
    is_free: bool
    suggestion: int | None
    confidence: float | None


def open_picks(connection: Connection, now: datetime) -> list[OpenPick]:
    """Return the picks of all open rounds, oldest round first.

    Args:
        connection: Connection.
        now: Current time, by the clock of the leases.
    """
    free = and_(picks.c.waits, or_(picks.c.lease_holder.is_(None), func.coalesce(has_lapsed(now), False)))
    columns = (picks.c.item_id, picks.c.waits, free.label("is_free"), picks.c.suggestion, picks.c.confidence)
    found = select(*columns).where(picks.c.round_id.in_(open_rounds())).order_by(picks.c.round_id, picks.c.rank)
    return [OpenPick(row[0], bool(row[1]), bool(row[2]), row[3], row[4]) for row in connection.execute(found)]


def open_batch(
    connection: Connection,
    choices: Sequence[Choice],
    *,
    strategy: str,
    random_share: float,
    seed: int,
    run_id: int | None,
    now: datetime,
) -> int | None:
    """Open a batch with those of the choices that are still candidates.

    Args:
        connection: Connection in a write transaction.
        choices: Chosen images, in pick order.
        strategy: Strategy that chose.
        random_share: Share that was drawn at random.
        seed: Seed of the campaign.
        run_id: Run of the model that chose.
        now: Current time.

    Returns:
        Number of the round; None if none of the images may be picked any more.
    """
    free = still_candidates(connection, [choice.item_id for choice in choices])
    kept = [choice for choice in choices if choice.item_id in free]
    if not kept:
        return None
    number = add_round(
        connection,
        kept,
        strategy=strategy,
        random_share=random_share,
        seed=seed,
        run_id=run_id,
        now=now,
        keeps_open=True,
    )
    close_finished(connection, now, number - KEPT_OPEN)
    return number


def close_finished(connection: Connection, now: datetime, until: int | None = None) -> int:
    """Close open rounds in which no image waits; return their number.

    Args:
        connection: Connection in a write transaction.
        now: Current time.
        until: Number of the last round to close; None for any.
    """
    done = update(rounds).where(rounds.c.closed_at.is_(None), rounds.c.waiting == 0)
    if until is not None:
        done = done.where(rounds.c.number <= until)
    return connection.execute(done.values(closed_at=now)).rowcount


def update_suggestions(connection: Connection, suggestions: Mapping[int, tuple[int, float]]) -> None:
    """Replace the suggestions of waiting images.

    Args:
        connection: Connection in a write transaction.
        suggestions: Class id and confidence, by item id.
    """
    if not suggestions:
        return
    waiting = picks.c.waits & picks.c.round_id.in_(open_rounds())
    change = update(picks).where(picks.c.item_id == bindparam("b_item"), waiting)
    connection.execute(
        change.values(suggestion=bindparam("b_class"), confidence=bindparam("b_confidence")),
        [
            {"b_item": item, "b_class": found, "b_confidence": confidence}
            for item, (found, confidence) in suggestions.items()
        ],
    )
