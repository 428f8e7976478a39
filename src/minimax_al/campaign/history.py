"""What people have said about pictures: rows are added, never changed, and what holds now is derived.

An event stands until it is undone. Of a picture's standing events the latest `label` or `unsure` holds; a
`skip` says only that somebody did not want to answer in that round, and never hides a label.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, Select, Subquery, exists, func, select

from minimax_al.campaign.schema import classes, items, labels
from minimax_al.errors import CampaignError

Kind = Literal["label", "skip", "unsure"]


class Event(NamedTuple):
    """One thing that somebody said about one picture.

    Attributes:
        item_id: the picture.
        kind: "label", "skip" (not now) or "unsure" (nobody can tell).
        author: who.
        at: when, with a time zone.
        class_id: of a label in classification.
        mask: of a label in segmentation: the sha256 of its file.
        round_id: the round that asked; None where none did.
    """

    item_id: int
    kind: Kind
    author: str
    at: datetime
    class_id: int | None = None
    mask: str | None = None
    round_id: int | None = None


def record(connection: Connection, events: Sequence[Event]) -> None:
    """Adds events to the history, in that order."""
    if events:
        connection.execute(labels.insert(), [event._asdict() for event in events])


def undo_last(connection: Connection, author: str, at: datetime, item_id: int | None = None) -> Row[Any]:
    """Takes back the author's latest standing event (on one picture).

    Returns:
        The row that no longer stands.

    Raises:
        CampaignError: there is none.
    """
    theirs = select(labels).where(labels.c.author == author, *_standing(labels))
    if item_id is not None:
        theirs = theirs.where(labels.c.item_id == item_id)
    last = connection.execute(theirs.order_by(labels.c.id.desc()).limit(1)).first()
    if last is None:
        what = "nothing" if item_id is None else "nothing about this picture"
        raise CampaignError(f"{author!r} has said {what} that could be undone")
    connection.execute(
        labels.insert().values(
            item_id=last.item_id, kind="undo", author=author, at=at, undoes=last.id, round_id=last.round_id
        )
    )
    return last


def holding() -> Subquery:
    """The rows of `labels` that hold now: one a picture, of kind "label" or "unsure"."""
    latest = (
        select(func.max(labels.c.id).label("id"))
        .where(labels.c.kind.in_(("label", "unsure")), *_standing(labels))
        .group_by(labels.c.item_id)
        .subquery()
    )
    return select(labels).join(latest, labels.c.id == latest.c.id).subquery("holding")


def holding_id(item_id: ColumnElement[int]) -> ScalarSelect[int]:
    """SQL: the id of the row of `labels` that holds for one picture; for a few pictures faster than `holding`."""
    said = labels.alias("holds")
    of_item = (said.c.item_id == item_id, said.c.kind.in_(("label", "unsure")), *_standing(said))
    return select(func.max(said.c.id)).where(*of_item).correlate_except(said).scalar_subquery()


def current_labels() -> Select[Any]:
    """Every picture with a label that holds: item_id, path, status, group_id, class_name, mask, author, at.

    `group_id` is the picture that stands for it and for its duplicates.
    """
    now = holding()
    return (
        select(
            now.c.id.label("label_id"),
            now.c.item_id,
            items.c.path,
            items.c.status,
            func.coalesce(items.c.duplicate_of, items.c.id).label("group_id"),
            items.c.content_hash,
            items.c.width,
            items.c.height,
            now.c.class_id,
            classes.c.name.label("class_name"),
            now.c.mask,
            now.c.author,
            now.c.at,
        )
        .join(items, items.c.id == now.c.item_id)
        .outerjoin(classes, classes.c.id == now.c.class_id)
        .where(now.c.kind == "label")
        .order_by(now.c.id)
    )


def labelled_items(connection: Connection) -> set[int]:
    """Ids of all pictures about which a label or "unsure" stands."""
    return set(connection.scalars(select(holding().c.item_id)))


def is_settled(item_id: ColumnElement[int]) -> ColumnElement[bool]:
    """SQL: a label or "unsure" stands for the picture."""
    said = labels.alias("said")
    return exists().where(said.c.item_id == item_id, said.c.kind.in_(("label", "unsure")), *_standing(said))


def is_answered(item_id: ColumnElement[int], round_id: ColumnElement[int]) -> ColumnElement[bool]:
    """SQL: the picture is settled, or was skipped in this round."""
    skipped = labels.alias("skipped")
    skip = exists().where(
        skipped.c.item_id == item_id, skipped.c.kind == "skip", skipped.c.round_id == round_id, *_standing(skipped)
    )
    return is_settled(item_id) | skip


def _standing(table: Any) -> tuple[ColumnElement[bool], ...]:  # noqa: ANN401 - a table or its alias
    undo = labels.alias(f"undo_of_{table.name}")
    return table.c.kind != "undo", ~exists().where(undo.c.undoes == table.c.id)
