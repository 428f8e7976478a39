"""Work that the tests of a process share: compiled SQL, encoded images, and campaigns that were created before.

A process of a user opens one campaign; a process of the tests opens thousands.
"""

import hashlib
import inspect
import os
import shutil
import sqlite3
import time
from functools import cache
from io import BytesIO
from pathlib import Path

import sqlalchemy

from minimax_al.campaign import Campaign

from .fakes import random_image

MOST_FILES = 200
_dialects = {}
_seen, _templates = set(), {}


def create_engine(url, **options):
    """An engine with the dialect and the compiled statements of the first one for such a database."""
    engine = sqlalchemy.create_engine(url, **options)
    kind = engine.dialect.name
    if kind not in _dialects or _dialects[kind][0].server_version_info is None:  # no connection yet
        _dialects[kind] = engine.dialect, engine._compiled_cache
    else:
        engine.dialect, engine._compiled_cache = _dialects[kind]
        engine.pool._dialect = engine.dialect
    return engine


@cache
def _encoded(seed, size):
    file = BytesIO()
    random_image(seed, size).save(file, "PNG")
    return file.getvalue(), time.time_ns()


def write_image(path, seed, size=(20, 16)):
    """Write `random_image(seed, size)` as PNG, with the time of change that it had before."""
    content, changed = _encoded(seed, size)
    path.write_bytes(content)
    os.utime(path, ns=(changed, changed))


PATCHES = {"monkeypatch", "caplog", "capsys", "recwarn"}


def is_patched(function):
    """Whether a test may change or watch how its campaign is created."""
    return not PATCHES.isdisjoint(inspect.signature(function).parameters)


def create_campaign(folder, images, classes, task="classification", *, clock, templates, **options):
    """`Campaign.create`; a copy of an equal campaign, from the third time on that one is requested.

    Args:
        folder: Campaign folder.
        images: Folder of the images.
        classes: Class names.
        task: Task.
        clock: Clock of the tests.
        templates: Folder for the databases to copy; None always creates one.
        **options: Settings.
    """
    arguments = classes, task, dict(sorted(options.items())), clock()
    always = templates is None or folder.exists() or options.get("storage") is not None
    key = None if always else _key(images, arguments)
    if key in _templates:
        return _copy(_templates[key], folder, images, clock)
    campaign = Campaign.create(folder, images, classes, task, clock=clock, **options)
    if (
        key in _seen
        and key is not None
        and {path.name for path in folder.iterdir()} <= {f"campaign.db{end}" for end in _ENDINGS}
    ):
        _templates[key] = templates / f"{len(_templates)}.db"
        with sqlite3.connect(folder / "campaign.db") as source, sqlite3.connect(_templates[key]) as target:
            source.backup(target)
        source.close()
        target.close()
    _seen.add(key)
    return campaign


_ENDINGS = ("", ".lock", "-wal", "-shm")


def _key(images, arguments):
    """Everything that a creation reads: the arguments, and paths, times and contents of all files."""
    root = Path(images)
    files = sorted(path for path in root.rglob("*") if not path.is_dir()) if root.is_dir() else []
    if not 0 < len(files) <= MOST_FILES or any(path.is_symlink() or not path.is_file() for path in files):
        return None
    contents = [
        (str(path.relative_to(root)), (found := path.stat()).st_mode, found.st_nlink, found.st_mtime_ns, _hash(path))
        for path in files
    ]
    return repr((contents, arguments))


def _hash(path):
    return hashlib.blake2b(path.read_bytes()).digest()


def _copy(database, folder, images, clock):
    folder.mkdir(parents=True)
    shutil.copyfile(database, folder / "campaign.db")
    (folder / "campaign.db.lock").touch()
    with sqlite3.connect(folder / "campaign.db") as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(
            "UPDATE settings SET value = json_set(value, '$.images', ?) WHERE key = 'settings'",
            [str(Path(images).resolve())],
        )
    connection.close()
    return Campaign.open(folder, clock=clock)
