"""Disk cache of objects: bounded in bytes, least recently used ones removed first, safe between processes.

A file holds one version of one object. Files appear whole by a rename and are verified by a checksum when they are
read, so neither a crash nor another process can make a reader see half of an object. The time of modification is the
time of the last use.
"""

import hashlib
import logging
import os
import struct
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from minimax_al.errors import ConfigurationError

CACHE_FOLDER = "MINIMAX_AL_CACHE"
"""Environment variable of the cache's folder; by default `minimax-al/objects` in the user's folder of caches."""

CACHE_BYTES = "MINIMAX_AL_CACHE_BYTES"
"""Environment variable of the cache's size in bytes; 0 keeps nothing."""

DEFAULT_BYTES = 10 << 30

_log = logging.getLogger(__name__)
_HEAD = struct.Struct(">8sqI")  # magic, version, checksum of the content
_MAGIC = b"mal-obj1"
_KEPT_SHARE = 0.8
"""Share of the limit that is left after old files were removed."""
_RECOUNTED_SHARE = 0.02
"""Share of the limit after whose writing a process counts the folder again, since others write there too."""


class _Kept(NamedTuple):
    used: int
    size: int
    path: str


class DiskCache:
    """Cache of objects in a folder that many threads and processes may share.

    The folder exceeds the limit by at most 2 % of it per writing process.

    Args:
        folder: Folder of the cache; created with the first object.
        limit: Size in bytes; 0 keeps nothing.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._lock = Lock()
        self._size = -1  # unknown
        self._written = 0  # since the folder was counted
        self._has_warned = False

    def get(self, url: str, version: int) -> bytes | None:
        """Return the content of an object, or None if this version of it is not cached.

        Args:
            url: URL of the object.
            version: Number of its version.
        """
        path = self._path(url)
        try:
            stored = path.read_bytes()
        except OSError:
            return None
        content = _opened(stored, version)
        if content is not None:
            with suppress(OSError):  # another process has removed it meanwhile, or the disk is read-only
                os.utime(path)
        return content

    def put(self, url: str, version: int, content: bytes) -> None:
        """Keep an object instead of an earlier version; a full or read-only disk keeps nothing.

        Args:
            url: URL of the object.
            version: Number of its version.
            content: All of its bytes.
        """
        size = _HEAD.size + len(content)
        if size > self.limit:
            return
        try:
            self._make_room(size)
            path = self._path(url)
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, _HEAD.pack(_MAGIC, version, zlib.crc32(content)) + content)
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                _log.warning(
                    "the cache %r keeps nothing (%s): objects are read again each time; make room, or set %s",
                    *(str(self.folder), error.strerror or error, CACHE_FOLDER),
                )

    def _path(self, url: str) -> Path:
        name = hashlib.sha256(url.encode()).hexdigest()
        return self.folder / name[:2] / name[2:40]

    def _make_room(self, size: int) -> None:
        """Remove the least recently used files if the folder would exceed its limit."""
        with self._lock:
            if self._size < 0 or self._written > self._recount_bytes or self._size + size > self.limit:
                self._size, self._written = self._trim(size), 0
            self._size += size
            self._written += size

    @property
    def _recount_bytes(self) -> int:
        return max(1, int(_RECOUNTED_SHARE * self.limit))

    def _trim(self, size: int) -> int:
        """Return the folder's size in bytes, after old files were removed if `size` more bytes exceed the limit."""
        kept = sorted(self._kept())
        total = sum(file.size for file in kept)
        if total + size <= self.limit:
            return total
        for file in kept:
            if total + size <= _KEPT_SHARE * self.limit:
                break
            with suppress(OSError):  # another process removes it too
                os.unlink(file.path)  # noqa: PTH108 - many
            total -= file.size
        return total

    def _kept(self) -> list[_Kept]:
        found = []
        with suppress(OSError):
            for part in os.scandir(self.folder):
                with suppress(OSError):
                    found += [_Kept(s.st_mtime_ns, s.st_size, e.path) for e in os.scandir(part.path) if (s := e.stat())]
        return found


def cache_from_environment() -> DiskCache:
    """Return the cache that the environment describes.

    Raises:
        ConfigurationError: The size in the environment is not a number of bytes.
    """
    folder, limit = os.environ.get(CACHE_FOLDER), os.environ.get(CACHE_BYTES) or str(DEFAULT_BYTES)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    if not limit.isdecimal():
        raise ConfigurationError(
            f"{CACHE_BYTES}={limit!r} is not a number of bytes: write it in digits, such as {DEFAULT_BYTES} for 10 GiB"
        )
    return DiskCache(Path(folder) if folder else base / "minimax-al" / "objects", int(limit))


def _opened(stored: bytes, version: int) -> bytes | None:
    """Return the content of a cache file if it is whole and of this version."""
    if len(stored) < _HEAD.size:
        return None
    magic, of, checksum = _HEAD.unpack_from(stored)
    content = stored[_HEAD.size :]
    return content if (magic, of, checksum) == (_MAGIC, version, zlib.crc32(content)) else None


def _write(path: Path, content: bytes) -> None:
    """Write a file that appears whole; it need not survive a power cut."""
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(part, path)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(part)  # noqa: PTH108
        raise
