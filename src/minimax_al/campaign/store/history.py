"""What people have said about images: rows are added, never changed, and what holds now is derived.

An event stands until it is undone. Of an image's standing events the latest `label` or `unsure` holds; a
`skip` says only that somebody did not want to answer in that round, and never hides a label.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, Select, Subquery, exists, func, select

from minimax_al.campaign.store.database import portions
from minimax_al.campaign.store.schema import classes, items, labels
from minimax_al.errors import CampaignError

Kind = Literal["label", "skip", "unsure"]


class Said(NamedTuple):
    """What somebody remembers having said.

    Attributes:
        kind: "label", "skip" or "unsure".
        class_id: of a label in classification; None for any.
    """

    kind: Kind
    class_id: int | None = None


class Event(NamedTuple):
    """One thing that somebody said about one image.

    Attributes:
        item_id: the image.
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


def check_author(author: str) -> None:
    """Refuses a name that says nothing.

    Raises:
        CampaignError: it is blank.
    """
    if not isinstance(author, str) or not author.strip():
        raise CampaignError(f"author {author!r} is blank: say who answers, so that the history can tell")


def record(connection: Connection, events: Sequence[Event]) -> None:
    """Adds events to the history, in that order."""
    if events:
        connection.execute(labels.insert(), [event._asdict() for event in events])


def undo_last(
    connection: Connection, author: str, at: datetime, item_id: int | None = None, said: Said | None = None
) -> Row[Any]:
    """Takes back the author's latest standing event (on one image).

    Returns:
        The row that no longer stands.

    Raises:
        CampaignError: there is none, or it is not what the author remembers.
    """
    theirs = select(labels).where(labels.c.author == author, *_standing(labels))
    if item_id is not None:
        theirs = theirs.where(labels.c.item_id == item_id)
    last = connection.execute(theirs.order_by(labels.c.id.desc()).limit(1)).first()
    if last is None:
        what = "nothing" if item_id is None else "nothing about this image"
        raise CampaignError(f"{author!r} has said {what} that could be undone")
    if said is not None and (said.kind != last.kind or said.class_id not in (None, last.class_id)):
        raise CampaignError(f"{author!r} has said something else since, on another page say: nothing was taken back")
    connection.execute(
        labels.insert().values(
            item_id=last.item_id, kind="undo", author=author, at=at, undoes=last.id, round_id=last.round_id
        )
    )
    return last


def revoke_all(connection: Connection, item_ids: Sequence[int], author: str, at: datetime) -> list[int]:
    """Revoke every standing label and "unsure" of images; return the ids of those that had one.

    Args:
        connection: Connection in a write transaction.
        item_ids: Item ids of the images.
        author: Author of the revocations.
        at: Time of the revocations.
    """
    standing = select(labels.c.id, labels.c.item_id, labels.c.round_id).where(
        labels.c.kind.in_(("label", "unsure")), *_standing(labels)
    )
    rows = [
        row
        for portion in portions(item_ids)
        for row in connection.execute(standing.where(labels.c.item_id.in_(portion)).order_by(labels.c.id))
    ]
    if rows:
        undo = {"kind": "undo", "author": author, "at": at}
        connection.execute(
            labels.insert(),
            [{"item_id": row.item_id, "undoes": row.id, "round_id": row.round_id, **undo} for row in rows],
        )
    return list(dict.fromkeys(row.item_id for row in rows))


def holding(until: datetime | None = None) -> Subquery:
    """The rows of `labels` that hold now, or held at a moment: one an image, of kind "label" or "unsure"."""
    said = select(func.max(labels.c.id).label("id")).where(labels.c.kind.in_(("label", "unsure")))
    if until is not None:
        said = said.where(labels.c.at <= until)
    latest = said.where(*_standing(labels, until)).group_by(labels.c.item_id).subquery()
    return select(labels).join(latest, labels.c.id == latest.c.id).subquery("holding")


def what_holds(column: str, item_id: ColumnElement[int]) -> ScalarSelect[Any]:
    """SQL: a column of the row of `labels` that holds for one image; NULL where nothing does.

    For a few images faster than `holding` and `is_settled`: a look at the index each, where PostgreSQL may prefer
    to read all labels once for a join or an EXISTS.
    """
    said = labels.alias(f"holds_{column}")
    of_item = (said.c.item_id == item_id, said.c.kind.in_(("label", "unsure")), *_standing(said))
    latest = select(said.c[column]).where(*of_item).order_by(said.c.item_id, said.c.id.desc()).limit(1)
    return latest.correlate_except(said).scalar_subquery()


def current_labels(*, unsure: bool = False) -> Select[Any]:
    """Every image with a label that holds: item_id, path, status, group_id, class_name, mask, author, at.

    With `unsure` also those that nobody could tell, without class and mask.

    `group_id` is the image that stands for it and for its duplicates.
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
        .where(now.c.kind.in_(("label", "unsure") if unsure else ("label",)))
        .order_by(now.c.id)
    )


def what_is_seen(item_id: int) -> Select[Any]:
    """The path and content_hash of one image, and the mask that holds of it, if any."""
    mask = what_holds("mask", items.c.id).label("mask")
    return select(items.c.path, items.c.content_hash, mask).where(items.c.id == item_id)


def labelled_items(connection: Connection) -> set[int]:
    """Ids of all images about which a label or "unsure" stands."""
    return set(connection.scalars(select(holding().c.item_id)))


def labelled_at(connection: Connection, until: datetime | None) -> int:
    """How many images had a label at a moment; None for now."""
    held = holding(until)
    count: int = connection.execute(select(func.count()).where(held.c.kind == "label")).scalar_one()
    return count


def is_settled(item_id: ColumnElement[int]) -> ColumnElement[bool]:
    """SQL: a label or "unsure" stands for the image."""
    said = labels.alias("said")
    return exists().where(said.c.item_id == item_id, said.c.kind.in_(("label", "unsure")), *_standing(said))


def answer_in(item_id: ColumnElement[int], round_id: ColumnElement[int]) -> ColumnElement[str | None]:
    """SQL: "label" or "unsure" where one holds for the image; else "skip" where it was skipped in this round."""
    skipped = labels.alias("skipped")
    here = (skipped.c.item_id == item_id, skipped.c.kind == "skip", skipped.c.round_id == round_id)
    skip = select(skipped.c.kind).where(*here, *_standing(skipped)).limit(1).correlate_except(skipped)
    return func.coalesce(what_holds("kind", item_id), skip.scalar_subquery())


def _standing(table: Any, until: datetime | None = None) -> tuple[ColumnElement[bool], ...]:  # noqa: ANN401 - or an alias
    undo = labels.alias(f"undo_of_{table.name}")
    undone = exists().where(undo.c.undoes == table.c.id)
    return table.c.kind != "undo", ~(undone if until is None else undone.where(undo.c.at <= until))
