"""Objects of object storage: read through a disk cache, with retries; listed folder by folder. fsspec does the work.

A request that fails for a passing reason (throttling, a lost connection, half of a body) is repeated with growing
pauses. What remains is one of two errors: `UnreadableImageError` where the object alone is at fault, so that it is set
aside; `StorageError` where the storage cannot be used now, so that the run ends without loss and a later one continues.
Credentials come from the environment, as each file system of fsspec reads them, and never reach a message.
"""

import errno
import hashlib
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple, TypeVar

from minimax_al.data.object_storage.disk_cache import CACHE_FOLDER, DiskCache, cache_from_environment
from minimax_al.data.object_storage.file_systems import FileSystem, file_system, why_refused
from minimax_al.data.object_storage.urls import redacted
from minimax_al.errors import StorageError, UnreadableImageError

ATTEMPTS = 6
"""Requests for one object before it counts as failed."""

FIRST_PAUSE_SECONDS = 0.5
"""Pause before the second attempt; it doubles from attempt to attempt."""

CHECKED_SECONDS = 300.0
"""Time for which an object that was read counts as unchanged in this process."""

_OF_BODIES = frozenset({"FlexibleChecksumError", "IncompleteReadError", "ClientPayloadError", "ResponseStreamingError"})
"""Errors of libraries about the body of an answer that began properly."""

_OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
"""Numbers of errors of this machine's disk, which a repetition does not mend."""

_REMEMBERED = 100_000
_WARNED_SECONDS = 60.0

Result = TypeVar("Result")
_log = logging.getLogger(__name__)


class ObjectState(NamedTuple):
    """Object as the storage describes it.

    Attributes:
        size_bytes: Size in bytes.
        version: Number that changes with the content, made of the ETag or of the time of modification.
    """

    size_bytes: int
    version: int


class ListedObject(NamedTuple):
    """Object below a URL.

    Attributes:
        name: Path below the URL, with forward slashes.
        state: Size and version.
    """

    name: str
    state: ObjectState


class _Checked(NamedTuple):
    state: ObjectState
    until: float


_checked: dict[str, _Checked] = {}
_successes: dict[str, float] = {}
_warnings: dict[str, float] = {}
_lock = threading.Lock()


class _ShortBodyError(Exception):
    """A body ended early."""


def open_object(url: str, state: ObjectState | None = None) -> BinaryIO:
    """Return the content of an object as an open file, from the disk cache where it is there.

    Args:
        url: URL of the object.
        state: Size and version, if they were read recently, for example from a listing.

    Raises:
        UnreadableImageError: The object does not exist, or cannot be read although others can.
        StorageError: The storage cannot be used now.
    """
    return BytesIO(read_object(url, state))


def read_object(url: str, state: ObjectState | None = None) -> bytes:
    """Return the content of an object; see `open_object`."""
    cache, known = object_cache(), state or _recent_state(url)
    if known is None:
        known = object_state(url)
    kept = cache.get(url, known.version)
    if kept is not None:
        return kept

    def fetch(attempt: int) -> tuple[ObjectState, bytes]:
        # The first attempt trusts the known size; a mismatch may mean that the object has changed since.
        expected = known if attempt == 0 else _state_of(file_system(url).info(url))
        content: bytes = file_system(url).cat_file(url)
        if len(content) != expected.size_bytes:
            raise _ShortBodyError(f"{len(content):,} of {expected.size_bytes:,} bytes arrive")
        return expected, content

    found, content = _repeated(url, fetch)
    _remember(url, found)
    cache.put(url, found.version, content)
    return content


def read_start(url: str, count: int) -> bytes:
    """Return the first bytes of an object, by a ranged request; from the disk cache where it is there.

    Args:
        url: URL of the object.
        count: Number of bytes; a shorter object is returned whole.
    """
    recent = _recent_state(url)
    kept = None if recent is None else object_cache().get(url, recent.version)
    if kept is not None:
        return kept[:count]
    content: bytes = _repeated(url, lambda _: file_system(url).cat_file(url, start=0, end=count))
    return content


def object_state(url: str) -> ObjectState:
    """Return size and version of an object by one request.

    Raises:
        UnreadableImageError: The object does not exist, or its description cannot be read although others can.
        StorageError: The storage cannot be used now.
    """
    found: ObjectState = _repeated(url, lambda _: _state_of(file_system(url).info(url)))
    _remember(url, found)
    return found


def list_objects(url: str) -> Iterator[ListedObject]:
    """Yield the objects below a URL in a fixed order, folder by folder; hidden ones are left out.

    Memory holds the entries of one folder at a time.

    Args:
        url: URL of a bucket or of a part of it.

    Raises:
        StorageError: The URL does not exist, or the storage cannot be used now.
    """
    root = path_of(url)
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        entries = sorted(_entries(url, folder), key=lambda entry: str(entry["name"]))
        below = [str(entry["name"]).rstrip("/") for entry in entries if entry["type"] == "directory"]
        waiting += [name for name in reversed(below) if name != folder]
        for entry in entries:
            name = str(entry["name"])
            if entry["type"] != "directory" and name.rstrip("/") != folder:
                yield ListedObject(name[len(root) :].lstrip("/"), _state_of(entry))


def write_object(url: str, content: bytes) -> None:
    """Write an object whole; it appears at once or not at all.

    Raises:
        StorageError: The storage cannot be used now, or refuses.
    """
    try:
        _repeated(url, lambda _: file_system(url).pipe_file(url, content))
    except UnreadableImageError as error:
        raise StorageError(f"{url!r} cannot be written: {error.reason}") from error


def local_copy(url: str) -> Path:
    """Return a file with the content of an object that is read as a file, such as a manifest; one version is kept.

    Raises:
        StorageError: The object does not exist, or the storage cannot be used now.
    """
    try:
        state = object_state(url)
        digest = hashlib.sha256(url.encode()).hexdigest()[:32]
        copies = object_cache().folder / "files"
        copy = copies / f"{digest}-{state.version}{PurePosixPath(url).suffix}"
        if not copy.is_file():
            copies.mkdir(parents=True, exist_ok=True)
            part = copy.with_name(f".{copy.name}.{os.getpid()}.part")
            try:
                _repeated(url, lambda _: file_system(url).get_file(url, os.fspath(part)))
                for former in copies.glob(f"{digest}-*"):
                    former.unlink(missing_ok=True)
                part.replace(copy)
            finally:
                part.unlink(missing_ok=True)
    except UnreadableImageError as error:
        raise StorageError(f"{url!r} cannot be read: {error.reason}") from error
    except OSError as error:
        raise StorageError(
            f"{url!r} cannot be copied to {str(object_cache().folder)!r}: {error.strerror or error}; make room there, "
            f"or set {CACHE_FOLDER} to another folder"
        ) from error
    return copy


def path_of(url: str) -> str:
    """Return the path of a URL as its file system lists it, without a slash at its end."""
    return str(file_system(url)._strip_protocol(url)).rstrip("/")  # noqa: SLF001 - fsspec's own way


@lru_cache(1)
def object_cache() -> DiskCache:
    """Return the disk cache of this process."""
    return cache_from_environment()


def _entries(url: str, folder: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = _repeated(url, lambda _: file_system(url).ls(folder, detail=True))
    except UnreadableImageError as error:
        raise StorageError(
            f"{url!r} cannot be listed: {error.reason}; check the URL and the credentials in the environment"
        ) from error
    return found


def _state_of(info: dict[str, Any]) -> ObjectState:
    keys = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "updated", "mtime", "created")
    found = next((info[key] for key in keys if info.get(key)), "")
    # A listing may have the time as a number, and the description of one object as a `datetime`.
    mark = str(found.timestamp() if isinstance(found, datetime) else found)
    size = int(info.get("size") or 0)
    digest = hashlib.sha256(f"{mark} {size}".encode()).digest()
    return ObjectState(size, int.from_bytes(digest[:8]) >> 1)  # 63 bits: the database stores signed numbers


def _recent_state(url: str) -> ObjectState | None:
    checked = _checked.get(url)
    return None if checked is None or checked.until < time.monotonic() else checked.state


def _remember(url: str, state: ObjectState) -> None:
    with _lock:
        if len(_checked) >= _REMEMBERED:
            _checked.clear()
        _checked[url] = _Checked(state, time.monotonic() + CHECKED_SECONDS)


def _repeated(url: str, request: Callable[[int], Result]) -> Result:
    """Return the result of a request, repeated while it fails for a passing reason.

    Args:
        url: URL of the object, for messages.
        request: Function of the number of the attempt, from 0.
    """
    host, began = _host(url), 0.0
    for attempt in range(ATTEMPTS):
        began = time.monotonic()
        try:
            result = request(attempt)
        except Exception as error:  # noqa: BLE001 - every library has its own; what is not passing raises below
            fault: Exception = error
        else:
            _successes[host] = time.monotonic()
            return result
        _raise_if_lasting(url, file_system(url), fault)
        if attempt + 1 < ATTEMPTS:
            _warn(host, fault)
            time.sleep(FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
    _log.debug("%s failed %d times: %s", url, ATTEMPTS, _sentence(fault))
    if isinstance(fault, _ShortBodyError) or type(fault).__name__ in _OF_BODIES or _successes.get(host, -1.0) > began:
        # The storage answers, or others are read during the last attempt: the object alone is at fault.
        raise UnreadableImageError(url, f"it cannot be read in {ATTEMPTS} attempts: {_sentence(fault)}") from None
    raise StorageError(
        f"the storage of {host!r} does not answer properly ({_sentence(fault)}; {ATTEMPTS} attempts): see that it can "
        "be reached, then run the command again, which continues; nothing is lost"
    ) from None


def _raise_if_lasting(url: str, system: FileSystem, fault: Exception) -> None:
    """Raise the error of a request that need not be repeated."""
    if isinstance(fault, FileNotFoundError):
        raise UnreadableImageError(url, "it does not exist") from None
    if isinstance(fault, OSError) and fault.errno in _OF_THE_DISK:
        raise fault
    if isinstance(fault, (IsADirectoryError, NotImplementedError)):
        raise UnreadableImageError(url, f"it cannot be read: {_sentence(fault)}") from None
    refused = why_refused(system, url, fault)
    if refused is not None and refused.is_general:
        raise StorageError(
            f"the storage of {_host(url)!r} refuses the credentials ({redacted(refused.reason)}): renew them in the "
            "environment, then run the command again, which continues; nothing is lost"
        ) from None
    if refused is not None:
        raise UnreadableImageError(url, f"access to it is denied ({redacted(refused.reason)})") from None


def _warn(host: str, fault: Exception) -> None:
    now = time.monotonic()
    with _lock:
        if now - _warnings.get(host, -_WARNED_SECONDS) < _WARNED_SECONDS:
            return
        _warnings[host] = now
    _log.warning("the storage of %r fails now and then (%s): requests are repeated", host, _sentence(fault))


def _host(url: str) -> str:
    """Return protocol and bucket or host of a URL."""
    scheme, rest = url.split("://", 1)
    return f"{scheme}://{rest.split('/', 1)[0]}"


def _sentence(fault: BaseException) -> str:
    """Return a library's message in one line, without secrets."""
    text = " ".join(str(getattr(fault, "strerror", None) or fault).split()) or type(fault).__name__
    return redacted(text)[:200].rstrip(".")
