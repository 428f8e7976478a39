"""Images with independent answers of two annotators, as a list."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, func, select

from minimax_al.campaign.masks.renumbering import read_renumberings
from minimax_al.campaign.opinions.mask_opinions import from_stored
from minimax_al.campaign.store.database import portions
from minimax_al.campaign.store.schema import classes, items, labels
from minimax_al.campaign.store.schema import second_opinions as opinions
from minimax_al.report.mask_agreement import PixelTable


@dataclass(frozen=True)
class Answer:
    """Answer of one annotator to an image.

    Attributes:
        author: Name of the annotator.
        kind: "label" or "unsure".
        class_name: Class of the label; None for "unsure" and for masks.
        at: Time of the answer.
    """

    author: str
    kind: str
    class_name: str | None
    at: datetime


@dataclass(frozen=True)
class TwoOpinions:
    """Image with independent answers of two annotators.

    Attributes:
        item: Id of the image.
        path: Path of the image.
        reason: Reason for the second opinion: "overlap" or "unsure".
        state: "agreed", "conflict" or "decided".
        first: First answer.
        second: Second answer.
        decision: Answer of the lead; None without one.
        agreement: Share of the drawn pixels that have the same class in both masks; None for classes.
        pixels: Pixels of both masks by their classes; None for classes.
    """

    item: int
    path: str
    reason: Literal["overlap", "unsure"]
    state: Literal["agreed", "conflict", "decided"]
    first: Answer
    second: Answer
    decision: Answer | None
    agreement: float | None = None
    pixels: PixelTable | None = field(default=None, repr=False)


def count_conflicts(connection: Connection) -> int:
    """Return the number of images that wait for a decision."""
    waiting = select(func.count()).select_from(opinions).where(opinions.c.state == "conflict")
    number: int = connection.execute(waiting).scalar_one()
    return number


def list_two_opinions(connection: Connection, state: str | None = None) -> list[TwoOpinions]:
    """Return the images with two opinions, in the order of the second opinions.

    Args:
        connection: Connection.
        state: State of the images; None for all with two opinions.
    """
    wanted = select(opinions, items.c.path).join(items, items.c.id == opinions.c.item_id)
    wanted = wanted.where(opinions.c.second.is_not(None)).order_by(opinions.c.second)
    if state is not None:
        wanted = wanted.where(opinions.c.state == state)
    rows = connection.execute(wanted).all()
    ids = [one for row in rows for one in (row.first, row.second, row.decision) if one is not None]
    given = answers_of(connection, ids)
    changes = read_renumberings(connection)
    return [
        TwoOpinions(
            row.item_id,
            row.path,
            row.reason,
            row.state,
            given[row.first],
            given[row.second],
            given.get(row.decision),
            None if pixels is None else pixels.agreement,
            pixels,
        )
        for row in rows
        for pixels in [None if row.pixels is None else from_stored(row.pixels, changes)]
    ]


def answers_of(connection: Connection, label_ids: Sequence[int]) -> dict[int | None, Answer]:
    """Return answers by their ids in the label history, with the names that their classes have today."""
    anew = select(labels.c.rewrites, func.max(labels.c.id).label("id")).group_by(labels.c.rewrites)
    columns = (labels.c.author, labels.c.kind, classes.c.name, labels.c.at)
    found: dict[int | None, Answer] = {}
    for portion in portions(label_ids):
        newest = anew.where(labels.c.rewrites.in_(portion)).subquery()
        latest = labels.alias("latest")
        wanted = (
            select(labels.c.id, *columns)
            .outerjoin(newest, newest.c.rewrites == labels.c.id)
            .outerjoin(latest, latest.c.id == func.coalesce(newest.c.id, labels.c.id))
            .outerjoin(classes, classes.c.id == latest.c.class_id)
            .where(labels.c.id.in_(portion))
        )
        found |= {row.id: Answer(row.author, row.kind, row.name, row.at) for row in connection.execute(wanted)}
    return found
