"""Import of Label Studio's annotations into the campaign's history: each version of each annotation once.

Image, author and time identify a version of an annotation: it was pulled before if and only if the history has a row
with all three. The history is therefore the only record of earlier pulls, and two pulls at the same time, or a pull
and a webhook, add no annotation twice. A changed annotation has a new time and is imported as a relabel; the history
keeps the earlier label. An annotation that is deleted in Label Studio leaves the campaign's label unchanged.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from minimax_al.campaign.answers.answers import record_answers, record_superseded, undo
from minimax_al.campaign.campaign import Campaign
from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.masks.precomputed import retried
from minimax_al.campaign.opinions.mask_opinions import MaskJudge
from minimax_al.campaign.rounds.rounds import picked_by_latest
from minimax_al.campaign.store.database import portions
from minimax_al.campaign.store.history import Event, Kind, current_answers
from minimax_al.campaign.store.schema import labels, picks, rounds
from minimax_al.data.masks.mask_store import check_mask
from minimax_al.errors import DataError, nearest
from minimax_al.label_formats.label_studio import class_of_results, mask_of_results
from minimax_al.label_studio.client import LabelStudio
from minimax_al.label_studio.configuration import read_configuration
from minimax_al.label_studio.images import TaskImage, image_of_task
from minimax_al.label_studio.messages import Annotation, Task, User
from minimax_al.label_studio.projects import find_project, list_annotated_tasks, list_users


@dataclass(frozen=True)
class Pull:
    """Outcome of a pull, counted in annotations.

    Attributes:
        added: First labels of images.
        changed: Labels of images that had another label, or the same label by another author.
        overtaken: Labels older than the image's current label; the history records them as revoked.
        skipped: Skips.
        unchanged: Annotations that were imported before.
        empty: Annotations without a result.
    """

    added: int = 0
    changed: int = 0
    overtaken: int = 0
    skipped: int = 0
    unchanged: int = 0
    empty: int = 0


class _Incoming(NamedTuple):
    """Annotation as an event, with the time of the annotation's creation."""

    event: Event
    created: datetime


class _Held(NamedTuple):
    """Current answer of an image."""

    author: str
    at: datetime
    class_id: int | None
    mask: str | None
    kind: str


_Known = set[tuple[int, str, datetime]]


def pull(campaign: Campaign, client: LabelStudio, project: int | str) -> Pull:
    """Add all new annotations of a project to the campaign.

    The import is a transaction: if one annotation cannot be added, none is, and the error names its task.

    Args:
        campaign: Campaign that sent the tasks.
        client: Client of the server.
        project: Number or title of the project.

    Raises:
        DataError: An annotation cannot be added.
        CampaignError: The server cannot be reached, or refuses.
        ConfigurationError: The project does not exist, or its labelling configuration does not fit the campaign.
    """
    found = find_project(client, project)
    kind = campaign.settings.task
    read_configuration(found, kind, campaign.classes)
    users = list_users(client)
    return take_tasks(campaign, list_annotated_tasks(client, found.id, kind), users)


def take_tasks(campaign: Campaign, tasks: Iterable[Task], users: Mapping[int, User]) -> Pull:
    """Add the new annotations of tasks.

    Args:
        campaign: Campaign that sent the tasks.
        tasks: Tasks with their annotations.
        users: Users of Label Studio, by number.

    Raises:
        DataError: An annotation cannot be added; the campaign is unchanged.
    """
    incoming: list[_Incoming] = []
    unchanged = empty = 0
    for task in tasks:
        where = f"task {task.id} of Label Studio"
        with campaign.store.reading() as connection:
            image = image_of_task(connection, campaign.images, task.data, where) if task.annotations else None
            known = _known(connection, [] if image is None else [image.item])
        for annotation in task.annotations:
            assert image is not None
            author = _author(annotation, users)
            if (image.item, author, annotation.updated_at) in known:
                unchanged += 1
            elif not annotation.was_cancelled and not annotation.result:
                empty += 1
            else:
                event = _event(campaign, image, annotation, author, where)
                incoming.append(_Incoming(_with_round(campaign, event, task), annotation.created_at))
    taken = _take(campaign, incoming)
    return replace(taken, unchanged=taken.unchanged + unchanged, empty=empty)


def _author(annotation: Annotation, users: Mapping[int, User]) -> str:
    by = annotation.completed_by
    if isinstance(by, User):
        return by.author
    if by is not None and by in users:
        return users[by].author
    return annotation.created_username.rpartition(",")[0].strip() or f"Label Studio user {by}"


def _event(campaign: Campaign, image: TaskImage, annotation: Annotation, author: str, where: str) -> Event:
    """Return an annotation as an event of the history; save its mask, if it has one.

    Raises:
        DataError: The annotation is malformed, or does not fit the campaign.
    """
    if annotation.was_cancelled:
        return Event(image.item, "skip", author, annotation.updated_at, origin="label-studio")
    results = annotation.result or []
    if campaign.settings.task == "classification":
        number, mask = _class_id(campaign, class_of_results(results, where), where), None
    else:
        number, mask = None, _save_mask(campaign, image, results, where)
    return Event(image.item, "label", author, annotation.updated_at, number, mask, origin="label-studio")


def _class_id(campaign: Campaign, name: str, where: str) -> int:
    with campaign.store.reading() as connection:
        ids = class_ids(connection)
    if name not in ids:
        raise DataError(
            f"{where}: unknown class {name!r}{nearest(name, ids)}; add it to the campaign, or correct the annotation"
        )
    return ids[name]


def _save_mask(campaign: Campaign, image: TaskImage, results: Sequence[Mapping[str, Any]], where: str) -> str:
    if image.height is None or image.width is None:
        raise DataError(f"{where}: the image {image.path!r} cannot be read, so its mask cannot be used")
    size = (image.height, image.width)
    mask = mask_of_results(results, where, campaign.classes, size)
    check_mask(mask, size, len(campaign.classes), where)
    return campaign.masks.save(mask)


def _with_round(campaign: Campaign, event: Event, task: Task) -> Event:
    """Return the event with the round that picked the image: the task's round, or else the latest one."""
    number = task.data.get("round")
    with campaign.store.reading() as connection:
        picked = select(picks.c.round_id).join(rounds, rounds.c.id == picks.c.round_id)
        of_task = picked.where(picks.c.item_id == event.item_id, rounds.c.number == number)
        round_id = connection.execute(of_task).scalar() if isinstance(number, int) else None
        return event._replace(round_id=round_id or picked_by_latest(connection, [event.item_id]).get(event.item_id))


def _known(connection: Connection, item_ids: Sequence[int]) -> _Known:
    """Return image, author and time of every event of these images."""
    events = select(labels.c.item_id, labels.c.author, labels.c.at).where(labels.c.kind != "undo")
    return {
        (row.item_id, row.author, row.at)
        for portion in portions(item_ids)
        for row in connection.execute(events.where(labels.c.item_id.in_(portion)))
    }


def _held(connection: Connection, item_ids: Sequence[int]) -> dict[int, _Held]:
    """Return the current answer of each of these images that has one."""
    current = current_answers()
    columns = (
        current.c.item_id,
        current.c.author,
        current.c.at,
        current.c.class_id,
        current.c.mask,
        current.c.kind,
    )
    return {
        row[0]: _Held(*row[1:])
        for portion in portions(item_ids)
        for row in connection.execute(select(*columns).where(current.c.item_id.in_(portion)))
    }


def _take(campaign: Campaign, incoming: Sequence[_Incoming]) -> Pull:
    """Add new annotations in one transaction, in the order of their times."""
    if not incoming:
        return Pull()
    return retried(_take_once, campaign, incoming, MaskJudge.of(campaign.context))


def _take_once(campaign: Campaign, incoming: Sequence[_Incoming], judge: MaskJudge | None) -> Pull:
    ids = list({one.event.item_id for one in incoming})
    with campaign.store.writing() as connection:
        known, held = _known(connection, ids), _held(connection, ids)
        new = [one for one in incoming if (one.event.item_id, one.event.author, one.event.at) not in known]
        new = [one for one in new if not _repeats(one.event, held.get(one.event.item_id))]
        new.sort(key=lambda one: one.event.at)
        old = [one for one in new if _is_overtaken(one.event, held.get(one.event.item_id))]
        record_superseded(connection, [one.event for one in old], campaign.now())
        live = [one for one in new if one not in old]
        _take_back(connection, live, held, campaign.now(), judge)
        record_answers(connection, [one.event for one in live], campaign.settings)
    counts = _count(live, set(held))
    return replace(counts, overtaken=len(old), unchanged=len(incoming) - len(new))


def _repeats(event: Event, held: _Held | None) -> bool:
    """Return whether an event repeats the current answer by the same author: an annotation was saved again."""
    return held is not None and _content(event) == (held.kind, held.author, held.class_id, held.mask)


def _content(event: Event) -> tuple[Kind, str, int | None, str | None]:
    return event.kind, event.author, event.class_id, event.mask


def _is_overtaken(event: Event, held: _Held | None) -> bool:
    """Return whether the image's current answer is later than this label."""
    return event.kind == "label" and held is not None and event.at < held.at


def _take_back(
    connection: Connection,
    incoming: Iterable[_Incoming],
    held: Mapping[int, _Held],
    now: datetime,
    judge: MaskJudge | None,
) -> None:
    """Revoke the labels of annotations that were cancelled after a pull had imported them."""
    for event, created in incoming:
        before = held.get(event.item_id)
        if event.kind != "skip" or before is None or before.author != event.author:
            continue
        if created <= before.at < event.at:
            undo(connection, event.author, now, event.item_id, judge=judge)


def _count(incoming: Iterable[_Incoming], labelled: set[int]) -> Pull:
    """Return the counts of first labels, changed labels and skips."""
    kinds = list(_kinds(incoming, labelled))
    return Pull(added=kinds.count("added"), changed=kinds.count("changed"), skipped=kinds.count("skipped"))


def _kinds(incoming: Iterable[_Incoming], labelled: set[int]) -> Iterator[str]:
    for event, _ in incoming:
        if event.kind == "skip":
            yield "skipped"
        else:
            yield "changed" if event.item_id in labelled else "added"
            labelled.add(event.item_id)
