"""Table of the pool in memory: one row per image, as NumPy columns, brought up to date in milliseconds.

A page that filters and orders 100,000 images cannot read them from the database for every request. The columns of
labels follow the label history: a refresh reads the rows that were appended since the last one.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Connection, Row, func, select, type_coerce

from minimax_al.campaign.store.database import Store, portions
from minimax_al.campaign.store.history import Origin, current_answer, is_valid
from minimax_al.campaign.store.schema import items, labels, picks, rounds
from minimax_al.data.features.hash_index import as_bytes

NO_ANSWER, LABEL, UNSURE, SKIP = range(4)
"""Kinds of answers, as numbers."""

KINDS = ("none", "label", "unsure", "skip")
ORIGINS = ("unknown", *get_args(Origin))

_RELOAD_SECONDS = 30.0
"""Age from which images are read again, in seconds: files may have moved. Longer if reading takes long."""

_RELOAD_FACTOR = 50.0
_FEW = 2_000
"""Number of changed images up to which their rows are read one by one."""

_NO_HASH = "0" * 64

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class PoolTable:
    """Images of a campaign and their current answers; all arrays have one row per image, by ascending id.

    Attributes:
        version: Number that changes with the table.
        images: Number that changes with the images alone.
        items: Ids of the images, shape (N,) int64.
        paths: Paths relative to the folder of images, N strings.
        folded: The same for a search that ignores case.
        active: Whether the image may be labelled and chosen: its file is there, and it is not a copy; shape (N,).
        hashes: Content hashes, shape (N, 32) uint8; zeros where unknown.
        kind: Kind of the current answer, an index into `KINDS`, shape (N,) int8.
        class_id: Id of the current label's class; 0 without one, shape (N,) int32.
        mask: Whether the current label is a mask, shape (N,).
        author: Author of the current answer, an index into `authors`, shape (N,) int32.
        authors: Names of authors.
        origin: How the current answer came, an index into `ORIGINS`, shape (N,) int8.
        at: Time of the current answer, microseconds since 1970, shape (N,) int64.
        label_id: Id of the row of the label history, shape (N,) int64; 0 without an answer.
        round: Number of the last round that picked the image; 0 if none did, shape (N,) int32.
    """

    version: int
    images: int
    items: Integers
    paths: list[str]
    folded: list[str]
    active: NDArray[np.bool_]
    hashes: NDArray[np.uint8]
    kind: NDArray[np.int8]
    class_id: NDArray[np.int32]
    mask: NDArray[np.bool_]
    author: NDArray[np.int32]
    authors: tuple[str, ...]
    origin: NDArray[np.int8]
    at: Integers
    label_id: Integers
    round: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.items)

    def find(self, ids: Sequence[int] | Integers) -> Integers:
        """Return the row of each image, -1 where it does not exist, shape (M,)."""
        wanted = np.asarray(ids, dtype=np.int64)
        if len(self.items) == 0:
            return np.full(len(wanted), -1, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.items, wanted), len(self.items) - 1)
        return np.where(self.items[place] == wanted, place, -1)


class _Age(NamedTuple):
    """State of the tables that a pool table was read from."""

    item_count: int
    last_item: int
    last_pick: int
    last_label: int


@dataclass
class PoolReader:
    """Reader that keeps the table of a pool up to date; safe to share between threads.

    Args:
        store: Database of the campaign.
        clock: Function that returns a time in seconds that never decreases.
    """

    store: Store
    clock: Callable[[], float] = time.monotonic
    _lock: Lock = field(default_factory=Lock)
    _table: PoolTable | None = None
    _age: _Age | None = None
    _fresh_until: float = 0.0

    def read(self) -> PoolTable:
        """Return the table as of now."""
        with self._lock, self.store.reading() as connection:
            age = _age_of(connection)
            before = self._table
            same_items = self._age is not None and age[:2] == self._age[:2] and self.clock() < self._fresh_until
            if before is None or self._age is None or not same_items:
                before = self._read_all(connection, before)
            elif age != self._age:
                before = _updated(connection, before, self._age, age)
            self._table, self._age = before, age
            return before

    def _read_all(self, connection: Connection, before: PoolTable | None) -> PoolTable:
        start = self.clock()
        table = _read_table(connection, before)
        seconds = self.clock() - start
        self._fresh_until = self.clock() + max(_RELOAD_SECONDS, _RELOAD_FACTOR * seconds)
        return table


def _age_of(connection: Connection) -> _Age:
    def last(column: Any) -> Any:  # noqa: ANN401 - a column, and a query for its largest value
        return select(func.coalesce(func.max(column), 0)).scalar_subquery()

    count = select(func.count()).select_from(items).scalar_subquery()
    row = connection.execute(select(count, last(items.c.id), last(picks.c.id), last(labels.c.id))).one()
    return _Age(*row)


def _read_table(connection: Connection, before: PoolTable | None) -> PoolTable:
    found = connection.execute(
        select(items.c.id, items.c.path, items.c.status, items.c.content_hash).order_by(items.c.id)
    ).all()
    paths = [row.path for row in found]
    count = len(found)
    number = 1 if before is None else before.version + 1
    table = PoolTable(
        version=number,
        images=number,
        items=np.fromiter((row.id for row in found), np.int64, count),
        paths=paths,
        folded=[path.casefold() for path in paths],
        active=np.fromiter((row.status == "active" for row in found), np.bool_, count),
        hashes=as_bytes([row.content_hash or _NO_HASH for row in found]).reshape(-1, 32),
        kind=np.zeros(count, np.int8),
        class_id=np.zeros(count, np.int32),
        mask=np.zeros(count, np.bool_),
        author=np.zeros(count, np.int32),
        authors=(),
        origin=np.zeros(count, np.int8),
        at=np.zeros(count, np.int64),
        label_id=np.zeros(count, np.int64),
        round=np.zeros(count, np.int32),
    )
    if before is not None and _same_images(before, table):
        table = replace(table, images=before.images)
    _set_rounds(connection, table, 0)
    return _with_answers(connection, table, None)


def _same_images(one: PoolTable, other: PoolTable) -> bool:
    return np.array_equal(one.items, other.items) and np.array_equal(one.hashes, other.hashes)


def _updated(connection: Connection, table: PoolTable, before: _Age, now: _Age) -> PoolTable:
    """Return the table with the answers and picks that came since."""
    columns = ("kind", "class_id", "mask", "author", "origin", "at", "label_id", "round", "active")
    table = replace(table, version=table.version + 1, **{name: getattr(table, name).copy() for name in columns})
    if now.last_pick != before.last_pick:
        _set_rounds(connection, table, before.last_pick)
    if now.last_label == before.last_label:
        return table
    changed = connection.scalars(select(labels.c.item_id).where(labels.c.id > before.last_label).distinct())
    ids = list(changed)
    return _with_answers(connection, table, ids if len(ids) <= _FEW else None)


def _set_rounds(connection: Connection, table: PoolTable, after: int) -> None:
    """Set the number of the last round that picked each image, from picks with a larger id than `after`."""
    chosen = (
        select(picks.c.item_id, rounds.c.number)
        .join(rounds, rounds.c.id == picks.c.round_id)
        .where(picks.c.id > after)
        .order_by(picks.c.id)
    )
    rows = connection.execute(chosen).all()
    place = table.find([row.item_id for row in rows])
    numbers = np.fromiter((row.number for row in rows), np.int32, len(rows))
    np.maximum.at(table.round, place[place >= 0], numbers[place >= 0])


def _with_answers(connection: Connection, table: PoolTable, changed: Sequence[int] | None) -> PoolTable:
    """Return the table with the current answers of the changed images; None for all images."""
    rows = list(_answers(connection, changed))
    places = np.arange(len(table)) if changed is None else table.find(changed)
    places = places[places >= 0]
    for column in (table.kind, table.class_id, table.mask, table.author, table.origin, table.at, table.label_id):
        column[places] = 0
    numbers = {name: number for number, name in enumerate(table.authors)}
    origins = {name: number for number, name in enumerate(ORIGINS)}
    place = table.find([row.item_id for row in rows])
    kept = [row for row, at in zip(rows, place.tolist(), strict=True) if at >= 0]
    place = place[place >= 0]
    table.kind[place] = [KINDS.index(row.kind) for row in kept]
    table.class_id[place] = [row.class_id or 0 for row in kept]
    table.mask[place] = [row.mask is not None for row in kept]
    table.author[place] = [numbers.setdefault(row.author, len(numbers)) for row in kept]
    table.origin[place] = [origins.get(row.origin or "", 0) for row in kept]
    table.at[place] = [row.microseconds for row in kept]
    table.label_id[place] = [row.id for row in kept]
    if changed is not None:
        _set_status(connection, table, changed)
    return replace(table, authors=tuple(numbers))


def _set_status(connection: Connection, table: PoolTable, changed: Sequence[int]) -> None:
    """Read the status of images again: an answer may make a changed image or a copy active."""
    for portion in portions(changed):
        rows = connection.execute(select(items.c.id, items.c.status).where(items.c.id.in_(portion))).all()
        place = table.find([row.id for row in rows])
        table.active[place[place >= 0]] = [
            row.status == "active" for row, at in zip(rows, place, strict=True) if at >= 0
        ]


def _answers(connection: Connection, changed: Sequence[int] | None) -> Sequence[Row[Any]]:
    """Return the rows of the history that are current: labels and unsures, and skips of images without them."""
    columns = (
        labels.c.id,
        labels.c.item_id,
        labels.c.kind,
        labels.c.class_id,
        labels.c.mask,
        labels.c.author,
        labels.c.origin,
        type_coerce(labels.c.at, BigInteger).label("microseconds"),  # not as a datetime: there may be 100,000
    )
    if changed is None:
        latest = (
            select(func.max(labels.c.id).label("id"))
            .where(*is_valid(labels))
            # Among the answers of an image, a skip is current only if it has no other.
            .group_by(labels.c.item_id, labels.c.kind == "skip")
            .subquery()
        )
        rows = connection.execute(select(*columns).join(latest, latest.c.id == labels.c.id)).all()
        settled = {row.item_id for row in rows if row.kind != "skip"}
        return [row for row in rows if row.kind != "skip" or row.item_id not in settled]
    found: list[Row[Any]] = []
    for portion in portions(changed):
        current = select(current_answer("id", items.c.id).label("id")).where(items.c.id.in_(portion)).subquery()
        held = connection.execute(select(*columns).join(current, current.c.id == labels.c.id)).all()
        settled = {row.item_id for row in held}
        skipped = (
            select(func.max(labels.c.id).label("id"))
            .where(labels.c.item_id.in_(portion), labels.c.kind == "skip", *is_valid(labels))
            .group_by(labels.c.item_id)
            .subquery()
        )
        skips = connection.execute(select(*columns).join(skipped, skipped.c.id == labels.c.id)).all()
        found += [*held, *(row for row in skips if row.item_id not in settled)]
    return found
