"""Taking answers from people: labels, skips, unsures, and taking them back."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, update

from minimax_al.campaign.images.duplicates import separate_by_labels
from minimax_al.campaign.images.mask_files import Mask, check_mask
from minimax_al.campaign.rounds.arguments import as_items
from minimax_al.campaign.rounds.leases import end_leases
from minimax_al.campaign.rounds.rounds import asked_by_latest
from minimax_al.campaign.rounds.validation import MASKS, decide_membership
from minimax_al.campaign.settings import CampaignSettings
from minimax_al.campaign.store.classes import class_ids
from minimax_al.campaign.store.database import after_writing, portions
from minimax_al.campaign.store.history import Event, Kind, Said, check_author, record, revoke_all, undo_last, what_holds
from minimax_al.campaign.store.schema import classes, items
from minimax_al.campaign.store.waiting import update_waiting
from minimax_al.errors import DataError


class Undone(NamedTuple):
    """What an undo took back.

    Attributes:
        item: the image.
        path: its file.
        kind: "label", "skip" or "unsure".
        class_name: of the label.
    """

    item: int
    path: str
    kind: str
    class_name: str | None


def find_items(connection: Connection, given: Sequence[int | str]) -> list[int]:
    """Ids of images given by id or by path.

    Raises:
        DataError: there is no such image.
    """
    given = as_items(given)
    ids: dict[int | str, int] = {}
    for column, kind in ((items.c.id, int), (items.c.path, str)):
        for portion in portions([key for key in given if isinstance(key, kind)]):
            rows = connection.execute(select(column.label("key"), items.c.id).where(column.in_(portion)))
            ids.update({row.key: row.id for row in rows})
    unknown = next((key for key in given if key not in ids), None)
    if unknown is not None:
        raise DataError(
            f"{unknown!r} is not an image of this campaign: give its id, or its path below the images' folder"
        )
    return [ids[key] for key in given]


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
) -> list[int]:
    """One answer to one or more images, whether or not they are leased: an answer that comes late is kept.

    Args:
        connection: in a write transaction.
        ids: the images.
        kind: what is said.
        author: who says it.
        settings: of the campaign.
        now: when.
        class_id: of a label in classification.
        mask: of a label in segmentation.
        if_waiting: whether the author believes that nobody has answered yet. What somebody has answered meanwhile
            holds on; the history has this answer as taken back.

    Returns:
        Ids of the images that had their answer, and keep it.
    """
    check_author(author)
    asked = asked_by_latest(connection, ids)
    events = [Event(item, kind, author, now, class_id, mask, asked.get(item)) for item in ids]
    answered = _answered(connection, ids) if if_waiting else set()
    take_overtaken(connection, [event for event in events if event.item_id in answered], now)
    take(connection, [event for event in events if event.item_id not in answered], settings)
    return [item for item in ids if item in answered]


def take(connection: Connection, events: Sequence[Event], settings: CampaignSettings) -> None:
    """Adds events to the history, with all that follows from them."""
    record(connection, events)
    labelled = [(event.item_id, event.class_id or MASKS) for event in events if event.kind == "label"]
    separate_by_labels(connection, [item for item, stratum in labelled if stratum != MASKS])
    decide_membership(connection, labelled, settings.validation_share, settings.seed)
    end_leases(connection, [event.item_id for event in events])
    for portion in portions([item for item, _ in labelled]):
        # Somebody has looked at these images as they are now.
        again = update(items).where(items.c.id.in_(portion), items.c.status == "changed")
        connection.execute(again.values(status="active"))
    update_waiting(connection, [event.item_id for event in events])
    after_writing(connection, len(events))


def take_overtaken(connection: Connection, events: Sequence[Event], now: datetime) -> None:
    """Adds events to the history, but not to hold: rows are in the order in which they came, so each is taken back.

    Something else holds of their images before and after, so nothing follows from them.
    """
    for event in events:
        record(connection, [event])
        undo_last(connection, event.author, now, event.item_id)


def undo(
    connection: Connection, author: str, now: datetime, item_id: int | None = None, said: Said | None = None
) -> Undone:
    """Takes back what an author said last (of one image); it waits again where its round is still open.

    Raises:
        CampaignError: there is nothing to take back, or it is not what the author remembers.
    """
    check_author(author)
    row = undo_last(connection, author, now, item_id, said)
    stale = what_holds("id", items.c.id) <= items.c.changed_after
    again = update(items).where(items.c.id == row.item_id, items.c.status == "active", stale)
    connection.execute(again.values(status="changed"))  # what holds now was said of the file's former content
    update_waiting(connection, [row.item_id])
    path = connection.execute(select(items.c.path).where(items.c.id == row.item_id)).scalar_one()
    name = connection.execute(select(classes.c.name).where(classes.c.id == row.class_id)).scalar()
    return Undone(row.item_id, path, row.kind, name)


def withdraw(connection: Connection, ids: Sequence[int], author: str, now: datetime) -> int:
    """Withdraw every label and "unsure" of images, whoever gave it; they wait again where their round is open.

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
    for portion in portions(withdrawn):
        again = update(items).where(items.c.id.in_(portion), items.c.status == "changed")
        # Nothing is known of the file any more, so that its content is news to nobody.
        connection.execute(again.values(status="active", changed_after=None, labelled_hash=None))
    update_waiting(connection, withdrawn)
    after_writing(connection, len(withdrawn))
    return len(withdrawn)


def _answered(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Those of the images of which a label or "unsure" holds, as they are now."""
    held = select(items.c.id).where(items.c.status != "changed", what_holds("id", items.c.id).is_not(None))
    return {item for portion in portions(ids) for item in connection.scalars(held.where(items.c.id.in_(portion)))}


def check_mask_of(connection: Connection, item: int | str, mask: Mask) -> None:
    """Refuses a mask that does not fit its image or the classes.

    Raises:
        DataError: it is of another size, or has a number that is no class; or there is no such image.
    """
    (found,) = find_items(connection, [item])
    row = connection.execute(select(items.c.path, items.c.height, items.c.width).where(items.c.id == found)).one()
    check_mask(mask, (row.height, row.width), len(class_ids(connection)), repr(row.path))
