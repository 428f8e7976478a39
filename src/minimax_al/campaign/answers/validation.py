"""Validation split: a stratified random hold-out set, fixed forever.

The labels of each class are counted as they arrive, and cut into blocks of about 1/share. One label of each block,
drawn by a seeded hash, is held out, never the first, so that training has every class from its first label.
Duplicates count as one image: no copy of a held-out image is trained on. Neither a relabel nor an undo changes a
decision.
"""

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction

from sqlalchemy import Connection, func, select

from minimax_al.campaign.store.database import portions
from minimax_al.campaign.store.schema import items, validation

MASKS = 0
"""Stratum of images whose label is a mask."""


def decide_membership(connection: Connection, labelled: Sequence[tuple[int, int]], share: float, seed: int) -> None:
    """Decide which of the newly labelled images are held out.

    Args:
        connection: Connection in a write transaction.
        labelled: Pairs of item id and class id (or `MASKS`), in the order of labelling.
        share: Share of labels to hold out.
        seed: Seed of the campaign.
    """
    group_of = _groups(connection, [item for item, _ in labelled])
    decided = _decided(connection, set(group_of.values()))
    counts: dict[int, int] = {}
    rows = []
    for item, stratum in labelled:
        group = group_of[item]
        if group in decided:
            continue
        decided.add(group)
        if stratum not in counts:
            counts[stratum] = connection.execute(
                select(func.count()).where(validation.c.stratum == stratum)
            ).scalar_one()
        held_out = is_held_out(counts[stratum], stratum, share, seed)
        counts[stratum] += 1
        rows.append({"item_id": group, "stratum": stratum, "held_out": held_out})
    if rows:
        connection.execute(validation.insert(), rows)


def is_held_out(position: int, stratum: int, share: float, seed: int) -> bool:
    """Return whether label number `position` (from 0) of a class is held out.

    Example:
        >>> sum(is_held_out(position, 1, share=0.2, seed=0) for position in range(100))
        20
        >>> is_held_out(0, 1, share=0.5, seed=0)
        False
    """
    if share == 0:
        return False
    # Where 1/share is whole, so are the blocks; else some are one longer. For shares up to 1/2 each has two or more.
    exact = Fraction(share).limit_denominator(1000)
    block = int(exact * position)
    start, end = (math.ceil(number / exact) for number in (block, block + 1))
    digest = hashlib.blake2b(f"{seed}|{stratum}|{block}".encode(), digest_size=8).digest()
    return position - start == 1 + int.from_bytes(digest, "little") % (end - start - 1)


def held_out_groups(connection: Connection) -> set[int]:
    """Return ids of the held-out images, one per group of duplicates."""
    return set(connection.scalars(select(validation.c.item_id).where(validation.c.held_out)))


def _groups(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    groups: dict[int, int] = {}
    for portion in portions(ids):
        chosen = items.c.id.in_(portion)
        rows = connection.execute(
            select(items.c.id, func.coalesce(items.c.duplicate_of, items.c.id).label("g")).where(chosen)
        )
        groups.update((row.id, row.g) for row in rows)
    return groups


def _decided(connection: Connection, groups: set[int]) -> set[int]:
    found: set[int] = set()
    for portion in portions(sorted(groups)):
        chosen = validation.c.item_id.in_(portion)
        found.update(connection.scalars(select(validation.c.item_id).where(chosen)))
    return found
