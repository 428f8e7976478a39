"""Refresh of a campaign's images: their location as it is now, compared with the database.

The location is listed once. Each portion of the listing is compared with the database, its new files are examined, and
they are committed, so that memory holds a few portions whatever the size of the pool. An image that no other can equal
or resemble is `active` at once, and its row is never written again; the others are `new`. Then moved files are
followed, and the `new` images become duplicates or `active`. An interrupted refresh loses nothing: the next one resumes
it, and no image is picked before the first one has ended (`store.first_look`).
"""

import logging
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, Select, bindparam, delete, func, select, update

from minimax_al.campaign.images.duplicates import Moves, Settled, find_near_duplicates, follow_moves, settle_new_items
from minimax_al.campaign.images.fingerprints import Fingerprint, examine, examine_listed
from minimax_al.campaign.images.refresh_result import MOST_NAMES, NamesByKind, Refresh, Repeats
from minimax_al.campaign.store.bulk import add_rows, is_one_of
from minimax_al.campaign.store.database import Store, after_writing, portions
from minimax_al.campaign.store.first_look import end_first_look
from minimax_al.campaign.store.history import answered_items, given_id
from minimax_al.campaign.store.schema import items, labels, second_opinions
from minimax_al.campaign.store.waiting import update_waiting
from minimax_al.cores import available_cores
from minimax_al.data.locations.location import FoundImage, Location, count_images, found_file, list_images
from minimax_al.data.locations.scan import printable
from minimax_al.errors import DataError
from minimax_al.vocabulary import Progress

_log = logging.getLogger(__name__)

NEVER_MODIFIED = -1
"""Time of modification that no file has: the next look examines the file again."""
_PORTION = 500
"""Number of files that are examined and committed together."""
_STATED_PORTION = 5000
"""Number of files, not to be read, that are committed together."""
_AT_ONCE = 20
"""Number of files that a thread examines together."""
_REMOTE_THREADS, _REMOTE_AT_ONCE = 32, 4
"""Threads that examine objects of object storage, which wait for answers most of the time, and objects per task."""
_KNOWN: Select[Any] = select(
    *(items.c.id, items.c.path, items.c.status, items.c.content_hash, items.c.size_bytes, items.c.modified_ns),
    items.c.attributes,
)
_KNOWN_BEFORE: Select[Any] = select(
    *(items.c.id, items.c.path, items.c.status, items.c.content_hash, items.c.labelled_hash),
    (given_id(items.c.id) <= items.c.changed_after).label("is_stale"),
)


def refresh_items(
    store: Store, root: Location, near_bits: int | None, now: datetime, progress: Progress | None = None
) -> Refresh:
    """Compare the folder with the database and bring the database up to date.

    Args:
        store: Database of the campaign.
        root: Location of the images.
        near_bits: Distance of perceptual hashes up to which pixels are compared; None finds copies only.
        now: Time at which new images are added.
        progress: Callback of the files that are examined and the images that are compared.

    Raises:
        DataError: The folder does not exist, or is empty although images are known.
    """
    with store.reading() as connection:
        labelled = answered_items(connection)
        listing = _Listing(store, root, connection.execute(select(func.max(items.c.id))).scalar() or 0)
    look = _Look(labelled, now, listing.last, listing.repeats, may_resemble=near_bits is not None)
    found = _register(store, listing, look, progress=progress)
    listing.repeats.end()
    gone = listing.gone()
    with store.writing() as connection:
        _set_status(connection, list(gone.values()), "missing")
        moves = follow_moves(connection)
    near = find_near_duplicates(store, root, near_bits, progress)
    with store.writing() as connection:
        settled = settle_new_items(connection, near)
        end_first_look(connection)
        update_waiting(connection)
        after_writing(connection, found.counts["added"] + len(gone))
    return _result(found, moves, tuple(sorted(gone.keys() - set(moves.origins))), settled)


def _result(found: NamesByKind, moves: Moves, missing: tuple[str, ...], settled: Settled) -> Refresh:
    moved = set(moves.to)
    kept = {kind: tuple(names) for kind, names in found.kept.items()}
    added = tuple(name for name in kept.get("added", ()) if name not in moved)
    others = {"missing": missing, "moved": moves.to, "exact_duplicates": settled.exact, "near_duplicates": settled.near}
    counts = {kind: count for kind, count in found.counts.items() if count > MOST_NAMES}
    if "added" in counts:
        counts["added"] -= len(kept["added"]) - len(added)
    counts |= {kind: len(names) for kind, names in others.items() if len(names) > MOST_NAMES}
    listed = {kind: names[:MOST_NAMES] for kind, names in (kept | others | {"added": added}).items()}
    return Refresh(**listed, counts=counts)


def accept_changed(connection: Connection, paths: Sequence[str] | None) -> int:
    """Confirm the labels of changed images; return how many images are active again.

    Args:
        connection: Connection in a write transaction.
        paths: Paths of the images; None for all changed images.
    """
    chosen = items.c.status == "changed"
    if paths is not None:
        chosen &= items.c.path.in_(list(paths))
    accepted = connection.execute(
        update(items).where(chosen).values(status="active", changed_after=None, labelled_hash=None)
    ).rowcount
    update_waiting(connection)
    return accepted


class _Listing:
    """Listing of a location, compared with the database a portion at a time.

    Args:
        store: Database of the campaign.
        root: Location of the images.
        last: Largest id of an image before the refresh.

    Attributes:
        listed: Number of files so far.
        repeats: Names that are listed again.
    """

    def __init__(self, store: Store, root: Location, last: int) -> None:
        self.store = store
        self.root = root
        self.listed = 0
        self.repeats = Repeats()
        self.last = last
        self._is_here = np.zeros(last + 1, dtype=bool)

    def news(self) -> Iterator[FoundImage]:
        """Yield the new, changed and returned files."""
        is_empty = len(self._is_here) == 1
        for portion in _in_portions(list_images(self.root)):
            rows: dict[str, Row[Any]] = {}
            if not is_empty:
                with self.store.reading() as connection:
                    rows = _rows(connection, [file.name for file in portion])
            news: dict[str, FoundImage] = {}
            for file in portion:
                row = rows.get(printable(file.name))
                # A row that was added since the beginning was listed before; `_write` finds those of the last portions.
                if row is not None and (row.id > self.last or self._is_here[row.id]):
                    self.repeats.add(file.name)
                    continue
                if row is not None:
                    self._is_here[row.id] = True
                if _is_news(file, row) and news.setdefault(file.name, file) is not file:
                    self.repeats.add(file.name)
            self.listed += len(portion)
            yield from news.values()

    def gone(self) -> dict[str, int]:
        """Return the ids of the images whose file is gone, by path; after all news were written.

        Raises:
            DataError: The location is empty although images are known.
        """
        known = items.c.id < len(self._is_here)
        counted = select(func.count()).select_from(items).where(known)
        with self.store.reading() as connection:
            if not self.listed and (count := connection.execute(counted).scalar_one()):
                raise DataError(
                    f"{str(self.root)!r} holds no files, but the campaign knows {count}: mount the folder, or give its "
                    "new path"
                )
            there = items.c.status != "missing"
            if self._is_here.sum() == connection.execute(counted.where(there)).scalar_one():
                return {}
            rows = connection.execute(select(items.c.id, items.c.path).where(known, there))
            return {row.path: row.id for row in rows if not self._is_here[row.id]}


def _in_portions(files: Iterable[FoundImage]) -> Iterator[list[FoundImage]]:
    """Yield portions: small where each file is read, since an interruption costs one; large where none is."""
    waiting = iter(files)
    while portion := list(islice(waiting, _PORTION)):
        if all(file.stated is not None for file in portion):
            portion += islice(waiting, _STATED_PORTION - len(portion))
        yield portion


def _cut(files: Sequence[FoundImage], size: int) -> Iterator[Sequence[FoundImage]]:
    return (files[start : start + size] for start in range(0, len(files), size))


def _rows(connection: Connection, names: Sequence[str], columns: Select[Any] = _KNOWN) -> dict[str, Row[Any]]:
    """Return the rows of files in the database, by path."""
    found: dict[str, Row[Any]] = {}
    for portion in portions([printable(name) for name in names]):
        chosen = columns.where(is_one_of(connection, items.c.path, portion))
        found.update((row.path, row) for row in connection.execute(chosen))
    return found


class _Look(NamedTuple):
    """Facts that a refresh needs for every portion.

    Attributes:
        labelled: Ids of the images with a current label or "unsure".
        now: Time at which new images are added.
        last: Largest id of an image before the refresh.
        repeats: Names that are listed again.
        may_resemble: Whether near duplicates are looked for.
    """

    labelled: set[int]
    now: datetime
    last: int
    repeats: Repeats
    may_resemble: bool


def _register(store: Store, listing: _Listing, look: _Look, *, progress: Progress | None) -> NamesByKind:
    """Examine new and changed files and commit them portion by portion."""
    names = NamesByKind()
    total = None if progress is None else count_images(listing.root)
    done = 0
    with closing(_examined(listing)) as portions_of_news:
        for listed, examined in portions_of_news:
            with store.writing() as connection:
                for event, name in _write(connection, examined, look):
                    names.add(event, name)
            done += len(examined)
            if progress is not None:
                progress("examining", *_share(done, listed, total), "files")
    return names


def _share(examined: int, listed: int, total: int | None) -> tuple[int, int]:
    """Return the numbers for a bar: files that are done and their total, or those listed so far."""
    return (listed, total) if total is not None and total >= listed else (examined, listed)


def _examined(listing: _Listing) -> Generator[tuple[int, list[tuple[FoundImage, Fingerprint]]], None, None]:
    """Yield the number of files listed so far and examined files; the next portion is examined while one is written."""
    root = listing.root
    is_remote = not isinstance(root, Path)

    def look(files: Sequence[FoundImage]) -> list[tuple[FoundImage, Fingerprint]]:
        # The file's time comes first: should it be written meanwhile, the next look sees that.
        if is_remote:  # as the location lists them
            return [(file, examine_listed(root, file)) for file in files]
        return [(found_file(root, file.name), examine(root, file.name)) for file in files]

    # Threads are enough: decoding and hashing let go of the interpreter.
    with ThreadPoolExecutor(max_workers=_REMOTE_THREADS if is_remote else available_cores()) as threads:
        ahead = deque[tuple[int, Iterator[list[tuple[FoundImage, Fingerprint]]]]]()
        for portion in _in_portions(listing.news()):
            is_read = portion[0].stated is None
            cut = _cut(portion, _PORTION if not is_read else _REMOTE_AT_ONCE if is_remote else _AT_ONCE)
            ahead.append((listing.listed, threads.map(look, cut)))
            if len(ahead) > 1:
                listed, done = ahead.popleft()
                yield listed, list(chain.from_iterable(done))
        for listed, done in ahead:
            yield listed, list(chain.from_iterable(done))


def _write(
    connection: Connection, examined: Sequence[tuple[FoundImage, Fingerprint]], look: _Look
) -> Iterator[tuple[str, str]]:
    """Write examined files; yield each event, by its name in `Refresh`, with the file's name."""
    known = _rows(connection, [fingerprint.name for _, fingerprint in examined], _KNOWN_BEFORE)
    added: list[dict[str, Any]] = []
    for file, fingerprint in examined:
        row, values = known.get(fingerprint.name), _values(file, fingerprint)
        if row is not None and row.id > look.last:
            look.repeats.add(file.name)
            continue
        if row is None:
            added.append({"added_at": look.now, **values})
        else:
            yield from _write_again(connection, row, fingerprint, values, has_label=row.id in look.labelled)
        if fingerprint.reason is not None:
            yield "set_aside", fingerprint.name
        elif row is None:
            yield "added", fingerprint.name
    _settle_at_once(connection, added, may_resemble=look.may_resemble)
    add_rows(connection, items, added)
    update_waiting(connection, [row.id for row in known.values()])


def _settle_at_once(connection: Connection, added: Sequence[dict[str, Any]], *, may_resemble: bool) -> None:
    """Make rows that are about to be added active, if no other image can equal or resemble them.

    Such a row has a content that the database does not have, neither as an image nor as one that is missing (whose file
    may have moved), and its pixels are not compared.
    """
    alone: list[dict[str, Any]] = []
    taken: set[str] = set()
    for row in added:
        if row["status"] != "new":
            continue
        if may_resemble and row["perceptual_hash"] is not None:
            taken.add(row["content_hash"])
        else:
            alone.append(row)
    for portion in portions([row["content_hash"] for row in alone]):
        same = select(items.c.content_hash).where(is_one_of(connection, items.c.content_hash, portion))
        taken.update(connection.scalars(same))
    for row in alone:  # of copies among them, the first is the original, as in `settle_new_items`
        if row["content_hash"] not in taken:
            row["status"] = "active"
            taken.add(row["content_hash"])


def _write_again(
    connection: Connection, row: Row[Any], fingerprint: Fingerprint, values: dict[str, Any], *, has_label: bool
) -> Iterator[tuple[str, str]]:
    """Update the row of a known image, and yield its name and its new state for the outcome of the refresh."""
    status = _status_again(row, fingerprint, has_label=has_label)
    values |= {"status": status, "duplicate_of": None}
    if status == "changed":
        values["changed_after"] = select(func.max(labels.c.id)).scalar_subquery()
        values["labelled_hash"] = row.labelled_hash if row.is_stale else row.content_hash
        # The opinions are about the former content, whose masks may have another size.
        connection.execute(delete(second_opinions).where(second_opinions.c.item_id == row.id))
        yield "changed", fingerprint.name
    elif status == "set-aside" and has_label:
        # The label is of the content before: it holds again as soon as the file has that content back.
        for column in ("content_hash", "perceptual_hash", "width", "height"):
            del values[column]
    elif has_label and row.is_stale:
        values |= {"changed_after": None, "labelled_hash": None}
    connection.execute(update(items).where(items.c.id == row.id).values(**values))
    if row.status == "missing" and fingerprint.reason is None:
        yield "returned", fingerprint.name


def _is_news(file: FoundImage, row: Row[Any] | None) -> bool:
    return (
        row is None
        or row.status == "missing"
        or (row.size_bytes, row.modified_ns) != (file.size_bytes, file.version)
        or (file.attributes is not None and row.attributes != dict(file.attributes))
    )


def _values(file: FoundImage, fingerprint: Fingerprint) -> dict[str, Any]:
    return {
        "path": fingerprint.name,
        "status": "new" if fingerprint.reason is None else "set-aside",
        "reason": fingerprint.reason,
        "content_hash": fingerprint.content_hash,
        "perceptual_hash": fingerprint.perceptual_hash,
        "width": fingerprint.width,
        "height": fingerprint.height,
        "size_bytes": file.size_bytes,
        "modified_ns": NEVER_MODIFIED if fingerprint.is_passing else file.version,
        "attributes": None if file.attributes is None else dict(file.attributes),
    }


def _status_again(row: Row[Any], fingerprint: Fingerprint, *, has_label: bool) -> str:
    """Return the status of a known path whose file was written again or is back."""
    if fingerprint.reason is not None:
        return "set-aside"
    if has_label:
        labelled = row.labelled_hash if row.is_stale else row.content_hash
        return "active" if fingerprint.content_hash == labelled else "changed"
    return "new"


def _set_status(connection: Connection, ids: Sequence[int], status: str) -> None:
    if ids:
        statement = update(items).where(items.c.id == bindparam("b_id")).values(status=status)
        connection.execute(statement, [{"b_id": item} for item in ids])
