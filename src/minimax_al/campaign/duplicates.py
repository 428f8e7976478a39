"""Moved files and pictures that are there twice: settled in one transaction at the end of a refresh."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, union, update

from minimax_al.campaign.history import labelled_items
from minimax_al.campaign.near_duplicates import representatives
from minimax_al.campaign.schema import items, labels, picks, validation


@dataclass(frozen=True)
class Settled:
    """What became of the new items.

    Attributes:
        exact: paths of copies.
        near: paths of pictures that show what another shows.
        moved: new paths of moved files.
        moved_from: the paths that these had.
    """

    exact: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    moved_from: tuple[str, ...] = ()


def settle_new_items(connection: Connection, near_bits: int | None) -> Settled:
    """Gives every `new` item its status: moved into a missing one's place, duplicate, or active.

    Args:
        connection: in a write transaction.
        near_bits: distance of perceptual hashes up to which pictures count as the same; None: exact copies only.
    """
    moved, moved_from = _follow_moves(connection)
    _free_followers(connection)
    present = connection.execute(
        select(items).where(items.c.status.in_(("new", "active", "duplicate"))).order_by(items.c.id)
    ).all()
    # The pictures that were asked about or labelled come first, so that they stay the ones that stand for others.
    touched = labelled_items(connection) | set(connection.scalars(select(picks.c.item_id)))
    present = sorted(present, key=lambda row: (row.status == "new", row.id not in touched, row.id))
    fresh = {row.id for row in present if row.status == "new"}
    if not fresh:
        return Settled(moved=moved, moved_from=moved_from)
    exact_of = _exact(present)
    near_of = _near([row for row in present if row.id not in exact_of and row.status != "duplicate"], near_bits)
    # A copy of a duplicate is stood for by the one that stands for its original.
    known = {row.id: row.duplicate_of for row in present if row.status == "duplicate"}
    leads = near_of | known
    stands_for = near_of | {copy: leads.get(original, original) for copy, original in exact_of.items()}
    _store(connection, {item: stands_for.get(item) for item in fresh})
    paths = {row.id: row.path for row in present}
    return Settled(
        exact=tuple(paths[item] for item in exact_of if item in fresh),
        near=tuple(paths[item] for item in near_of if item in fresh),
        moved=moved,
        moved_from=moved_from,
    )


def _follow_moves(connection: Connection) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A new file with the content of a missing picture is that picture: its row takes the new path.

    A copy that was known already takes the place of a missing original in the same way.
    """
    missing = connection.execute(
        select(items).where(items.c.status == "missing", items.c.content_hash.is_not(None)).order_by(items.c.id)
    ).all()
    wanted = {row.content_hash for row in missing}
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(select(items).where(items.c.status.in_(("new", "duplicate"))).order_by(items.c.id)):
        if row.content_hash in wanted:
            found[row.content_hash].append(row)
    has_history = (
        set(connection.scalars(union(select(labels.c.item_id), select(picks.c.item_id), select(validation.c.item_id))))
        if missing
        else set()
    )
    moved, moved_from = [], []
    for row in missing:
        candidates = [other for other in found[row.content_hash] if other.id not in has_history]
        if not candidates:
            continue
        other = candidates[0]
        found[row.content_hash].remove(other)
        _take_place(connection, row, other)
        moved.append(other.path)
        moved_from.append(row.path)
    return tuple(moved), tuple(moved_from)


def _take_place(connection: Connection, row: Row[Any], other: Row[Any]) -> None:
    """`row` gets the file of `other`, which has no history and leaves the table."""
    connection.execute(update(items).where(items.c.duplicate_of == other.id).values(duplicate_of=row.id))
    connection.execute(items.delete().where(items.c.id == other.id))
    labelled = row.id in labelled_items(connection)
    values = {"path": other.path, "size_bytes": other.size_bytes, "modified_ns": other.modified_ns}
    status = "active" if labelled or row.duplicate_of is None else "new"
    connection.execute(update(items).where(items.c.id == row.id).values(status=status, duplicate_of=None, **values))


def _free_followers(connection: Connection) -> None:
    """Duplicates of a picture that is gone, or of other content now, are looked at again, unless it has a label."""
    original = items.alias("original")
    rows = connection.execute(
        select(items.c.id, original.c.id.label("original"))
        .join(original, items.c.duplicate_of == original.c.id)
        .where(items.c.status == "duplicate", original.c.status.in_(("missing", "set-aside", "new", "changed")))
    ).all()
    labelled = labelled_items(connection) if rows else set()
    for row in rows:
        if row.original not in labelled:
            connection.execute(update(items).where(items.c.id == row.id).values(status="new", duplicate_of=None))


def _exact(present: Sequence[Row[Any]]) -> dict[int, int]:
    """Id of the original, by the id of its copy."""
    first: dict[str, int] = {}
    copies = {}
    for row in present:
        original = first.setdefault(row.content_hash, row.id)
        if original != row.id:
            copies[row.id] = original
    return copies


def _near(present: Sequence[Row[Any]], near_bits: int | None) -> dict[int, int]:
    """Id of the picture that shows the same, by id."""
    if near_bits is None:
        return {}
    of = representatives([row.perceptual_hash for row in present], near_bits)
    return {
        row.id: present[lead].id for row, lead in zip(present, of.tolist(), strict=True) if present[lead] is not row
    }


def _store(connection: Connection, duplicate_of: dict[int, int | None]) -> None:
    statement = (
        update(items)
        .where(items.c.id == bindparam("b_id"))
        .values(status=bindparam("b_status"), duplicate_of=bindparam("b_of"))
    )
    connection.execute(
        statement,
        [
            {"b_id": item, "b_status": "active" if original is None else "duplicate", "b_of": original}
            for item, original in duplicate_of.items()
        ],
    )
