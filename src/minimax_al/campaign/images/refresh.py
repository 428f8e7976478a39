"""Refresh of a campaign's images: the folder as it is now, compared with the database.

New files are examined and committed in portions, as `new`; then moved files and duplicates are found, and the last
transaction makes the rest `active`. An interrupted refresh loses nothing: the next one resumes it.
"""

import os
from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, Select, bindparam, func, select, update

from minimax_al.campaign.images.duplicates import find_near_duplicates, follow_moves, settle_new_items
from minimax_al.campaign.images.fingerprints import Fingerprint, examine
from minimax_al.campaign.store.database import Store, after_writing, portions
from minimax_al.campaign.store.history import labelled_items, what_holds
from minimax_al.campaign.store.schema import items, labels
from minimax_al.campaign.store.waiting import update_waiting
from minimax_al.data.scan import list_files, printable
from minimax_al.errors import DataError
from minimax_al.vocabulary import Progress

_PORTION = 500
"""Number of files that are examined and committed together."""
_AT_ONCE = 20
"""Number of files that a thread examines together."""
_KNOWN: Select[Any] = select(
    items.c.id, items.c.path, items.c.status, items.c.content_hash, items.c.size_bytes, items.c.modified_ns
)
_KNOWN_BEFORE: Select[Any] = select(
    *(items.c.id, items.c.path, items.c.status, items.c.content_hash, items.c.labelled_hash),
    (what_holds("id", items.c.id) <= items.c.changed_after).label("is_stale"),
)


@dataclass(frozen=True)
class Refresh:
    """Differences that a refresh found; paths are relative to the images' folder.

    Attributes:
        added: New images, including duplicates.
        exact_duplicates: New images that are copies of another file.
        near_duplicates: New images that show the same as another image.
        moved: New paths of images whose file was moved or renamed; their labels moved along.
        changed: Images with labels whose file has other content now.
        missing: Images whose file is gone.
        returned: Missing images whose file is back.
        set_aside: Files that cannot be used.
    """

    added: tuple[str, ...] = ()
    exact_duplicates: tuple[str, ...] = ()
    near_duplicates: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the counts that are not zero."""
        counts = {name.replace("_", " "): len(value) for name, value in vars(self).items() if value}
        return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "nothing new"


class _Look(NamedTuple):
    """Differences between the folder and the database.

    Attributes:
        news: Names of files that are new, were changed or are back.
        gone: Ids of the images whose file is gone, by path.
        labelled: Ids of the images with an answer.
    """

    news: list[str]
    gone: dict[str, int]
    labelled: set[int]


class _File(NamedTuple):
    name: str
    size_bytes: int
    modified_ns: int


def refresh_items(
    store: Store, root: Path, near_bits: int | None, now: datetime, progress: Progress | None = None
) -> Refresh:
    """Compare the folder with the database and bring the database up to date.

    Args:
        store: Database of the campaign.
        root: Folder of the images.
        near_bits: Distance of perceptual hashes up to which pixels are compared; None finds copies only.
        now: Time at which new images are added.
        progress: Callback of the files that are examined and the images that are compared.

    Raises:
        DataError: The folder does not exist, or is empty although images are known.
    """
    with store.reading() as connection:
        look = _Look(*_compare(connection, root), labelled_items(connection))
    found = _register(store, root, look, now=now, progress=progress)
    with store.writing() as connection:
        _set_status(connection, list(look.gone.values()), "missing")
        moves = follow_moves(connection)
    near = find_near_duplicates(store, root, near_bits, progress)
    with store.writing() as connection:
        settled = settle_new_items(connection, near)
        update_waiting(connection)
        after_writing(connection, len(found.added) + len(look.gone))
    moved = set(moves.to)
    return replace(
        found,
        added=tuple(name for name in found.added if name not in moved),
        missing=tuple(sorted(look.gone.keys() - set(moves.origins))),
        exact_duplicates=settled.exact,
        near_duplicates=settled.near,
        moved=moves.to,
    )


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


def _compare(connection: Connection, root: Path) -> tuple[list[str], dict[str, int]]:
    """Return the names of new or changed files and the ids of lost images, compared a portion at a time.

    Raises:
        DataError: The folder does not exist, or is empty although images are known.
    """
    is_here = np.zeros(1 + (connection.execute(select(func.max(items.c.id))).scalar() or 0), dtype=bool)
    there, counted = items.c.status != "missing", select(func.count()).select_from(items)
    news, files = [], 0
    for names in _in_portions(list_files(root)):
        rows = _rows(connection, names)
        is_here[[row.id for row in rows.values() if row.status != "missing"]] = True
        news += [name for name in names if _is_news(_stat(root, name), rows.get(printable(name)))]
        files += len(names)
    if not files and (known := connection.execute(counted).scalar_one()):
        raise DataError(
            f"{str(root)!r} holds no files, but the campaign knows {known}: mount the folder, or give its new path"
        )
    if is_here.sum() == connection.execute(counted.where(there)).scalar_one():
        return news, {}
    known_before = connection.execute(select(items.c.id, items.c.path).where(there))
    return news, {row.path: row.id for row in known_before if not is_here[row.id]}


def _in_portions(names: Iterable[str]) -> Iterator[list[str]]:
    waiting = iter(names)
    while portion := list(islice(waiting, _PORTION)):
        yield portion


def _cut(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))


def _rows(connection: Connection, names: Sequence[str], columns: Select[Any] = _KNOWN) -> dict[str, Row[Any]]:
    """Return the rows of files in the database, by path."""
    found: dict[str, Row[Any]] = {}
    for portion in portions([printable(name) for name in names]):
        found.update((row.path, row) for row in connection.execute(columns.where(items.c.path.in_(portion))))
    return found


def _stat(root: Path, name: str) -> _File:
    try:
        status = os.stat(f"{root}/{name}")  # noqa: PTH116 - a million times
    except OSError:
        return _File(name, 0, 0)  # For example a dangling link: the examination of the file finds the reason.
    return _File(name, status.st_size, status.st_mtime_ns)


def _register(store: Store, root: Path, look: _Look, *, now: datetime, progress: Progress | None) -> Refresh:
    """Examine new and changed files and commit them portion by portion."""
    events: dict[str, list[str]] = defaultdict(list)
    done = 0
    with closing(_examined(root, look.news)) as examined_portions:
        for examined in examined_portions:
            with store.writing() as connection:
                for event, name in _write(connection, examined, look.labelled, now):
                    events[event].append(name)
            done += len(examined)
            if progress is not None:
                progress("examining", done, len(look.news), "files")
    return Refresh(**{event: tuple(names) for event, names in events.items()})


def _examined(root: Path, names: Sequence[str]) -> Generator[list[tuple[_File, Fingerprint]], None, None]:
    """Yield examined files, a portion at a time; the next portion is examined while one is written."""

    def look(names: Sequence[str]) -> list[tuple[_File, Fingerprint]]:
        # The file's time comes first: should it be written meanwhile, the next look sees that.
        return [(_stat(root, name), examine(root, name)) for name in names]

    # Threads are enough: decoding and hashing let go of the interpreter.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        ahead = deque[Iterator[list[tuple[_File, Fingerprint]]]]()
        for portion in _in_portions(names):
            ahead.append(threads.map(look, _cut(portion)))
            if len(ahead) > 1:
                yield list(chain.from_iterable(ahead.popleft()))
        for last in ahead:
            yield list(chain.from_iterable(last))


def _write(
    connection: Connection, examined: Sequence[tuple[_File, Fingerprint]], labelled: set[int], now: datetime
) -> Iterator[tuple[str, str]]:
    """Write examined files; yield each event, by its name in `Refresh`, with the file's name."""
    known = _rows(connection, [fingerprint.name for _, fingerprint in examined], _KNOWN_BEFORE)
    added = []
    for file, fingerprint in examined:
        row, values = known.get(fingerprint.name), _values(file, fingerprint)
        if row is None:
            added.append({"added_at": now, **values})
        else:
            yield from _write_again(connection, row, fingerprint, values, has_label=row.id in labelled)
        if fingerprint.reason is not None:
            yield "set_aside", fingerprint.name
        elif row is None:
            yield "added", fingerprint.name
    if added:
        connection.execute(items.insert(), added)
    update_waiting(connection, [row.id for row in known.values()])


def _write_again(
    connection: Connection, row: Row[Any], fingerprint: Fingerprint, values: dict[str, Any], *, has_label: bool
) -> Iterator[tuple[str, str]]:
    """Update the row of a known image, and yield its name and its new state for the outcome of the refresh."""
    status = _status_again(row, fingerprint, has_label=has_label)
    values |= {"status": status, "duplicate_of": None}
    if status == "changed":
        values["changed_after"] = select(func.max(labels.c.id)).scalar_subquery()
        values["labelled_hash"] = row.labelled_hash if row.is_stale else row.content_hash
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


def _is_news(file: _File, row: Row[Any] | None) -> bool:
    return (
        row is None
        or row.status == "missing"
        or (row.size_bytes, row.modified_ns) != (file.size_bytes, file.modified_ns)
    )


def _values(file: _File, fingerprint: Fingerprint) -> dict[str, Any]:
    return {
        "path": fingerprint.name,
        "status": "new" if fingerprint.reason is None else "set-aside",
        "reason": fingerprint.reason,
        "content_hash": fingerprint.content_hash,
        "perceptual_hash": fingerprint.perceptual_hash,
        "width": fingerprint.width,
        "height": fingerprint.height,
        "size_bytes": file.size_bytes,
        "modified_ns": file.modified_ns,
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
