"""Changes of the classes of a campaign that has labels: rename, merge, remove and reorder, with the history kept.

Rows of the history are never changed. A merge writes every answer of the old class anew with the new one; masks, whose
pixels are class numbers, are written anew with the new numbers. Such a row keeps author and origin and names the answer
that it rewrites. A class that leaves stays in the table for the history.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, update

from minimax_al.campaign.answers.answers import record_answers, withdraw
from minimax_al.campaign.classes.classes import class_id, class_ids, store_order
from minimax_al.campaign.masks.renumbering import Rewritten, numbers_since, read_renumberings, record_renumbering
from minimax_al.campaign.opinions import second_opinions
from minimax_al.campaign.settings.settings import CampaignSettings
from minimax_al.campaign.store.history import Event, current_labels, newest_answers
from minimax_al.campaign.store.schema import picks
from minimax_al.data.masks.mask_store import MaskFiles
from minimax_al.errors import ConfigurationError, DataError
from minimax_al.vocabulary import IGNORED

AUTHOR = "change of classes"
"""Author of the withdrawals of a change of classes."""

Content = tuple[int | None, str | None]
"""Class and mask of an answer; neither for "unsure"."""


@dataclass(frozen=True)
class ClassChange:
    """Transaction in which the classes change.

    Attributes:
        connection: Connection in a write transaction.
        settings: Settings of the campaign.
        masks: Masks of the campaign.
        rewritten: Masks that were written with new numbers, see `rewriting`.
        now: Current time.
    """

    connection: Connection
    settings: CampaignSettings
    masks: MaskFiles
    rewritten: Rewritten
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
                shown = [order[number] for number in self.masks.numbers(row.mask) if number < len(order)]
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
        """Store the order of the classes and the answers that follow from it; return how many images changed."""
        before = list(class_ids(self.connection).values())
        store_order(self.connection, order)
        rows = newest_answers(self.connection)
        if self.settings.task == "classification":
            changed = self._rewrite(rows, lambda row: self._new_class(row, becomes))
        else:
            after = [becomes(one) for one in before]
            numbers = {old: IGNORED if new is None else order.index(new) for old, new in enumerate(after)}
            new = self._new_masks(rows, numbers)
            record_renumbering(self.connection, numbers)
            changed = self._rewrite(rows, lambda row: (None, new.get(row.id, row.mask)))
        second_opinions.judge_again(self.connection, self.settings)
        return changed

    def _new_class(self, row: Row[Any], becomes: Callable[[int], int | None]) -> Content:
        """Return the new class of an answer; its former one where the class leaves without another."""
        return (None if row.class_id is None else becomes(row.class_id) or row.class_id), None

    def _new_masks(self, rows: Sequence[Row[Any]], numbers: Mapping[int, int]) -> dict[int, str]:
        """Return the masks of answers with the new class numbers, by id in the history, where they differ.

        Raises:
            NotComputedError: Some masks are not written yet.
        """
        changes = read_renumberings(self.connection)
        table = np.arange(IGNORED + 1, dtype=np.uint8)
        table[list(numbers)] = list(numbers.values())
        wanted: dict[int, tuple[str, bytes]] = {}
        for row in rows:
            if row.mask is not None:
                today = table[numbers_since(changes, row.id)]
                if any(today[number] != number for number in self.masks.numbers(row.mask)):
                    wanted[row.id] = (row.mask, today.tobytes())
        return dict(zip(wanted, self.rewritten.of(list(wanted.values())), strict=True))

    def _rewrite(self, rows: Sequence[Row[Any]], renewed: Callable[[Row[Any]], Content]) -> int:
        """Write answers anew, each as its author's; return for how many images the current one changed.

        Earlier answers of an image are rewritten too: an undo makes one of them current again. The order stays, so
        that all answers from the first rewritten one on follow it.
        """
        events: list[tuple[int, Event]] = []
        changed = 0
        for _, answers in groupby(rows, key=lambda row: row.item_id):
            contents = [(row, (row.class_id, row.mask), renewed(row)) for row in answers]
            first = next((place for place, (_, old, new) in enumerate(contents) if old != new), len(contents))
            events += [(row.id, self._event(row, new)) for row, _, new in contents[first:]]
            changed += first < len(contents) and contents[-1][1] != contents[-1][2]
        # In the order of the history, which is that of labelling.
        record_answers(self.connection, [event for _, event in sorted(events, key=lambda one: one[0])], self.settings)
        return changed

    def _labels(self) -> Sequence[Row[Any]]:
        return self.connection.execute(current_labels()).all()

    def _labels_of(self, identity: int) -> list[Row[Any]]:
        if self.settings.task == "classification":
            return [row for row in self._labels() if row.class_id == identity]
        number = list(class_ids(self.connection).values()).index(identity)
        return [row for row in self._labels() if number in self.masks.numbers(row.mask)]

    def _event(self, row: Row[Any], content: Content) -> Event:
        answer = row.rewrites or row.id
        return Event(row.item_id, row.kind, row.author, self.now, *content, row.round_id, row.origin, answer)
