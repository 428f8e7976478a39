"""Moved files, copies and near duplicates: what becomes of new items at the end of a refresh.

1. `follow_moves`, in a write transaction: a new file with the content of a missing image takes that image's place.
2. `find_near_duplicates`, outside of any transaction, since it decodes files: pairs of images that show the same.
3. `settle_new_items`, in a write transaction: every new item becomes a duplicate or an active image.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, exists, func, select, union, update

from minimax_al.campaign.store.bulk import is_one_of, streamed
from minimax_al.campaign.store.database import Store, portions
from minimax_al.campaign.store.history import answered_items, current_answer, current_labels
from minimax_al.campaign.store.schema import items, labels, picks, validation
from minimax_al.data.locations.location import Location
from minimax_al.data.near_duplicates.candidates import NearDuplicateSearch, close_hashes, first_equal
from minimax_al.data.near_duplicates.second_look import read_reduced, shows_the_same
from minimax_al.vocabulary import Progress

_CACHED = 32
"""Reduced images in memory at most, each of about a megabyte."""

_PATH = select(items.c.id, items.c.path)
_FILE: Select[Any] = select(
    items.c.id, items.c.path, items.c.content_hash, items.c.duplicate_of, items.c.size_bytes, items.c.modified_ns
)


class Moves(NamedTuple):
    """Moved files.

    Attributes:
        to: New paths.
        origins: Former paths, in the same order.
    """

    to: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


@dataclass(frozen=True)
class NearPairs:
    """Result of the second looks.

    Attributes:
        same: Content hash of the representative, by the content hash of the image that shows the same.
        last_item: Largest id that was considered; later items wait for the next refresh.
    """

    same: Mapping[str, str]
    last_item: int


@dataclass(frozen=True)
class Settled:
    """Result for the new items.

    Attributes:
        exact: Paths of copies.
        near: Paths of near duplicates.
    """

    exact: tuple[str, ...] = ()
    near: tuple[str, ...] = ()


def follow_moves(connection: Connection) -> Moves:
    """Give missing images the path of the new file with their content; free the duplicates of lost images.

    Args:
        connection: Connection in a write transaction.
    """
    moves = _moves(connection)
    _free_followers(connection)
    return moves


def find_near_duplicates(
    store: Store, root: Location, distance: int | None, progress: Progress | None = None
) -> NearPairs:
    """Return which new images show the same as an image that is known or another new one.

    Images with labels of different classes are never paired.

    Args:
        store: Database of the campaign.
        root: Location of the images.
        distance: Maximum distance of perceptual hashes, in bits; None pairs nothing.
        progress: Callback with the images compared so far.
    """
    with store.reading() as connection:
        last = connection.execute(select(func.max(items.c.id))).scalar() or 0
        if distance is None or not _has_new(connection, items.c.perceptual_hash.is_not(None)):
            return NearPairs({}, last)
        present = _present(connection, items.c.perceptual_hash.is_not(None) | _equals_a_new_one())
        # Copies are settled by their content, and known duplicates represent nothing.
        exact = first_equal(present.content) != np.arange(len(present.ids))
        known = np.isin(present.ids, np.fromiter(present.stands_for, dtype=np.int64))
        open_ = np.flatnonzero(~exact & ~known)
        is_new = present.is_new[open_]
        close = close_hashes([present.perceptual[position] for position in open_], is_new, distance)
        chosen = open_[close.positions]
        names = _paths(connection, present.ids[chosen].tolist())
        class_of = _classes(connection)
    ids = present.ids[chosen].tolist()
    read = lru_cache(_CACHED)(read_reduced)  # neighbours are compared one after the other

    def agree(one: int, other: int) -> bool:
        first, second = class_of.get(ids[one]), class_of.get(ids[other])
        told_apart = first is not None and second is not None and first != second
        return not told_apart and shows_the_same(root / names[one], root / names[other], read)

    search = NearDuplicateSearch(close, is_new[close.positions], names, agree)
    same, total = {}, int(is_new[close.positions].sum())
    for done, (position, representative) in enumerate(search.run(), start=1):
        if position != representative:
            same[present.content_of(chosen[position])] = present.content_of(chosen[representative])
        if progress is not None:
            progress("comparing similar images", done, total, "images")
    return NearPairs(same, last)


def settle_new_items(connection: Connection, near: NearPairs) -> Settled:
    """Make every new item that was considered a duplicate or an active image.

    Args:
        connection: Connection in a write transaction.
        near: Result of `find_near_duplicates`.
    """
    if not _has_new(connection):
        return Settled()
    present = _present(connection, _equals_a_new_one(), *_are_represented_by(connection, near))
    exact_of = _exact(present)
    near_of = _near(present, exact_of, near.same)
    # A copy of a duplicate is represented by the representative of its original.
    leads = near_of | present.stands_for
    stands_for = near_of | {copy: leads.get(original, original) for copy, original in exact_of.items()}
    fresh = set(present.ids[present.is_new & (present.ids <= near.last_item)].tolist())
    exact, alike = ([item for item in of if item in fresh] for of in (exact_of, near_of))
    _store(connection, {item: stands_for[item] for item in (*exact, *alike)}, near.last_item)
    return Settled(_paths(connection, exact), _paths(connection, alike))


def free_near_duplicates(connection: Connection, distance: int | None) -> None:
    """Make all near duplicates new items again, so that the next refresh decides anew; copies stay copies.

    Args:
        connection: Connection in a write transaction.
        distance: Maximum distance of perceptual hashes from now on; None makes the images active at once.
    """
    original = items.alias("original")
    alike = (
        select(items.c.id)
        .join(original, items.c.duplicate_of == original.c.id)
        .where(items.c.status == "duplicate", items.c.content_hash != original.c.content_hash)
    )
    _set(connection, list(connection.scalars(alike)), status="new", duplicate_of=None)
    if distance is None:
        last = connection.execute(select(func.max(items.c.id))).scalar() or 0
        settle_new_items(connection, NearPairs({}, last))


def separate_by_labels(connection: Connection, ids: Sequence[int]) -> None:
    """Make near duplicates active images if their class differs from the class of their group.

    Copies of one file stay together: their labels contradict each other, and the status reports it.

    Args:
        connection: Connection in a write transaction.
        ids: Images that have just been labelled: duplicates, or representatives of some.
    """
    for rows in _groups_of(connection, ids).values():
        class_of_content: dict[str, int] = {}
        for row in rows:
            if row.class_id is not None:
                class_of_content.setdefault(row.content_hash, row.class_id)
        of_group = next(iter(class_of_content.values()), None)  # rows begin with the representative
        for content, class_id in class_of_content.items():
            if class_id != of_group and content != rows[0].content_hash:
                of_content = [row for row in rows if row.content_hash == content]
                first, *copies = (row.id for row in sorted(of_content, key=lambda row: row.class_id is None))
                _set(connection, [first], status="active", duplicate_of=None)
                _set(connection, copies, duplicate_of=first)


def _groups_of(connection: Connection, ids: Sequence[int]) -> dict[int, list[Any]]:
    """Return the images of each group that has near duplicates and one of these images, by representative."""
    found: set[int] = set()
    for portion in portions(ids):
        # Two statements, each by an index.
        for concerned in (items.c.id.in_(portion), items.c.duplicate_of.in_(portion)):
            follower = select(items.c.duplicate_of).where(concerned, items.c.duplicate_of.is_not(None))
            found.update(connection.scalars(follower))
    groups: dict[int, list[Any]] = defaultdict(list)
    representative = func.coalesce(items.c.duplicate_of, items.c.id)
    class_id = current_answer("class_id", items.c.id).label("class_id")
    columns = select(items.c.id, items.c.content_hash, representative.label("group"), class_id)
    for portion in portions(sorted(found)):
        members = items.c.id.in_(portion) | items.c.duplicate_of.in_(portion)
        first = (items.c.duplicate_of.is_not(None), items.c.id)
        for row in connection.execute(columns.where(members).order_by(*first)):
            groups[int(row.group)].append(row)
    return {group: rows for group, rows in groups.items() if len({row.content_hash for row in rows}) > 1}


def _has_new(connection: Connection, condition: ColumnElement[bool] | None = None) -> bool:
    new = select(items.c.id).where(items.c.status == "new").limit(1)
    return connection.execute(new if condition is None else new.where(condition)).first() is not None


def _equals_a_new_one() -> ColumnElement[bool]:
    """Return SQL for: the image is new, or a new image has its content."""
    new = items.alias("new")
    return items.c.content_hash.in_(select(new.c.content_hash).where(new.c.status == "new"))


def _are_represented_by(connection: Connection, near: NearPairs) -> Iterator[ColumnElement[bool]]:
    """Yield SQL for: the image represents a near duplicate, and no new image has its content; portion by portion."""
    new = items.alias("new")
    equals = exists().where(new.c.content_hash == items.c.content_hash, new.c.status == "new")
    for portion in portions(sorted(set(near.same.values()))):
        yield is_one_of(connection, items.c.content_hash, portion) & ~equals


def _classes(connection: Connection) -> dict[int, int]:
    """Return the class id of every image with a class, by item id."""
    return {row.item_id: row.class_id for row in connection.execute(current_labels()) if row.class_id is not None}


def _set(connection: Connection, ids: Sequence[int], **values: object) -> None:
    for portion in portions(ids):
        connection.execute(update(items).where(items.c.id.in_(portion)).values(**values))


class _Present(NamedTuple):
    """Usable images as arrays: rows as objects would take a GiB for a million images.

    Attributes:
        ids: Item ids, shape (N,), preferred representatives first.
        is_new: Whether the item is new, shape (N,).
        content: sha256 of the files, shape (N, 32), uint8.
        perceptual: Perceptual hashes; None for an image without structure.
        stands_for: Id of the representative of each known duplicate, by its id.
    """

    ids: NDArray[np.int64]
    is_new: NDArray[np.bool_]
    content: NDArray[np.uint8]
    perceptual: list[str | None]
    stands_for: dict[int, int]

    def content_of(self, position: int) -> str:
        """Return the content hash at a position, hexadecimal."""
        return bytes(self.content[position]).hex()


def _present(connection: Connection, *parts: ColumnElement[bool]) -> _Present:
    """Return the usable images of some parts of the pool that do not overlap."""
    wanted = items.c.status.in_(("new", "active", "duplicate"))
    columns = (items.c.id, items.c.status, items.c.content_hash, items.c.perceptual_hash, items.c.duplicate_of)
    ids, is_new, content = array("q"), bytearray(), bytearray()
    perceptual: list[str | None] = []
    stands_for = {}
    rows = chain.from_iterable(streamed(connection, select(*columns).where(wanted, part)) for part in parts)
    for row in rows:
        item, status, content_hash, perceptual_hash, original = tuple(row)
        ids.append(item)
        is_new.append(status == "new")
        content += bytes.fromhex(content_hash)
        perceptual.append(perceptual_hash)
        if status == "duplicate":
            stands_for[item] = original
    numbers, fresh = np.array(ids, dtype=np.int64), np.frombuffer(is_new, dtype=bool)
    # Images that were picked or labelled come first, so that they stay representatives.
    touched = answered_items(connection) | set(connection.scalars(select(picks.c.item_id)))
    untouched = ~np.isin(numbers, np.fromiter(touched, dtype=np.int64))
    order = np.lexsort((numbers, untouched, fresh))
    contents = np.frombuffer(content, dtype=np.uint8).reshape(len(ids), -1)
    return _Present(numbers[order], fresh[order], contents[order], [perceptual[i] for i in order], stands_for)


def _paths(connection: Connection, ids: Sequence[int]) -> tuple[str, ...]:
    """Return the paths of images, in the order of their ids."""
    found: dict[int, str] = {}
    for portion in portions(ids):
        found.update((row.id, row.path) for row in connection.execute(_PATH.where(items.c.id.in_(portion))))
    return tuple(found[item] for item in ids)


def _moves(connection: Connection) -> Moves:
    """Give the row of a missing image the path of a new file, or of a known copy, with the same content."""
    missing = connection.execute(
        _FILE.where(items.c.status == "missing", items.c.content_hash.is_not(None)).order_by(items.c.id)
    ).all()
    if not missing:
        return Moves()
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
    return Moves(tuple(other.path for _, other in moves), tuple(row.path for row, _ in moves))


def _take_places(connection: Connection, moves: Sequence[tuple[Row[Any], Row[Any]]]) -> None:
    """Give the first row of each pair the file of the second, which has no history and is deleted."""
    if not moves:
        return
    labelled = answered_items(connection)
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
    """Make duplicates of a lost or rewritten image new items again, unless that image has a label."""
    original = items.alias("original")
    rows = connection.execute(
        select(items.c.id, original.c.id.label("original"))
        .join(original, items.c.duplicate_of == original.c.id)
        .where(items.c.status == "duplicate", original.c.status.in_(("missing", "set-aside", "new", "changed")))
    ).all()
    labelled = answered_items(connection) if rows else set()
    _set(connection, [row.id for row in rows if row.original not in labelled], status="new", duplicate_of=None)


def _exact(present: _Present) -> dict[int, int]:
    """Return the id of the original, by the id of its copy."""
    first = first_equal(present.content)
    copies = np.flatnonzero(first != np.arange(len(first)))
    return dict(zip(present.ids[copies].tolist(), present.ids[first[copies]].tolist(), strict=True))


def _near(present: _Present, exact_of: Mapping[int, int], same: Mapping[str, str]) -> dict[int, int]:
    """Return the id of the representative, by the id of its near duplicate."""
    if not same:
        return {}
    wanted = {*same, *same.values()}
    id_of = {
        content: item
        for position, item in enumerate(present.ids.tolist())
        if item not in exact_of and (content := present.content_of(position)) in wanted
    }
    near = {id_of[one]: id_of[other] for one, other in same.items() if one in id_of and other in id_of}
    return {item: other for item, other in near.items() if item not in present.stands_for}


def _store(connection: Connection, duplicate_of: Mapping[int, int], last_item: int) -> None:
    """Make these new items duplicates, and all other new items up to `last_item` active."""
    if duplicate_of:
        statement = update(items).where(items.c.id == bindparam("b_id"))
        connection.execute(
            statement.values(status="duplicate", duplicate_of=bindparam("b_of")),
            [{"b_id": item, "b_of": original} for item, original in duplicate_of.items()],
        )
    rest = update(items).where(items.c.status == "new", items.c.id <= last_item)
    connection.execute(rest.values(status="active", duplicate_of=None))
