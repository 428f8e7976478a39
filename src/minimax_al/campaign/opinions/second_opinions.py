"""Second opinions: images that another annotator answers too, without seeing the first answer.

Two reasons send an image to another annotator: it belongs to the share that the setting `overlap` gives to two
annotators, or its annotator was unsure. Opinions that differ are conflicts, which a lead decides; two masks differ if
too few of their pixels have the same class. The current label is still the newest valid one of the history; this table
records which answers were given independently, by the rows that their authors gave. Where a change of classes rewrote
an answer, its newest row has the class.

States of an image: `waits` for the second opinion, `agreed`, `conflict`, `decided`.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, func, or_, select, update

from minimax_al.campaign.masks.renumbering import read_renumberings
from minimax_al.campaign.opinions.mask_opinions import MaskJudge, as_stored, from_stored
from minimax_al.campaign.opinions.two_opinions import Answer, answers_of
from minimax_al.campaign.rounds.rounds import FREE, Pick, as_pick, has_lapsed, pick_rows
from minimax_al.campaign.settings.settings import CampaignSettings
from minimax_al.campaign.store.database import portions
from minimax_al.campaign.store.history import Event, answer_of, current_answer, is_valid
from minimax_al.campaign.store.schema import items, labels, picks
from minimax_al.campaign.store.schema import second_opinions as opinions
from minimax_al.errors import AnsweredMeanwhileError

Opinion = Literal["first", "second"]
"""One of the two annotators of an image."""


def in_overlap(item_id: int, settings: CampaignSettings) -> bool:
    """Return whether two annotators answer an image; a pure function of its id and the seed."""
    digest = hashlib.blake2b(f"overlap {settings.seed} {item_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < settings.overlap * 2**64


def waiting_for(connection: Connection, item_ids: Sequence[int], author: str) -> set[int]:
    """Return those of the images that wait for a second opinion of this author."""
    open_ = _with_first().where(opinions.c.state == "waits", labels.c.author != author)
    rows = [connection.execute(open_.where(opinions.c.item_id.in_(portion))) for portion in portions(item_ids)]
    return {row.item_id for found in rows for row in found}


def record_opinions(
    connection: Connection,
    events: Sequence[Event],
    settings: CampaignSettings,
    *,
    answered: Collection[int],
    independent: Collection[int],
    decides: bool = False,
    judge: MaskJudge | None = None,
) -> None:
    """Record which opinions new answers are; call it after they are in the history.

    Args:
        connection: Connection in a write transaction.
        events: Answers of annotators, one per image.
        settings: Settings of the campaign.
        answered: Ids of the images that had an answer before.
        independent: Ids of the images whose author knew of no other answer.
        decides: Whether the answers decide conflicts.
        judge: Judge of two masks; None for classes.
    """
    for event in events:
        if event.kind == "skip":  # its author is not asked again
            _store(connection, event.item_id, **FREE)
    given = [event for event in events if event.kind in ("label", "unsure")]
    known = _rows(connection, [event.item_id for event in given])
    for event in given:
        row = known.get(event.item_id)
        if row is None:
            _begin(connection, event, settings, is_first=event.item_id not in answered)
            continue
        theirs = _latest(connection, event)
        if decides or (event.author not in _authors(connection, row) and _has_enough(row, event, independent)):
            _store(connection, event.item_id, state="decided", decision=theirs)
        else:
            side = "first" if _authors(connection, row)[0] == event.author else "second"
            _store(connection, event.item_id, **{side: theirs})
            settle(connection, event.item_id, judge)


def _has_enough(row: Row[Any], event: Event, independent: Collection[int]) -> bool:
    """Return whether a further author's answer is a decision and not the second opinion."""
    return row.second is not None or event.item_id not in independent


def _begin(connection: Connection, event: Event, settings: CampaignSettings, *, is_first: bool) -> None:
    """Ask for a second opinion if there is a reason; only images that a round picked have a place in a queue."""
    chosen = is_first and in_overlap(event.item_id, settings)
    reason = "overlap" if chosen else "unsure" if event.kind == "unsure" else None
    if reason is None or not connection.execute(select(picks.c.id).where(picks.c.item_id == event.item_id)).first():
        return
    row = {"item_id": event.item_id, "reason": reason, "state": "waits", "first": _latest(connection, event)}
    connection.execute(opinions.insert().values(row))


def settle(connection: Connection, item_id: int, judge: MaskJudge | None = None) -> None:
    """Store the state that follows from the opinions about an image.

    Args:
        connection: Connection in a write transaction.
        item_id: Id of the image.
        judge: Judge of two masks; without one, they agree if they are equal.
    """
    row = _rows(connection, [item_id])[item_id]
    first = _opinion(connection, row.first)
    if row.second is None:
        if row.reason == "unsure" and first[0] == "label":
            forget(connection, [item_id])  # the annotator knows the class after all
        else:
            _store(connection, item_id, state="waits", decision=None, pixels=None)
        return
    second = _opinion(connection, row.second)
    settled, pixels = first[0] == "unsure" or first == second, None
    if judge is not None and first[2] is not None and second[2] is not None:
        table = judge.compare(connection, (row.first, first[2]), (row.second, second[2]))
        settled, pixels = table.agrees(judge.least), as_stored(connection, table)
    state = "agreed" if settled else "conflict"
    _store(connection, item_id, state=state, decision=None, pixels=pixels, **FREE)


def check_conflicts(connection: Connection, item_ids: Sequence[int], author: str) -> None:
    """Raise an error if an image is not a conflict, or if another lead has decided it.

    Args:
        connection: Connection in a write transaction.
        item_ids: Ids of the images.
        author: Name of the lead; a decision of the same author may be replaced.

    Raises:
        AnsweredMeanwhileError: An image is not a conflict, or another lead has decided it.
    """
    rows = _rows(connection, item_ids)
    decisions = answers_of(connection, [row.decision for row in rows.values() if row.decision is not None])
    for item in item_ids:
        row = rows.get(item)
        decision = None if row is None else decisions.get(row.decision)
        if (row is not None and row.state == "conflict") or (decision is not None and decision.author == author):
            continue
        path = connection.execute(select(items.c.path).where(items.c.id == item)).scalar_one()
        if decision is None:
            raise AnsweredMeanwhileError(
                f"{path!r} is not a conflict between two annotators any more: nothing was saved"
            )
        raise AnsweredMeanwhileError(
            f"{decision.author!r} has decided {path!r} {_words_of(decision)} at {decision.at:%H:%M} UTC: "
            "nothing was saved"
        )


def _words_of(decision: Answer) -> str:
    if decision.class_name is not None:
        return f"as {decision.class_name!r}"
    return "as unsure" if decision.kind == "unsure" else "with a mask"


def judge_again(connection: Connection, settings: CampaignSettings) -> None:
    """Decide anew which pairs of answers agree; conflicts that a lead has decided stay decided.

    The classes of both answers are compared, or the counted pixels of both masks with `mask_agreement`.

    Args:
        connection: Connection in a write transaction.
        settings: Settings of the campaign.
    """
    changes = read_renumberings(connection)
    for row in connection.execute(select(opinions).where(opinions.c.state.in_(("agreed", "conflict")))).all():
        if settings.task == "classification":
            settle(connection, row.item_id)
        elif row.pixels is not None:
            agrees = from_stored(row.pixels, changes).agrees(settings.mask_agreement)
            _store(connection, row.item_id, state="agreed" if agrees else "conflict")


def revoke_opinion(connection: Connection, item_id: int, label_id: int, judge: MaskJudge | None = None) -> None:
    """Take an answer back that was an opinion or a decision; its author answers again, or another does.

    Args:
        connection: Connection in a write transaction.
        item_id: Id of the image.
        label_id: Id of the answer in the label history, as its author gave it.
        judge: Judge of two masks, as in `settle`.
    """
    row = _rows(connection, [item_id]).get(item_id)
    if row is None or label_id not in (row.first, row.second, row.decision):
        return
    if row.decision == label_id:
        left = answer_of(connection, item_id)
        earlier = None if left is None else left.rewrites or left.id
        if earlier is not None and row.second is not None and earlier > max(row.first, row.second):
            _store(connection, item_id, decision=earlier)  # an answer that the revoked decision had replaced
            return
        _store(connection, item_id, decision=None)
    elif row.second == label_id:
        _store(connection, item_id, second=None)
    elif row.second is None:
        forget(connection, [item_id])
        return
    else:
        _store(connection, item_id, first=row.second, second=None)
    settle(connection, item_id, judge)


def forget(connection: Connection, item_ids: Iterable[int]) -> None:
    """Forget the opinions about images, whose answers were withdrawn."""
    for portion in portions(list(item_ids)):
        connection.execute(delete(opinions).where(opinions.c.item_id.in_(portion)))


def lease_opinions(
    connection: Connection, holder: tuple[str, str | None], count: int, now: datetime, until: datetime
) -> tuple[Pick, ...]:
    """Lease images that wait for a second opinion of the holder; they look like images without an answer.

    Args:
        connection: Connection in a write transaction.
        holder: Author and session.
        count: Largest number of images.
        now: Current time of the lease clock.
        until: End of the lease.
    """
    author, session = holder
    columns = opinions.c
    theirs = (columns.lease_holder == author) & columns.lease_session.is_not_distinct_from(session)
    free: ColumnElement[bool] = or_(columns.lease_holder.is_(None), has_lapsed(now, opinions))
    wanted = (
        _with_first()
        .where(columns.state == "waits", labels.c.author != author, or_(theirs, free), ~_answered_by(author))
        .where(_is_of_use())
        .order_by(theirs.desc(), columns.first)
        .limit(count)
    )
    ids = [row.item_id for row in connection.execute(wanted)]
    held = {"lease_holder": author, "lease_session": session, "lease_from": now, "lease_until": until}
    leased: list[Pick] = []
    for portion in portions(ids):
        connection.execute(update(opinions).where(columns.item_id.in_(portion)).values(held))
        latest = select(func.max(picks.c.id)).where(picks.c.item_id.in_(portion)).group_by(picks.c.item_id)
        leased += [
            replace(_blind(as_pick(row)), lease_holder=author, lease_until=until, lease_from=now)
            for row in connection.execute(pick_rows().where(picks.c.id.in_(latest)))
        ]
    return tuple(leased)


def release_opinions(connection: Connection, holder: tuple[str, str | None]) -> int:
    """Return a holder's images to those that wait for a second opinion; without a session, those of all sessions."""
    author, session = holder
    held = update(opinions).where(opinions.c.lease_holder == author)
    if session is not None:
        held = held.where(opinions.c.lease_session == session)
    return connection.execute(held.values(FREE)).rowcount


def leased_to(connection: Connection, item_ids: Sequence[int], author: str) -> set[int]:
    """Return those of the images that are leased to an author for a second opinion."""
    held = select(opinions.c.item_id).where(opinions.c.lease_holder == author, opinions.c.state == "waits")
    found = [connection.scalars(held.where(opinions.c.item_id.in_(portion))) for portion in portions(item_ids)]
    return {item for some in found for item in some}


def mask_of_opinion(connection: Connection, item_id: int, which: Opinion) -> tuple[int, str] | None:
    """Return id in the label history and name of one annotator's mask; None if it does not exist."""
    row = _rows(connection, [item_id]).get(item_id)
    label_id = None if row is None else (row.first if which == "first" else row.second)
    if label_id is None:
        return None
    name = _opinion(connection, label_id)[2]
    return None if name is None else (label_id, name)


def _blind(pick: Pick) -> Pick:
    return replace(pick, answer="waiting", class_name=None, second_opinion=True)


def _with_first() -> Any:  # noqa: ANN401 - a SELECT of some columns
    return select(opinions.c.item_id).join(labels, labels.c.id == opinions.c.first)


def _is_of_use() -> ColumnElement[bool]:
    """Return SQL for: the file is there, and no label has come by another way since an "unsure"."""
    there = exists().where(items.c.id == opinions.c.item_id, items.c.status == "active")
    return there & or_(opinions.c.reason == "overlap", current_answer("kind", opinions.c.item_id) == "unsure")


def _answered_by(author: str) -> ColumnElement[bool]:
    """Return SQL for: the author has answered the image, or has skipped it since its first answer."""
    theirs = labels.alias("own_answer")
    counts = (theirs.c.kind != "skip") | (theirs.c.id > opinions.c.first)
    mine = theirs.c.item_id == opinions.c.item_id, theirs.c.author == author
    return exists().where(*mine, counts, *is_valid(theirs))


def _rows(connection: Connection, item_ids: Sequence[int]) -> Mapping[int, Row[Any]]:
    rows = [
        connection.execute(select(opinions).where(opinions.c.item_id.in_(portion))) for portion in portions(item_ids)
    ]
    return {row.item_id: row for found in rows for row in found}


def _authors(connection: Connection, row: Row[Any]) -> tuple[str, str | None]:
    ids = [one for one in (row.first, row.second) if one is not None]
    found = connection.execute(select(labels.c.id, labels.c.author).where(labels.c.id.in_(ids)))
    by = {one.id: one.author for one in found}
    return by[row.first], by.get(row.second)


def _latest(connection: Connection, event: Event) -> int:
    """Return the id in the history of the answer that was just recorded."""
    theirs = and_(labels.c.item_id == event.item_id, labels.c.author == event.author, labels.c.kind == event.kind)
    number: int = connection.execute(select(func.max(labels.c.id)).where(theirs)).scalar_one()
    return number


def _opinion(connection: Connection, label_id: int) -> tuple[str, int | None, str | None]:
    """Return kind and class id of an answer with today's classes, and the mask that its author gave."""
    wanted = select(labels.c.kind, labels.c.class_id, labels.c.mask).order_by(labels.c.id)
    rows = connection.execute(wanted.where(or_(labels.c.id == label_id, labels.c.rewrites == label_id))).all()
    return rows[-1].kind, rows[-1].class_id, rows[0].mask


def _store(connection: Connection, item_id: int, **values: object) -> None:
    connection.execute(update(opinions).where(opinions.c.item_id == item_id).values(values))
