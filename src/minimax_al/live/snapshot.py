"""Snapshot of the campaign for the live learner: labels, candidates, images in the queue."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.features.training_data import TrainingData, read_labelled
from minimax_al.campaign.features.unlabelled_images import UnlabelledImage
from minimax_al.campaign.store.history import current_answers, last_event
from minimax_al.campaign.store.schema import items
from minimax_al.live.batches import OpenPick, open_picks


@dataclass(frozen=True)
class Snapshot:
    """Campaign at a moment.

    Attributes:
        training_data: Labels, and as its unlabelled images those that a batch may pick.
        waiting: Images that wait in an open round.
        picks: Picks of the open rounds, oldest round first.
        class_ids: Ids of the classes, in their order.
    """

    training_data: TrainingData
    waiting: tuple[UnlabelledImage, ...]
    picks: tuple[OpenPick, ...]
    class_ids: tuple[int, ...]

    @property
    def free(self) -> int:
        """Number of images in the queue that nobody holds."""
        return sum(pick.is_free for pick in self.picks)

    @property
    def classes_with_labels(self) -> int:
        """Number of classes that a label shows."""
        return len({known.target for known in self.training_data.labelled})


class SnapshotReader:
    """Reader of snapshots; it keeps the list of images, which changes rarely.

    A snapshot costs time in proportion to the labels, and one quick pass over the table of images.

    Attributes:
        lacking: Ids of images that have no features, and cannot be learned from.
    """

    def __init__(self) -> None:
        self.lacking: frozenset[int] = frozenset()
        self._signature: tuple[Any, ...] | None = None
        self._images: tuple[UnlabelledImage, ...] = ()
        self._group: dict[int, int] = {}

    def has_new_images(self, connection: Connection) -> bool:
        """Return whether the list of images has changed since the last call, and read it again if so."""
        signature = _signature(connection)
        if signature == self._signature:
            return False
        columns = (items.c.id, items.c.path, items.c.content_hash, items.c.height, items.c.width)
        active = select(*columns).where(items.c.status == "active").order_by(items.c.id)
        self._images = tuple(UnlabelledImage(*row) for row in connection.execute(active))
        twins = select(items.c.id, items.c.duplicate_of).where(items.c.duplicate_of.is_not(None))
        self._group = {row.id: row.duplicate_of for row in connection.execute(twins)}
        self._signature = signature
        return True

    @property
    def images(self) -> Sequence[UnlabelledImage]:
        """Active images, by id."""
        return self._images

    def read(self, connection: Connection, now: datetime) -> Snapshot:
        """Return the campaign as it is now; call `has_new_images` before.

        Args:
            connection: Connection in a read transaction.
            now: Current time, by the clock of the leases.
        """
        labelled, held_out = read_labelled(connection)
        ids = class_ids(connection)
        in_queue = open_picks(connection, now)
        settled = set(connection.scalars(select(current_answers().c.item_id)))
        # An image whose copy has an answer is not asked about.
        settled |= {self._group[item] for item in settled if item in self._group}
        out = settled | {pick.item_id for pick in in_queue} | self.lacking
        waiting = {pick.item_id for pick in in_queue if pick.waits} - self.lacking
        training_data = TrainingData(
            class_names=tuple(ids),
            labelled=self._usable(labelled),
            held_out=self._usable(held_out),
            unlabelled=tuple(image for image in self._images if image.id not in out),
            last_label=last_event(connection),
        )
        return Snapshot(
            training_data,
            tuple(image for image in self._images if image.id in waiting),
            tuple(in_queue),
            tuple(ids.values()),
        )

    def _usable(self, known: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(one for one in known if one.id not in self.lacking)


def _signature(connection: Connection) -> tuple[Any, ...]:
    """Return numbers that change with every change of the list of images that matters here."""
    sums = (func.count(), func.sum(items.c.id), func.sum(items.c.modified_ns % 1_000_003))
    rows = select(items.c.status, *sums).group_by(items.c.status).order_by(items.c.status)
    return tuple(tuple(row) for row in connection.execute(rows))
