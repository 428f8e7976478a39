"""Campaign folder: its creation, its files, and the connection to its database."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL, Connection

from minimax_al.campaign.classes.classes import add_classes
from minimax_al.campaign.classes.name_rules import check_class_names
from minimax_al.campaign.settings.settings import SETTINGS, CampaignSettings
from minimax_al.campaign.store.database import WAIT_SECONDS, Store, parse_url, sqlite_url
from minimax_al.campaign.store.first_look import FIRST_LOOK
from minimax_al.campaign.store.migrations import create_tables, migrate, version_of
from minimax_al.campaign.store.schema import settings as settings_table
from minimax_al.durable import write_durably
from minimax_al.errors import CampaignError, ConfigurationError, StoreError

DATABASE = "campaign.db"
STORAGE = "storage.json"
OWN_NAMES = (
    *("masks", "views", "drafts", "features", "models", "checkpoints", "maps", "neighbours", "superpixels"),
    "report.html",
)
"""Files and folders of a campaign next to its database, which it replaces and removes."""
_CREATED = "created_at"


def create_folder(
    folder: Path, settings: CampaignSettings, classes: Sequence[str], storage: str | None, now: datetime
) -> Store:
    """Make a campaign's folder and tables; an interrupted creation is completed.

    Args:
        folder: Campaign folder.
        settings: Settings to store.
        classes: Classes, in order.
        storage: URL of a PostgreSQL database; None for SQLite in the folder.
        now: Current time.

    Raises:
        CampaignError: The folder has a campaign already, has files under a campaign's own names, or cannot be written.
        ConfigurationError: The classes or the storage are invalid.
    """
    check_class_names(classes)
    _check_free(folder)
    if len(classes) < 2:
        raise ConfigurationError(f"{len(classes)} classes leave nothing to tell apart: give at least two")
    url = None if storage is None else _server(storage)
    is_new = not folder.exists()
    is_remembered = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if url is not None and not (folder / STORAGE).exists():
            _remember(folder, url)
            is_remembered = True
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise CampaignError(f"the campaign's folder {str(folder)!r} cannot be written: {error.strerror}") from error
    store = _connect(folder, url)
    try:
        store.use_write_ahead_log()
        store.make_schema()
        with store.writing() as connection:
            _fill(connection, folder, settings, classes, now)
    except BaseException as error:
        store.close()
        if is_remembered and isinstance(error, StoreError):  # the URL may be wrong; only the first one is remembered
            (folder / STORAGE).unlink(missing_ok=True)
            if is_new:
                with suppress(OSError):
                    folder.rmdir()
        raise
    return store


def _server(storage: str) -> URL:
    """Return the URL of a database server.

    Raises:
        ConfigurationError: It is not one.
    """
    url = parse_url(storage)
    if url.drivername == "sqlite":
        raise ConfigurationError(
            f"storage={url.render_as_string()!r} is a file: leave it out, since {DATABASE} in the campaign's folder is "
            "one, or give postgresql+psycopg://USER@HOST/DATABASE"
        )
    return url


def _check_free(folder: Path) -> None:
    """Refuse a folder with files of somebody else under a campaign's own names, which would be replaced or removed."""
    if (folder / DATABASE).exists() or (folder / STORAGE).exists():
        return  # an interrupted creation, or a campaign, which is refused later
    for name in OWN_NAMES:
        path = folder / name
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise CampaignError(
                f"{str(folder)!r} has {name!r} already, where a campaign keeps files of its own: give a new folder, "
                f"such as {str(folder / 'campaign')!r}"
            )


@contextmanager
def removed_on_failure(folder: Path, store: Store) -> Iterator[None]:
    """Remove a new campaign if what follows fails: the database, and everything else that is new in the folder.

    Args:
        folder: Campaign folder that `create_folder` has just made.
        store: Its database.
    """
    try:
        yield
    except Exception:
        store.remove_schema()
        store.close()
        for name in ("masks", *_files_of_database(folder), STORAGE):
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        with suppress(OSError):  # it has other files
            folder.rmdir()
        raise


def _files_of_database(folder: Path) -> list[str]:
    """Return the names of the database's files: itself, its logs and its locks, but not copies by the user."""
    endings = ("-wal", "-shm", "-journal", ".lock")
    starts = tuple(f"{DATABASE}{ending}" for ending in endings)
    return [path.name for path in folder.iterdir() if path.name == DATABASE or path.name.startswith(starts)]


def open_folder(folder: Path, storage: str | None = None, wait_seconds: float = WAIT_SECONDS) -> Store:
    """Connect to a campaign's database, and migrate it to the current schema.

    Args:
        folder: Campaign folder.
        storage: URL instead of the one in the folder, for example with a password.
        wait_seconds: Longest time to wait for another process to release the database.

    Raises:
        CampaignError: The folder has no campaign, or its database cannot be used.
    """
    if not (folder / DATABASE).is_file() and not (folder / STORAGE).is_file():
        kind = "is not a campaign" if folder.is_dir() else "is a file" if folder.is_file() else "does not exist"
        raise CampaignError(f"{str(folder)!r} {kind}: make one with 'mal new', or give the folder of one")
    store = _connect(folder, None if storage is None else _server(storage), wait_seconds)
    try:
        migrate(store)
    except BaseException:
        store.close()
        raise
    return store


def _fill(
    connection: Connection, folder: Path, settings: CampaignSettings, classes: Sequence[str], now: datetime
) -> None:
    if version_of(connection) is not None:
        raise CampaignError(f"{str(folder)!r} is a campaign already: open it, or give another folder")
    create_tables(connection)
    values = {SETTINGS: settings.model_dump(mode="json"), _CREATED: now.isoformat(), FIRST_LOOK: "unfinished"}
    connection.execute(settings_table.insert(), [{"key": key, "value": value} for key, value in values.items()])
    add_classes(connection, classes)


def _remember(folder: Path, url: URL) -> None:
    """Write the address of the database, without the password, which PGPASSWORD or ~/.pgpass provides."""
    plain = url.set(password=None).render_as_string()
    content = {"url": plain, "schema": f"campaign_{uuid.uuid4().hex[:12]}"}
    write_durably(folder / STORAGE, (json.dumps(content, indent=2) + "\n").encode())


def _connect(folder: Path, url: URL | None, wait_seconds: float = WAIT_SECONDS) -> Store:
    if not (folder / STORAGE).is_file():
        if url is not None:
            raise ConfigurationError(f"{str(folder)!r} keeps its state in {DATABASE}: open it without a storage")
        return Store(sqlite_url(folder / DATABASE), wait_seconds=wait_seconds)
    try:
        content = json.loads((folder / STORAGE).read_bytes())
        named, schema = content["url"], content["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise CampaignError(f"{str(folder / STORAGE)!r} is damaged ({error}): restore it from a backup") from error
    return Store(url or named, schema, wait_seconds)


@contextmanager
def closed_on_failure(store: Store) -> Iterator[None]:
    """Close the database if the block fails."""
    try:
        yield
    except BaseException:
        store.close()
        raise
