"""Database of a campaign: SQLite in its folder, or PostgreSQL by URL, with the same guarantees.

* One writer at a time, on both. A write transaction takes its lock before it reads, so the rows that it has read
  cannot change before it commits. Writers are served in order of arrival; waiting is bounded.
* A committed transaction survives the death of the process (kill -9). SQLite runs in WAL mode with `synchronous=FULL`:
  a commit returns after the disk has confirmed the write, so it also survives a power cut unless the disk confirms too
  early. PostgreSQL does the same by default.

On SQLite writers hold a lock file besides SQLite's own lock, for two reasons. SQLite's lock is not fair: a process that
never pauses starves the others. And versions 3.7.0 to 3.51.2 may lose committed transactions if two connections write
and checkpoint in the same instant (the "WAL-reset bug"); a writer that holds the lock file is never in that instant.
"""

import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from minimax_al.errors import CampaignError, ConfigurationError, DataError, MissingDependencyError, StoreError
from minimax_al.locks import FairLock

WAIT_SECONDS = 30.0
"""Time for which a transaction waits for other writers, in seconds."""

SYNCHRONOUS = "FULL"
"""Setting `synchronous` of SQLite: a commit waits until the disk has it."""

_BEGIN = "minimax_al_begin"
_AT_ONCE = 500
_SECRETS = ("password", "sslpassword")

T = TypeVar("T")


class Store:
    """Connections to one campaign's database; safe to share between threads.

    Args:
        url: URL for SQLAlchemy; `sqlite_url` returns that of a file.
        schema: Schema of the campaign's tables, PostgreSQL only.
        wait_seconds: Longest time to wait for other writers, in seconds.

    Raises:
        ConfigurationError: The database is not supported.
        MissingDependencyError: PostgreSQL without psycopg.
    """

    def __init__(self, url: URL | str, schema: str | None = None, wait_seconds: float = WAIT_SECONDS) -> None:
        self.url = parse_url(url)
        self.schema = schema
        self.wait_seconds = wait_seconds
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.where = repr(self.url.database) if self.is_sqlite else repr(self.url.render_as_string())
        self._lock = FairLock(Path(f"{self.url.database}.lock") if self.is_sqlite else None)
        self.engine = self._sqlite_engine() if self.is_sqlite else self._postgresql_engine()
        # From Python 3.13 a connection that is not closed warns when it is collected.
        weakref.finalize(self, self.engine.dispose).atexit = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that reads one consistent snapshot.

        Raises:
            StoreError: The database cannot be used.
        """
        with _one_sentence(self.where), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that holds the lock of writers, and commit it at the end.

        Raises:
            StoreError: The database cannot be used, or another writer keeps it locked.
        """
        with self._turn(), _one_sentence(self.where), self.engine.connect() as connection:
            writer = connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            with writer.begin():
                if not self.is_sqlite:
                    _lock_postgresql(writer, self.wait_seconds)
                yield writer

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the lock of writers, in order of arrival, inside the block."""
        with ExitStack() as turn:
            try:
                turn.enter_context(self._lock.held(self.wait_seconds))
            except TimeoutError:
                where = "by another thread of this process" if self._lock.path is None else f"({self._lock.path})"
                raise StoreError(
                    f"the campaign's database has been locked by another writer for {self.wait_seconds:g} seconds "
                    f"{where}: wait until it has finished, then try again; nothing was changed"
                ) from None
            except OSError as error:
                raise StoreError(
                    f"the campaign's database cannot be written, because {str(self._lock.path)!r} cannot: "
                    f"{error.strerror}; allow writing in the campaign's folder, and check that its disk has room"
                ) from error
            yield

    @contextmanager
    def advisory_lock(self, name: str) -> Iterator[bool]:
        """Hold a lock of this campaign in PostgreSQL inside the block; yield False if another process holds it.

        No file is locked, so processes on several machines exclude one another. The lock ends with its connection.

        Args:
            name: Name of the lock.

        Raises:
            StoreError: The database cannot be used.
        """
        key = {"name": f"{self.schema}/{name}"}
        with _one_sentence(self.where), self.engine.connect() as connection:
            session = connection.execution_options(isolation_level="AUTOCOMMIT")
            taken = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
            is_ours = bool(session.execute(taken, key).scalar_one())
            try:
                yield is_ours
            finally:
                # A connection that was lost has released it.
                with suppress(DBAPIError):
                    if is_ours:
                        session.execute(text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))"), key)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def use_write_ahead_log(self) -> None:
        """Set a new SQLite file to WAL mode, which is persistent: readers and a writer run concurrently."""
        if not self.is_sqlite:
            return
        with _one_sentence(self.where), self.engine.connect() as connection:
            mode = connection.connection.cursor().execute("PRAGMA journal_mode=WAL").fetchone()
        if mode[0] != "wal":
            raise CampaignError(
                f"{self.where} cannot use a write-ahead log (journal mode {mode[0]!r}): put it on a local disk"
            )

    def make_schema(self) -> None:
        """Create the PostgreSQL schema of this campaign's tables."""
        if self.schema is not None:
            with self.writing() as connection:
                connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{self.schema}"'))

    def remove_schema(self) -> None:
        """Remove the PostgreSQL schema of this campaign with all its tables."""
        if self.schema is not None:
            with self.writing() as connection:
                connection.execute(text(f'DROP SCHEMA IF EXISTS "{self.schema}" CASCADE'))

    def _sqlite_engine(self) -> Engine:
        engine = create_engine(self.url, connect_args={"timeout": self.wait_seconds}, **self._pool_settings())

        @event.listens_for(engine, "connect")
        def prepare(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001 - the event's signature
            connection.isolation_level = None  # this class begins transactions, not the driver
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(f"PRAGMA synchronous={SYNCHRONOUS}")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))

        return engine

    def _postgresql_engine(self) -> Engine:
        settings: dict[str, Any] = {"connect_timeout": max(2, round(self.wait_seconds))}
        if self.schema is not None:
            settings["options"] = f"-csearch_path={self.schema}"
        return create_engine(self.url, connect_args=settings, pool_pre_ping=True, **self._pool_settings())

    def _pool_settings(self) -> dict[str, Any]:
        """Return pool settings under which every thread of a web server has a connection to read with."""
        return {"pool_size": 8, "max_overflow": 56, "pool_timeout": self.wait_seconds}


def portions(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield values in portions that every database accepts in one IN (…)."""
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def after_writing(connection: Connection, rows: int) -> None:
    """Make PostgreSQL analyse tables that have grown much, instead of up to a minute later.

    Until then it plans queries for the former size, and a join over labels may take seconds.
    """
    if connection.dialect.name == "postgresql" and rows >= _AT_ONCE:
        connection.execute(text("ANALYZE items, labels, picks, validation"))


def sqlite_url(file: Path) -> URL:
    """Return the URL of a SQLite file."""
    return URL.create("sqlite", database=str(file))


def parse_url(url: URL | str) -> URL:
    """Return a parsed URL of a supported database.

    Raises:
        ConfigurationError: The database is not supported, or the URL has a password among its options.
        MissingDependencyError: PostgreSQL without psycopg.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = URL.create("")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ConfigurationError(
            # Not the whole URL: it may have a password.
            f"storage='{parsed.drivername}:…' is not a database for campaigns: leave it out for SQLite in the "
            "campaign's folder, or give postgresql+psycopg://USER@HOST/DATABASE"
        )
    secret = next((name for name in _SECRETS if name in parsed.query), None)
    if secret is not None:
        raise ConfigurationError(
            f"storage has {secret!r} among its options, which messages show and the campaign's folder keeps: "
            "give the password by PGPASSWORD or ~/.pgpass"
        )
    if parsed.drivername == "postgresql+psycopg":
        _check_psycopg()
    return parsed


def _check_psycopg() -> None:
    try:
        import psycopg  # noqa: F401, PLC0415 - an optional package
    except ImportError as error:
        raise MissingDependencyError("psycopg", "postgresql", "a campaign in PostgreSQL") from error


def _lock_postgresql(connection: Connection, wait_seconds: float) -> None:
    """Take the lock of writers of this schema until the end of the transaction, as BEGIN IMMEDIATE does on SQLite."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{max(1, round(1000 * wait_seconds))}ms'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(current_setting('search_path')))"))


@contextmanager
def _one_sentence(where: str) -> Iterator[None]:
    """Convert a database error that a user can correct into one sentence; pass on all others."""
    try:
        yield
    except UnicodeEncodeError as error:  # JSON and file names can spell half of a character
        raise DataError(
            f"{error.object!r} holds {error.object[error.start]!r}, a lone surrogate, which no file can hold: "
            "correct it"
        ) from error
    except PoolTimeoutError as error:
        raise StoreError(f"the campaign's database {where} {_SQLITE_REASONS['BUSY']}") from error
    except DBAPIError as error:
        why = _why(error.orig)
        if why is None and "NUL" in str(error.orig):
            raise DataError(
                f"a text holds the character NUL, which PostgreSQL cannot store: {error.params!r}"
            ) from error
        if why is None:
            raise
        raise StoreError(f"the campaign's database {where} {why}") from error


_SQLITE_REASONS = {
    "BUSY": "is locked by another process: wait until it has finished, then try again; nothing was changed",
    "FULL": "has no room left on its disk: free some space, then try again; nothing was changed",
    "READONLY": "cannot be written: allow writing in its folder (SQLite's log is written there, too)",
    "CANTOPEN": "cannot be opened: allow reading and writing in its folder",
    "NOTADB": "is not a database: it was overwritten; restore it from a backup",
    "CORRUPT": "is damaged: restore it from a backup (its labels may still be read by 'sqlite3 FILE .recover')",
    "IOERR": "cannot be read or written: the disk reports an error, or it is full; nothing was changed",
}
_POSTGRESQL_REASONS = {
    "55P03": "is locked by another process: wait until it has finished, then try again; nothing was changed",
    "53100": "has no room left on its disk: free some space, then try again; nothing was changed",
    "25006": "cannot be written: the server is read-only",
    "57P01": "has closed the connection: see that the server runs, then try again; nothing was changed",
    "42501": "cannot be used by this user: grant it the right to create schemas and tables",
}


def _why(error: BaseException | None) -> str | None:
    name = str(getattr(error, "sqlite_errorname", "")).removeprefix("SQLITE_")
    if name:
        return next((why for code, why in _SQLITE_REASONS.items() if name.startswith(code)), None)
    state = getattr(error, "sqlstate", None)
    if state is None and type(error).__name__ == "OperationalError":
        first = str(error).strip().splitlines()[0] if str(error).strip() else "no answer"
        return f"cannot be reached ({first}): check the URL, the server and the password (PGPASSWORD or ~/.pgpass)"
    return _POSTGRESQL_REASONS.get(str(state))
