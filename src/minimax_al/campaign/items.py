"""The pictures of a campaign: what lies in the folder now, compared with what the database knows.

New files are examined and committed in portions, as `new`; the last step, one transaction, finds what moved and
what is there twice, and makes the rest `active`. An interrupted refresh loses nothing and goes on where it was.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, func, select, update

from minimax_al.campaign.duplicates import settle_new_items
from minimax_al.campaign.fingerprints import Fingerprint, examine
from minimax_al.campaign.history import labelled_items
from minimax_al.campaign.schema import items, labels
from minimax_al.campaign.store import Store, after_writing
from minimax_al.campaign.waiting import update_waiting
from minimax_al.data.scan import list_files, printable
from minimax_al.errors import DataError

Progress = Callable[[int, int], None]
"""Called with (files done, all files)."""

_PORTION = 512


@dataclass(frozen=True)
class Refresh:
    """What a look at the pictures' folder found that was not known; paths relative to the folder.

    Attributes:
        added: new pictures, duplicates among them.
        exact_duplicates: new pictures that are copies of another's file.
        near_duplicates: new pictures that show what another shows.
        moved: new paths of pictures whose file was moved or renamed; their labels went along.
        changed: pictures with labels whose file has other content now.
        missing: pictures whose file is gone.
        returned: missing pictures whose file is back.
        set_aside: files that cannot be used.
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
        """Counts of what is not nothing."""
        counts = {name.replace("_", " "): len(value) for name, value in vars(self).items() if value}
        return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "nothing new"


class _Known(NamedTuple):
    rows: dict[str, Row[Any]]
    labelled: set[int]


class _File(NamedTuple):
    name: str
    size_bytes: int
    modified_ns: int


def refresh_items(
    store: Store, root: Path, near_bits: int | None, now: datetime, progress: Progress | None = None
) -> Refresh:
    """Looks at the folder and brings the database up to date.

    Args:
        store: the campaign's database.
        root: the folder of pictures.
        near_bits: distance of perceptual hashes up to which pictures count as the same; None: exact copies only.
        now: when new pictures are said to have come.
        progress: called now and then with (files examined, files to examine).

    Raises:
        DataError: the folder is not there, or it is empty where pictures are known.
    """
    files = list(_stat_files(root))
    with store.reading() as connection:
        known = {row.path: row for row in connection.execute(select(items))}
        labelled = labelled_items(connection)
    if known and not files:
        raise DataError(
            f"{str(root)!r} holds no files, but the campaign knows {len(known)}: mount the folder or say where it is"
        )
    here = {printable(file.name) for file in files}
    gone = sorted(path for path, row in known.items() if row.status != "missing" and path not in here)
    found = _register(store, root, files, _Known(known, labelled), now=now, progress=progress)
    with store.writing() as connection:
        _set_status(connection, [known[path].id for path in gone], "missing")
        settled = settle_new_items(connection, near_bits)
        update_waiting(connection)
        after_writing(connection, len(found.added) + len(gone))
    moved = set(settled.moved)
    return replace(
        found,
        added=tuple(name for name in found.added if name not in moved),
        missing=tuple(path for path in gone if path not in settled.moved_from),
        exact_duplicates=settled.exact,
        near_duplicates=settled.near,
        moved=settled.moved,
    )


def accept_changed(connection: Connection, paths: Sequence[str] | None) -> int:
    """Says that the labels of changed pictures still hold; returns how many pictures are active again."""
    chosen = items.c.status == "changed"
    if paths is not None:
        chosen &= items.c.path.in_(list(paths))
    accepted = connection.execute(update(items).where(chosen).values(status="active", changed_after=None)).rowcount
    update_waiting(connection)
    return accepted


def list_duplicates(connection: Connection, most: int | None = None) -> list[tuple[str, str]]:
    """Paths of duplicates and of the pictures that stand for them, by path; at most `most`."""
    original = items.alias("original")
    pairs = select(items.c.path, original.c.path).join(original, items.c.duplicate_of == original.c.id)
    wanted = pairs.where(items.c.status == "duplicate").order_by(items.c.path).limit(most)
    return [(copy, of) for copy, of in connection.execute(wanted)]


def _stat_files(root: Path) -> Iterator[_File]:
    for name in list_files(root):
        try:
            status = os.stat(root / name)  # noqa: PTH116 - a million times
        except OSError:
            yield _File(name, 0, 0)  # a dangling link, say: examining it finds the reason
        else:
            yield _File(name, status.st_size, status.st_mtime_ns)


def _register(
    store: Store, root: Path, files: Sequence[_File], known: _Known, *, now: datetime, progress: Progress | None
) -> Refresh:
    """Examines new and changed files and commits them portion by portion."""
    todo = [file for file in files if _is_news(file, known.rows.get(printable(file.name)))]
    events: dict[str, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        for start in range(0, len(todo), _PORTION):
            portion = todo[start : start + _PORTION]
            # Threads are enough: decoding and hashing let go of the interpreter.
            fingerprints = list(threads.map(lambda file: examine(root, file.name), portion))
            with store.writing() as connection:
                for file, fingerprint in zip(portion, fingerprints, strict=True):
                    for event in _write(connection, file, fingerprint, known, now):
                        events[event].append(fingerprint.name)
                update_waiting(connection, [known.rows[one.name].id for one in fingerprints if one.name in known.rows])
            if progress is not None:
                progress(start + len(portion), len(todo))
    return Refresh(**{event: tuple(names) for event, names in events.items()})


def _write(
    connection: Connection, file: _File, fingerprint: Fingerprint, known: _Known, now: datetime
) -> Iterator[str]:
    """Writes one examined file; yields what has happened to it, in the words of `Refresh`."""
    row = known.rows.get(fingerprint.name)
    values = _values(file, fingerprint)
    if row is None:
        connection.execute(items.insert().values(added_at=now, **values))
    else:
        status = _status_again(row, fingerprint, has_label=row.id in known.labelled)
        values |= {"status": status, "duplicate_of": None}
        if status == "changed":
            values["changed_after"] = select(func.max(labels.c.id)).scalar_subquery()
        connection.execute(update(items).where(items.c.id == row.id).values(**values))
        if status == "changed":
            yield "changed"
        if row.status == "missing" and fingerprint.reason is None:
            yield "returned"
    if fingerprint.reason is not None:
        yield "set_aside"
    elif row is None:
        yield "added"


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
    """The status of a known path whose file was written again or is back."""
    if fingerprint.reason is not None:
        return "set-aside"
    if has_label:
        same = fingerprint.content_hash == row.content_hash and row.status != "changed"
        return "active" if same else "changed"
    return "new"


def _set_status(connection: Connection, ids: Sequence[int], status: str) -> None:
    if ids:
        statement = update(items).where(items.c.id == bindparam("b_id")).values(status=status)
        connection.execute(statement, [{"b_id": item} for item in ids])
