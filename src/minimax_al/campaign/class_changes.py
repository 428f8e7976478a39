"""Changes of the classes of a campaign that has labels: rename, merge, remove and reorder, with the history kept.

Rows of the history are never changed. A merge adds a label of the new class to every image of the old one; masks, whose
pixels are class numbers, are written anew with the new numbers. A class that leaves stays in the table for the history.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, update

from minimax_al.campaign.renumbering import record_renumbering
from minimax_al.campaign.rounds.answers import take, withdraw
from minimax_al.campaign.settings import CampaignSettings
from minimax_al.campaign.store.classes import class_id, class_ids, store_order
from minimax_al.campaign.store.history import Event, current_labels
from minimax_al.campaign.store.schema import picks
from minimax_al.data.mask_store import MaskFiles
from minimax_al.errors import ConfigurationError, DataError
from minimax_al.vocabulary import IGNORED

AUTHOR = "change of classes"
"""Author of the labels that a change of classes adds."""


@dataclass(frozen=True)
class ClassChange:
    """Transaction in which the classes change.

    Attributes:
        connection: Connection in a write transaction.
        settings: Settings of the campaign.
        masks: Masks of the campaign.
        now: Current time.
    """

    connection: Connection
    settings: CampaignSettings
    masks: MaskFiles
    now: datetime

    def merge(self, names: Sequence[str], into: str) -> int:
        """Give all labels of some classes another class, and remove the classes; return the number of labels.

        Args:
            names: Classes to merge.
            into: Class that remains.

        Raises:
            UnknownNameError: A class does not exist.
            ConfigurationError: `into` is among `names`, `names` is empty, or only one class would remain.
        """
        target, merged = class_id(self.connection, into), [class_id(self.connection, name) for name in names]
        if not merged or target in merged or len(set(merged)) < len(merged):
            shown = ", ".join(map(repr, names)) or "nothing"
            raise ConfigurationError(f"{shown} cannot merge into {into!r}: give other classes, each once")
        return self._leave(merged, lambda one: target if one in merged else one, target)

    def count(self) -> dict[str, int]:
        """Return the number of labels of each class, by name; of masks that show the class in segmentation."""
        names = {number: name for name, number in class_ids(self.connection).items()}
        counts = dict.fromkeys(names.values(), 0)
        order = list(names.values())
        for row in self._labels():
            if row.mask is None:
                shown = [names[row.class_id]]
            else:
                shown = [order[number] for number in np.unique(self.masks.load(row.mask)) if number < len(order)]
            for name in shown:
                counts[name] += 1
        return counts

    def remove(self, name: str, *, withdraw_labels: bool = False) -> int:
        """Remove a class; return the number of labels that were withdrawn, or of masks that lost its pixels.

        Args:
            name: Class to remove.
            withdraw_labels: Whether its labels are withdrawn; otherwise a class with labels is refused.

        Raises:
            UnknownNameError: The class does not exist.
            DataError: It has labels, and `withdraw_labels` is not set.
            ConfigurationError: One class alone would remain.
        """
        removed = class_id(self.connection, name)
        labelled = self._labels_of(removed)
        if labelled and not withdraw_labels:
            raise DataError(
                f"{len(labelled):,} images are labelled {name!r}: merge it into another class, or remove it with its "
                "labels (withdraw_labels)"
            )
        if self.settings.task == "classification":
            withdraw(self.connection, [row.item_id for row in labelled], AUTHOR, self.now)
        changed = self._leave([removed], lambda one: None if one == removed else one, None)
        return len(labelled) if self.settings.task == "classification" else changed

    def reorder(self, names: Sequence[str]) -> None:
        """Change the order of the classes.

        Args:
            names: All classes, in the new order.

        Raises:
            DataError: A class is missing, unknown, or there twice.
        """
        ids = class_ids(self.connection)
        if sorted(names) != sorted(ids):
            missing = [name for name in ids if name not in names]
            wrong = f"{missing[0]!r} is missing" if missing else "a name is unknown or there twice"
            raise DataError(f"{wrong}: give each of the classes {', '.join(ids)} once, in the new order")
        self._store([ids[name] for name in names], lambda one: one)

    def _leave(self, leaving: Sequence[int], becomes: Callable[[int], int | None], suggestion: int | None) -> int:
        left = [one for one in class_ids(self.connection).values() if one not in leaving]
        if len(left) < 2:
            raise ConfigurationError("only one class would remain, but a campaign needs at least two")
        suggested = update(picks).where(picks.c.suggestion.in_(leaving))
        self.connection.execute(suggested.values(suggestion=suggestion))
        return self._store(left, becomes)

    def _store(self, order: Sequence[int], becomes: Callable[[int], int | None]) -> int:
        """Store the order of the classes and the labels that follow from it; return the number of new labels."""
        before = list(class_ids(self.connection).values())
        store_order(self.connection, order)
        if self.settings.task == "segmentation":
            after = [becomes(one) for one in before]
            numbers = {old: IGNORED if new is None else order.index(new) for old, new in enumerate(after)}
            record_renumbering(self.connection, numbers)
            events = self._masks(numbers)
        else:
            events = [
                self._event(row, class_id=becomes(row.class_id))
                for row in self._labels()
                if row.class_id is not None and becomes(row.class_id) != row.class_id
            ]
        take(self.connection, events, self.settings)
        return len(events)

    def _masks(self, numbers: Mapping[int, int]) -> list[Event]:
        """Write masks with the new class numbers; return their labels."""
        table = np.arange(IGNORED + 1, dtype=np.uint8)
        table[list(numbers)] = list(numbers.values())
        events = []
        for row in self._labels():
            mask = self.masks.load(row.mask)
            renumbered = table[mask]
            if not (renumbered == mask).all():
                events.append(self._event(row, mask=self.masks.save(renumbered)))
        return events

    def _labels(self) -> Sequence[Row[Any]]:
        return self.connection.execute(current_labels()).all()

    def _labels_of(self, identity: int) -> list[Row[Any]]:
        if self.settings.task == "classification":
            return [row for row in self._labels() if row.class_id == identity]
        number = list(class_ids(self.connection).values()).index(identity)
        return [row for row in self._labels() if (self.masks.load(row.mask) == number).any()]

    def _event(self, row: Row[Any], class_id: int | None = None, mask: str | None = None) -> Event:
        return Event(row.item_id, "label", AUTHOR, self.now, class_id, mask, origin=row.origin)
