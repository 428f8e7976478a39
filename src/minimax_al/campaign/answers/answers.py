"""Answers of annotators: labels, skips, unsures, and undo."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, TypedDict

from sqlalchemy import Connection, select, update

from minimax_al.campaign.answers.leases import end_leases
from minimax_al.campaign.answers.validation import MASKS, decide_membership
from minimax_al.campaign.images.duplicates import separate_by_labels
from minimax_al.campaign.opinions import second_opinions
from minimax_al.campaign.opinions.mask_opinions import MaskJudge
from minimax_al.campaign.rounds.rounds import picked_by_latest
from minimax_al.campaign.settings.settings import CampaignSettings
from minimax_al.campaign.store.database import after_writing, portions
from minimax_al.campaign.store.history import (
    BULK,
    Event,
    ExpectedAnswer,
    Kind,
    Origin,
    answer_of,
    check_author,
    current_answer,
    given_id,
    record,
    revoke_all,
    undo_last,
)
from minimax_al.campaign.store.schema import classes, items
from minimax_al.campaign.store.waiting import update_waiting
from minimax_al.errors import AnsweredMeanwhileError


class Undone(NamedTuple):
    """Answer that an undo revoked.

    Attributes:
        item: Id of the image.
        path: Path of the image.
        kind: "label", "skip" or "unsure".
        class_name: Class of the label; None for other answers.
    """

    item: int
    path: str
    kind: str
    class_name: str | None


class AnswerOptions(TypedDict, total=False):
    """Options of an answer, see `answer`."""

    if_waiting: bool
    own_only: bool
    decides: bool
    replace_decision: bool
    origin: Origin
    replaces: int | None


def answer(
    connection: Connection,
    ids: Sequence[int],
    kind: Kind,
    author: str,
    *,
    settings: CampaignSettings,
    now: datetime,
    class_id: int | None = None,
    mask: str | None = None,
    if_waiting: bool = False,
    own_only: bool = False,
    decides: bool = False,
    replace_decision: bool = False,
    origin: Origin = "program",
    replaces: int | None = None,
    judge: MaskJudge | None = None,
) -> list[int]:
    """Record one answer to one or more images, leased or not; a late answer counts.

    Args:
        connection: Connection in a write transaction.
        ids: Ids of the images.
        kind: Kind of the answer.
        author: Name of the annotator.
        settings: Settings of the campaign.
        now: Time of the answer.
        class_id: Class of a label in classification.
        mask: Name of a label's mask in segmentation.
        if_waiting: Whether the author knows of no answer. An image answered meanwhile keeps that answer; the history
            has this one as revoked.
        own_only: Whether images that another author has answered keep that answer, in the same way.
        decides: Whether the answer decides a conflict between two annotators.
        replace_decision: Whether it replaces a decision of another lead, and answers that are not a conflict.
        origin: How the answer came.
        replaces: Id in the label history of the answer that the author has seen and corrects, 0 for none; None if the
            author has not looked.
        judge: Judge of two masks; None for classes.

    Returns:
        Ids of the images that keep an earlier answer.

    Raises:
        AnsweredMeanwhileError: An image has another answer than `replaces`, or the answer decides an image
            that is not a conflict or that another lead has decided.
    """
    check_author(author)
    if decides and not replace_decision:
        second_opinions.check_conflicts(connection, ids, author)
    by_others = _answered(connection, ids, author) if own_only else set()
    if replaces is not None:
        # An author who may not see another's answer cannot compare with it: that answer is kept, as without `replaces`.
        _check_unchanged(connection, [item for item in ids if item not in by_others], replaces)
    rounds = picked_by_latest(connection, ids)
    events = [Event(item, kind, author, now, class_id, mask, rounds.get(item), origin) for item in ids]
    by_anybody = _answered(connection, ids)
    answered = by_anybody if if_waiting else by_others
    if answered:
        answered = answered - second_opinions.waiting_for(connection, ids, author)
    independent = set(ids) if if_waiting else second_opinions.leased_to(connection, ids, author)
    if replaces is not None:
        independent = set()  # the author has seen the other answer
    record_superseded(connection, [event for event in events if event.item_id in answered], now)
    counted = [event for event in events if event.item_id not in answered]
    record_answers(connection, counted, settings)
    second_opinions.record_opinions(
        connection,
        counted,
        settings,
        answered=by_anybody,
        independent=independent,
        decides=decides,
        judge=judge,
    )
    return [item for item in ids if item in answered]


def record_answers(connection: Connection, events: Sequence[Event], settings: CampaignSettings) -> None:
    """Record events, and update everything that follows from them."""
    record(connection, events)
    labelled = [(event.item_id, event.class_id or MASKS) for event in _labels_of(events)]
    separate_by_labels(connection, [item for item, stratum in labelled if stratum != MASKS])
    # The model named the class of a suggestion that was confirmed in bulk: such a label cannot measure a model.
    measuring = [(event.item_id, event.class_id or MASKS) for event in _labels_of(events) if event.origin != BULK]
    decide_membership(connection, measuring, settings.validation_share, settings.seed)
    end_leases(connection, [event.item_id for event in events])
    for portion in portions([event.item_id for event in _labels_of(events) if event.rewrites is None]):
        # The author has seen these images with their changed content.
        again = update(items).where(items.c.id.in_(portion), items.c.status == "changed")
        connection.execute(again.values(status="active"))
    update_waiting(connection, [event.item_id for event in events])
    after_writing(connection, len(events))


def _labels_of(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.kind == "label"]


def record_superseded(connection: Connection, events: Sequence[Event], now: datetime) -> None:
    """Record answers that a newer answer already supersedes.

    Each is appended and revoked at once, so that the current label does not change and nothing follows from it.
    """
    for event in events:
        record(connection, [event])
        undo_last(connection, event.author, now, event.item_id)


def undo(
    connection: Connection,
    author: str,
    now: datetime,
    item_id: int | None = None,
    expected: ExpectedAnswer | None = None,
    *,
    judge: MaskJudge | None = None,
) -> Undone:
    """Revoke an author's last answer (about one image); the image waits again if its round is open.

    Args:
        connection: Connection in a write transaction.
        author: Name of the annotator.
        now: Time of the undo.
        item_id: Id of the image; None for the image of the last answer.
        expected: Answer that the author remembers; None for any.
        judge: Judge of two masks; None for classes.

    Raises:
        CampaignError: The author has no answer to revoke, or the last one is another than expected.
    """
    check_author(author)
    row = undo_last(connection, author, now, item_id, expected)
    second_opinions.revoke_opinion(connection, row.item_id, row.rewrites or row.id, judge)
    stale = given_id(items.c.id) <= items.c.changed_after
    again = update(items).where(items.c.id == row.item_id, items.c.status == "active", stale)
    connection.execute(again.values(status="changed"))  # the current answer is about the file's former content
    update_waiting(connection, [row.item_id])
    path = connection.execute(select(items.c.path).where(items.c.id == row.item_id)).scalar_one()
    name = connection.execute(select(classes.c.name).where(classes.c.id == row.class_id)).scalar()
    return Undone(row.item_id, path, row.kind, name)


def withdraw(connection: Connection, ids: Sequence[int], author: str, now: datetime) -> int:
    """Withdraw the labels and "unsure" answers of images, of every author; in an open round they wait again.

    Args:
        connection: Connection in a write transaction.
        ids: Item ids of the images.
        author: Author of the withdrawal.
        now: Current time.

    Returns:
        Number of images that had an answer.
    """
    check_author(author)
    withdrawn = revoke_all(connection, ids, author, now)
    second_opinions.forget(connection, withdrawn)
    for portion in portions(withdrawn):
        again = update(items).where(items.c.id.in_(portion), items.c.status == "changed")
        # The withdrawn label was the only reason to watch the file: accept its present content as unchanged.
        connection.execute(again.values(status="active", changed_after=None, labelled_hash=None))
    update_waiting(connection, withdrawn)
    after_writing(connection, len(withdrawn))
    return len(withdrawn)


def _answered(connection: Connection, ids: Sequence[int], but_by: str | None = None) -> set[int]:
    """Return those of the images whose current content has a label or "unsure", by another author than this one."""
    held = select(items.c.id).where(items.c.status != "changed", current_answer("id", items.c.id).is_not(None))
    if but_by is not None:
        held = held.where(current_answer("author", items.c.id) != but_by)
    return {item for portion in portions(ids) for item in connection.scalars(held.where(items.c.id.in_(portion)))}


def _check_unchanged(connection: Connection, ids: Sequence[int], replaces: int) -> None:
    """Raise an error if an image has another answer than the one that the author has seen.

    Raises:
        AnsweredMeanwhileError: Another answer was given, or the seen one was revoked.
    """
    for item_id in ids:
        seen = answer_of(connection, item_id)
        if (0 if seen is None else seen.id) == replaces:
            continue
        path = connection.execute(select(items.c.path).where(items.c.id == item_id)).scalar_one()
        if seen is None:
            raise AnsweredMeanwhileError(f"the answer to {path!r} was withdrawn after you opened it: nothing was saved")
        if seen.rewrites is not None:
            raise AnsweredMeanwhileError(
                f"the classes were changed at {seen.at:%H:%M} UTC, after you opened {path!r}: nothing was saved"
            )
        raise AnsweredMeanwhileError(
            f"{seen.author!r} has answered {path!r} at {seen.at:%H:%M} UTC, after you opened it: nothing was saved"
        )
