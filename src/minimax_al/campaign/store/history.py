"""Label history: events are appended, never changed, and the current labels are derived.

An event is valid until an undo revokes it. The latest valid `label` or `unsure` of an image is its current answer. A
`skip` applies to one round only, and never hides a label.

A change of classes appends answers anew, with the new class or mask. Such a row keeps the author and names the answer
that it rewrites; an undo revokes the answer with all rows that rewrite it.

SQL that does not depend on data is built once per process: to build it anew takes longer than to run it.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Select,
    Subquery,
    bindparam,
    exists,
    func,
    select,
)

from minimax_al.campaign.store.database import portions
from minimax_al.campaign.store.schema import classes, items, labels
from minimax_al.errors import CampaignError

Kind = Literal["label", "skip", "unsure"]

Origin = Literal["page", "bulk", "import", "label-studio", "program"]
"""How an answer came: given on the page, a model's suggestions confirmed there in bulk, imported from a file, pulled
from Label Studio, or given by a program through the Python API."""

BULK: Origin = "bulk"
"""Origin of suggestions that were confirmed in bulk: the model named the class, so these labels never measure it."""


_ANSWERS = ("label", "unsure")
"""Kinds of events that answer an image for good; a skip answers it for one round."""


class ExpectedAnswer(NamedTuple):
    """Answer that an author remembers, to be compared with the last one.

    Attributes:
        kind: "label", "skip" or "unsure".
        class_id: Class of a label in classification; None for any.
    """

    kind: Kind
    class_id: int | None = None


class Event(NamedTuple):
    """Answer of an author about one image.

    Attributes:
        item_id: Id of the image.
        kind: "label", "skip" (a later round may pick the image again) or "unsure" (no round picks it again).
        author: Name of the author.
        at: Time of the answer, with a time zone.
        class_id: Class of a label in classification.
        mask: Mask of a label in segmentation: the sha256 of its file.
        round_id: Round that picked the image; None if no round did.
        origin: How the answer came; None if it is not known.
        rewrites: Id of the answer that a change of classes wrote anew as this one; None if its author gave it.
    """

    item_id: int
    kind: Kind
    author: str
    at: datetime
    class_id: int | None = None
    mask: str | None = None
    round_id: int | None = None
    origin: Origin | None = None
    rewrites: int | None = None


def check_author(author: str) -> None:
    """Raise an error if an author's name is blank.

    Raises:
        CampaignError: The name is blank.
    """
    if not isinstance(author, str) or not author.strip():
        raise CampaignError(f"author {author!r} is blank: give the name of the annotator, which the history stores")


def record(connection: Connection, events: Sequence[Event]) -> None:
    """Append events to the history, in that order."""
    if events:
        connection.execute(labels.insert(), [event._asdict() for event in events])


def undo_last(
    connection: Connection,
    author: str,
    at: datetime,
    item_id: int | None = None,
    expected: ExpectedAnswer | None = None,
) -> Row[Any]:
    """Revoke the author's last valid event (about one image), with the rows that rewrite it.

    Args:
        connection: Connection in a write transaction.
        author: Name of the author.
        at: Time of the undo.
        item_id: Id of the image; None for any.
        expected: Answer that the author remembers; None for any.

    Returns:
        The revoked row; if the answer was rewritten, the newest of its rows.

    Raises:
        CampaignError: The author has no such event, or it differs from `expected`.
    """
    # Rows of a change of classes are newer than later answers: the order is that in which the author gave them.
    theirs = select(labels).where(labels.c.author == author, labels.c.rewrites.is_(None), *is_valid(labels))
    if item_id is not None:
        theirs = theirs.where(labels.c.item_id == item_id)
    given = connection.execute(theirs.order_by(labels.c.id.desc()).limit(1)).first()
    if given is None:
        where = "" if item_id is None else " about this image"
        raise CampaignError(f"{author!r} has no answer{where} that could be undone")
    anew = select(labels).where(labels.c.item_id == given.item_id, labels.c.rewrites == given.id)
    rows: list[Row[Any]] = [given, *connection.execute(anew.order_by(labels.c.id))]
    last = rows[-1]
    if expected is not None and (expected.kind != last.kind or expected.class_id not in (None, last.class_id)):
        raise CampaignError(f"{author!r} has given another answer since, perhaps on another page: nothing was undone")
    undo = {"item_id": last.item_id, "kind": "undo", "author": author, "at": at}
    connection.execute(labels.insert(), [{**undo, "undoes": row.id, "round_id": row.round_id} for row in rows])
    return last


def revoke_all(connection: Connection, item_ids: Sequence[int], author: str, at: datetime) -> list[int]:
    """Revoke every valid label and "unsure" of images; return the ids of those that had one.

    Args:
        connection: Connection in a write transaction.
        item_ids: Item ids of the images.
        author: Author of the revocations.
        at: Time of the revocations.
    """
    valid = select(labels.c.id, labels.c.item_id, labels.c.round_id).where(
        labels.c.kind.in_(_ANSWERS), *is_valid(labels)
    )
    rows = [
        row
        for portion in portions(item_ids)
        for row in connection.execute(valid.where(labels.c.item_id.in_(portion)).order_by(labels.c.id))
    ]
    if rows:
        undo = {"kind": "undo", "author": author, "at": at}
        connection.execute(
            labels.insert(),
            [{"item_id": row.item_id, "undoes": row.id, "round_id": row.round_id, **undo} for row in rows],
        )
    return list(dict.fromkeys(row.item_id for row in rows))


@lru_cache(maxsize=64)
def current_answers(until: datetime | None = None) -> Subquery:
    """Return the current answers, or those of a moment: one row per image, of kind "label" or "unsure"."""
    answers = select(func.max(labels.c.id).label("id")).where(labels.c.kind.in_(_ANSWERS))
    if until is not None:
        answers = answers.where(labels.c.at <= until)
    latest = answers.where(*is_valid(labels, until)).group_by(labels.c.item_id).subquery()
    return select(labels).join(latest, labels.c.id == latest.c.id).subquery("current_answers")


@lru_cache(maxsize=64)
def current_answer(column: str, item_id: ColumnElement[int]) -> ScalarSelect[Any]:
    """Return SQL for: a column of the current answer of one image; NULL if it has none.

    For a few images this is faster than `current_answers` and `is_settled`: one index lookup per image, whereas
    PostgreSQL may read all labels for a join or an EXISTS.
    """
    answer = labels.alias(f"current_{column}")
    of_item = (answer.c.item_id == item_id, answer.c.kind.in_(_ANSWERS), *is_valid(answer))
    latest = select(answer.c[column]).where(*of_item).order_by(answer.c.item_id, answer.c.id.desc()).limit(1)
    return latest.correlate_except(answer).scalar_subquery()


def given_id(item_id: ColumnElement[int]) -> ColumnElement[int]:
    """Return SQL for: the id of the current answer of an image as its author gave it, before it was rewritten."""
    return func.coalesce(current_answer("rewrites", item_id), current_answer("id", item_id))


def newest_answers(connection: Connection) -> Sequence[Row[Any]]:
    """Return the newest row of every valid label and "unsure", by image and then in the order of the history."""
    given = func.coalesce(labels.c.rewrites, labels.c.id)
    newest = select(func.max(labels.c.id).label("id")).where(labels.c.kind.in_(_ANSWERS), *is_valid(labels))
    rows = newest.group_by(given).subquery()
    return connection.execute(
        select(labels).join(rows, labels.c.id == rows.c.id).order_by(labels.c.item_id, labels.c.id)
    ).all()


def answer_of(connection: Connection, item_id: int) -> Row[Any] | None:
    """Return the row of the history that is the current answer of an image; None without one."""
    return connection.execute(_answer_of(), {"answered": item_id}).first()


@cache
def _answer_of() -> Select[Any]:
    return select(labels).where(labels.c.id == current_answer("id", bindparam("answered", type_=labels.c.item_id.type)))


@cache
def current_labels(*, unsure: bool = False) -> Select[Any]:
    """Return the query for all images with a label, in the order of labelling.

    Its columns are those of the image and of its current label. `group_id` is the image that represents it and its
    duplicates.

    Args:
        unsure: Whether to include images answered "unsure", without class and mask.
    """
    current = current_answers()
    return (
        select(
            current.c.id.label("label_id"),
            current.c.item_id,
            items.c.path,
            items.c.status,
            func.coalesce(items.c.duplicate_of, items.c.id).label("group_id"),
            items.c.content_hash,
            items.c.width,
            items.c.height,
            current.c.class_id,
            classes.c.name.label("class_name"),
            current.c.mask,
            current.c.author,
            current.c.at,
            current.c.round_id,
            current.c.origin,
        )
        .join(items, items.c.id == current.c.item_id)
        .outerjoin(classes, classes.c.id == current.c.class_id)
        .where(current.c.kind.in_(_ANSWERS if unsure else ("label",)))
        .order_by(current.c.id)
    )


def answer_authors(connection: Connection, item_ids: Sequence[int]) -> dict[int, str]:
    """Return the author of the last valid answer of each image, skips included; images without one are left out.

    Args:
        connection: Connection.
        item_ids: Ids of the images.
    """
    given = select(labels.c.item_id, labels.c.author).where(*is_valid(labels)).order_by(labels.c.id)
    rows = [connection.execute(given.where(labels.c.item_id.in_(portion))) for portion in portions(item_ids)]
    return {row.item_id: row.author for found in rows for row in found}


def image_and_mask(item_id: int) -> Select[Any]:
    """Return the query for path, content_hash and current mask of one image."""
    mask = current_answer("mask", items.c.id).label("mask")
    return select(items.c.path, items.c.content_hash, mask).where(items.c.id == item_id)


def answered_items(connection: Connection) -> set[int]:
    """Return ids of all images with a current label or "unsure"."""
    return set(connection.scalars(_answered_ids()))


@cache
def _answered_ids() -> Select[Any]:
    return select(current_answers().c.item_id)


def has_labels(connection: Connection) -> bool:
    """Return whether an image has a current label, "unsure" not counted."""
    held = current_answers()
    return connection.execute(select(held.c.id).where(held.c.kind == "label").limit(1)).first() is not None


def last_event(connection: Connection) -> int:
    """Return the id of the latest row of the history; 0 if it is empty."""
    last: int = connection.execute(select(func.coalesce(func.max(labels.c.id), 0))).scalar_one()
    return last


def count_annotators(connection: Connection, since: datetime) -> int:
    """Return how many authors have answered since a moment, among those of the latest 500 rows of the history."""
    recent = select(labels.c.author, labels.c.at, labels.c.rewrites).order_by(labels.c.id.desc()).limit(500).subquery()
    counted = select(func.count(recent.c.author.distinct())).where(recent.c.at >= since, recent.c.rewrites.is_(None))
    number: int = connection.execute(counted).scalar_one()
    return number


def labelled_at(connection: Connection, until: datetime | None) -> int:
    """Return how many images had a label at a moment; None for the present."""
    held = current_answers(until)
    count: int = connection.execute(select(func.count()).where(held.c.kind == "label")).scalar_one()
    return count


@lru_cache(maxsize=64)
def is_settled(item_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Return SQL for: the image has a current label or "unsure"."""
    answer = labels.alias("answer")
    return exists().where(answer.c.item_id == item_id, answer.c.kind.in_(_ANSWERS), *is_valid(answer))


@lru_cache(maxsize=64)
def answer_in(item_id: ColumnElement[int], round_id: ColumnElement[int]) -> ColumnElement[str | None]:
    """Return SQL for: "label" or "unsure" if the image has a current answer, else "skip" if this round skipped it."""
    skipped = labels.alias("skipped")
    here = (skipped.c.item_id == item_id, skipped.c.kind == "skip", skipped.c.round_id == round_id)
    skip = select(skipped.c.kind).where(*here, *is_valid(skipped)).limit(1).correlate_except(skipped)
    return func.coalesce(current_answer("kind", item_id), skip.scalar_subquery())


@lru_cache(maxsize=64)
def is_valid(table: Any, until: datetime | None = None) -> tuple[ColumnElement[bool], ...]:  # noqa: ANN401 - or an alias
    """Return SQL for: a row of the history is an answer that no undo has revoked (until a moment)."""
    undo = labels.alias(f"undo_of_{table.name}")
    undone = exists().where(undo.c.undoes == table.c.id)
    return table.c.kind != "undo", ~(undone if until is None else undone.where(undo.c.at <= until))
