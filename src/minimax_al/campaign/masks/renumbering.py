"""Numbers of the classes in masks of former times: every change of the numbers is recorded.

A change of the classes writes the current masks anew. Older masks of the label history keep their pixels; the recorded
changes give today's number for each of theirs.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from minimax_al.campaign.classes.classes import check_listed, class_ids
from minimax_al.campaign.masks.precomputed import Precomputed
from minimax_al.campaign.store.history import last_event
from minimax_al.campaign.store.schema import renumberings
from minimax_al.data.masks.mask_store import MaskFiles
from minimax_al.vocabulary import IGNORED

Numbers = NDArray[np.uint8]
"""New number of each old one, shape (256,)."""


class Renumbering(NamedTuple):
    """Change of the class numbers.

    Attributes:
        last_label: Id of the last row of the label history before the change.
        numbers: New number of each old one, shape (256,).
    """

    last_label: int
    numbers: Numbers


def record_renumbering(connection: Connection, numbers: Mapping[int, int]) -> None:
    """Record a change of the class numbers; call it before the new labels are recorded.

    Args:
        connection: Connection in a write transaction.
        numbers: New number of each old one; 255 for a class that was removed.
    """
    if all(old == new for old, new in numbers.items()):
        return
    changed = [numbers[old] for old in range(len(numbers))]
    connection.execute(renumberings.insert().values(last_label=last_event(connection), numbers=changed))


def read_renumberings(connection: Connection) -> list[Renumbering]:
    """Return all changes of the class numbers, the oldest first."""
    rows = connection.execute(select(renumberings).order_by(renumberings.c.id)).all()
    return [Renumbering(row.last_label, _table(row.numbers)) for row in rows]


def numbers_since(changes: Sequence[Renumbering], label_id: int) -> Numbers:
    """Return today's number of each number in a mask.

    Args:
        changes: All changes, the oldest first.
        label_id: Id of the row of the label history that has the mask.
    """
    numbers = np.arange(IGNORED + 1, dtype=np.uint8)
    for change in changes:
        if change.last_label >= label_id:
            numbers = change.numbers[numbers]
    return numbers


def numbers_of_drawn(connection: Connection, drawn: Sequence[int], used: Collection[int], path: str) -> Numbers:
    """Return today's number of each number in a mask that is not stored yet.

    Args:
        connection: Connection in the transaction that stores the mask.
        drawn: Ids of the classes with which it was drawn, in the order of their numbers.
        used: Numbers that it has, without 255.
        path: Path of its image, for the error.

    Raises:
        ClassesChangedError: It has a class that has left the campaign.
    """
    check_listed(connection, [drawn[number] for number in used], path)
    return _table(renumbered_classes(drawn, list(class_ids(connection).values())))


def renumbered_classes(former: Sequence[int], today: Sequence[int]) -> list[int]:
    """Return today's number of each former one; 255 for classes that have left.

    Args:
        former: Class ids, in the order of the former numbers.
        today: Class ids, in the order of today's numbers.

    Example:
        >>> renumbered_classes([7, 8, 9], [9, 7])
        [1, 255, 0]
    """
    numbers = {identity: number for number, identity in enumerate(today)}
    return [numbers.get(identity, IGNORED) for identity in former]


Rewritten = Precomputed[tuple[str, bytes], str]
"""Names of masks that were written anew, by the former name and the new number of each number."""


def rewriting(masks: MaskFiles) -> Rewritten:
    """Return the store of masks that are decoded and written anew while no transaction is open."""
    return Precomputed(lambda key: masks.save(np.frombuffer(key[1], np.uint8)[masks.load(key[0])]))


def renumbered_mask(rewritten: Rewritten, name: str, used: Collection[int], numbers: Numbers) -> str:
    """Return the name of a mask with other class numbers, or its own name if none of its numbers changes.

    Args:
        rewritten: Masks that were written anew, see `rewriting`.
        name: Name of the mask.
        used: Numbers that it has, without 255.
        numbers: New number of each number, shape (256,).

    Raises:
        NotComputedError: The mask with these numbers is not written yet.
    """
    if all(numbers[number] == number for number in used):
        return name
    return rewritten.of([(name, numbers.tobytes())])[0]


def _table(changed: Sequence[int]) -> Numbers:
    table = np.full(IGNORED + 1, IGNORED, dtype=np.uint8)
    table[: len(changed)] = changed
    return table
