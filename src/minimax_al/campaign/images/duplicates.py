"""Moved files and images that are there twice: settled in one transaction at the end of a refresh."""

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, Select, bindparam, select, union, update

from minimax_al.campaign.images.near_duplicates import first_equal, representatives
from minimax_al.campaign.store.database import portions
from minimax_al.campaign.store.history import labelled_items
from minimax_al.campaign.store.schema import items, labels, picks, validation

_PATH = select(items.c.id, items.c.path)
_FILE: Select[Any] = select(
    items.c.id, items.c.path, items.c.content_hash, items.c.duplicate_of, items.c.size_bytes, items.c.modified_ns
)


@dataclass(frozen=True)
class Settled:
    """What became of the new items.

    Attributes:
        exact: paths of copies.
        near: paths of images that show what another shows.
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
        near_bits: distance of perceptual hashes up to which images count as the same; None: exact copies only.
    """
    moved, moved_from = _follow_moves(connection)
    _free_followers(connection)
    if connection.execute(select(items.c.id).where(items.c.status == "new").limit(1)).first() is None:
        return Settled(moved=moved, moved_from=moved_from)
    present = _present(connection)
    exact_of = _exact(present)
    near_of = _near(present, exact_of, near_bits)
    # A copy of a duplicate is stood for by the one that stands for its original.
    leads = near_of | present.stands_for
    stands_for = near_of | {copy: leads.get(original, original) for copy, original in exact_of.items()}
    fresh = set(present.ids[present.is_new].tolist())
    exact, near = ([item for item in of if item in fresh] for of in (exact_of, near_of))
    _store(connection, {item: stands_for[item] for item in (*exact, *near)})
    return Settled(_paths(connection, exact), _paths(connection, near), moved=moved, moved_from=moved_from)


class _Present(NamedTuple):
    """What can be used, as arrays: rows as objects would take a GiB for a million images.

    Attributes:
        ids: of the images, (N,), those that should rather stand for others first.
        is_new: (N,).
        content: sha256 of the files, (N, 32) uint8.
        perceptual: hashes; None for an image without structure.
        stands_for: of those that are known as duplicates, the image that stands for each, by id.
    """

    ids: NDArray[np.int64]
    is_new: NDArray[np.bool_]
    content: NDArray[np.uint8]
    perceptual: list[str | None]
    stands_for: dict[int, int]


def _present(connection: Connection) -> _Present:
    wanted = items.c.status.in_(("new", "active", "duplicate"))
    columns = (items.c.id, items.c.status, items.c.content_hash, items.c.perceptual_hash, items.c.duplicate_of)
    ids, is_new, content = array("q"), bytearray(), bytearray()
    perceptual: list[str | None] = []
    stands_for = {}
    for item, status, content_hash, perceptual_hash, original in connection.execute(select(*columns).where(wanted)):
        ids.append(item)
        is_new.append(status == "new")
        content += bytes.fromhex(content_hash)
        perceptual.append(perceptual_hash)
        if status == "duplicate":
            stands_for[item] = original
    numbers, fresh = np.array(ids, dtype=np.int64), np.frombuffer(is_new, dtype=bool)
    # The images that were asked about or labelled come first, so that they stay the ones that stand for others.
    touched = labelled_items(connection) | set(connection.scalars(select(picks.c.item_id)))
    untouched = ~np.isin(numbers, np.fromiter(touched, dtype=np.int64))
    order = np.lexsort((numbers, untouched, fresh))
    contents = np.frombuffer(content, dtype=np.uint8).reshape(len(ids), -1)
    return _Present(numbers[order], fresh[order], contents[order], [perceptual[i] for i in order], stands_for)


def _paths(connection: Connection, ids: Sequence[int]) -> tuple[str, ...]:
    """Paths of images, in this order."""
    found: dict[int, str] = {}
    for portion in portions(ids):
        found.update((row.id, row.path) for row in connection.execute(_PATH.where(items.c.id.in_(portion))))
    return tuple(found[item] for item in ids)


def _follow_moves(connection: Connection) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A new file with the content of a missing image is that image: its row takes the new path.

    A copy that was known already takes the place of a missing original in the same way.
    """
    missing = connection.execute(
        _FILE.where(items.c.status == "missing", items.c.content_hash.is_not(None)).order_by(items.c.id)
    ).all()
    if not missing:
        return (), ()
    wanted = {row.content_hash for row in missing}
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(_FILE.where(items.c.status.in_(("new", "duplicate"))).order_by(items.c.id)):
        if row.content_hash in wanted:
            found[row.content_hash].append(row)
    has_history = set(
        connection.scalars(union(select(labels.c.item_id), select(picks.c.item_id), select(validation.c.item_id)))
    )
    free = {digest: iter([row for row in rows if row.id not in has_history]) for digest, rows in found.items()}
    moves = [(row, other) for row in missing if (other := next(free.get(row.content_hash, iter(())), None)) is not None]
    _take_places(connection, moves)
    return tuple(other.path for _, other in moves), tuple(row.path for row, _ in moves)


def _take_places(connection: Connection, moves: Sequence[tuple[Row[Any], Row[Any]]]) -> None:
    """The first of each pair gets the file of the other, which has no history and leaves the table."""
    if not moves:
        return
    labelled = labelled_items(connection)
    values = [
        {
            "b_id": row.id,
            "b_other": other.id,
            "b_path": other.path,
            "b_size": other.size_bytes,
            "b_time": other.modified_ns,
            "b_status": "active" if row.id in labelled or row.duplicate_of is None else "new",
        }
        for row, other in moves
    ]
    followers = update(items).where(items.c.duplicate_of == bindparam("b_other"))
    connection.execute(followers.values(duplicate_of=bindparam("b_id")), values)
    connection.execute(items.delete().where(items.c.id == bindparam("b_other")), values)
    moved = update(items).where(items.c.id == bindparam("b_id"))
    connection.execute(
        moved.values(
            path=bindparam("b_path"),
            size_bytes=bindparam("b_size"),
            modified_ns=bindparam("b_time"),
            status=bindparam("b_status"),
            duplicate_of=None,
        ),
        values,
    )


def _free_followers(connection: Connection) -> None:
    """Duplicates of an image that is gone, or of other content now, are looked at again, unless it has a label."""
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


def _exact(present: _Present) -> dict[int, int]:
    """Id of the original, by the id of its copy."""
    first = first_equal(present.content)
    copies = np.flatnonzero(first != np.arange(len(first)))
    return dict(zip(present.ids[copies].tolist(), present.ids[first[copies]].tolist(), strict=True))


def _near(present: _Present, exact_of: Mapping[int, int], near_bits: int | None) -> dict[int, int]:
    """Id of the image that shows the same, by id; of those that are no copies and not known as duplicates."""
    if near_bits is None:
        return {}
    settled = np.fromiter((*exact_of, *present.stands_for), dtype=np.int64)
    open_ = np.flatnonzero(~np.isin(present.ids, settled))
    lead = representatives([present.perceptual[position] for position in open_], near_bits)
    near = np.flatnonzero(lead != np.arange(len(lead)))
    ids = present.ids[open_]
    return dict(zip(ids[near].tolist(), ids[lead[near]].tolist(), strict=True))


def _store(connection: Connection, duplicate_of: Mapping[int, int]) -> None:
    """Makes these new items duplicates, and all others active."""
    statement = update(items).where(items.c.id == bindparam("b_id"))
    if duplicate_of:
        connection.execute(
            statement.values(status="duplicate", duplicate_of=bindparam("b_of")),
            [{"b_id": item, "b_of": original} for item, original in duplicate_of.items()],
        )
    connection.execute(update(items).where(items.c.status == "new").values(status="active", duplicate_of=None))
