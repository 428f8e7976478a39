"""Atomic writes: files and folders that appear whole or not at all."""

import errno
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minimax_al.errors import CampaignError
from minimax_al.locks import try_lock

_STREAMS = ("/dev", "/proc/self/fd")
"""Folders whose entries are streams, even if they link to a file."""

_PART = ".part"
_LONGEST_STEM = 200
"""Bytes of a name that its temporary name repeats, at most."""


def write_durably(path: Path, content: bytes) -> None:
    """Write a file atomically and durably.

    A reader, or a crash, sees the old content or the new. The content is on the disk when the call returns. A link is
    followed: it stays, and the file that it leads to is replaced. A stream (a pipe, a device, `/dev/stdout`) has no
    old content to keep, so the new one is written straight into it.

    Args:
        path: File to write; its folder is created.
        content: New content.

    Raises:
        OSError: The file cannot be written, for example because the disk is full; the error names the file.
    """
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if _is_stream(path):
            with path.open("wb") as stream:
                stream.write(content)
        else:
            _replace(Path(os.path.realpath(path)), content)


def check_file_to_write(path: Path) -> None:
    """Refuse a path that `write_durably` could not write, before long work is done for its content.

    Args:
        path: File to write later; its folder need not exist.

    Raises:
        OSError: It is a folder, is below a file, or its folder cannot be written; the error names the path.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if _is_stream(path):
        return
    above = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    code = errno.ENOTDIR if not above.is_dir() else errno.EACCES if not os.access(above, os.W_OK) else 0
    if code:
        raise OSError(code, os.strerror(code), str(path))


def _replace(path: Path, content: bytes) -> None:
    part = _part_of(path)
    try:
        # Not by tempfile, whose files only their owner can read: the user's umask decides, as for any new file.
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):  # a new file, or a file system without modes
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _part_of(path: Path) -> Path:
    """Return the path of a temporary file or folder next to `path`."""
    return path.with_name(f"{_part_prefix(path)}{secrets.token_hex(8)}{_PART}")


def _part_prefix(path: Path) -> str:
    """Return the start of the temporary names of `path`, short enough for file systems that allow 255 bytes."""
    stem = os.fsencode(path.name)[:_LONGEST_STEM].decode(sys.getfilesystemencoding(), "ignore")
    return f".{stem}."


def _is_stream(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or str(path.absolute().parent) in _STREAMS


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in errors of the system, which name a temporary one or none."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _sync_folder(folder: Path) -> None:
    """Write the folder's entries to the disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `out` when the block succeeds.

    A process that is killed inside the block leaves its temporary folder; the next call for the same `out` removes it.

    Args:
        out: Final path of the folder; a link is followed.

    Raises:
        CampaignError: `out` exists and is not an empty folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CampaignError(
            f"{str(out)!r} already exists and is not an empty folder: choose another name, or remove it"
        )
    out = Path(os.path.realpath(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(out)
    with _temporary_folder(out) as part:
        try:
            yield part
            if out.exists():
                out.rmdir()
            part.rename(out)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


@contextmanager
def _temporary_folder(out: Path) -> Iterator[Path]:
    """Yield a folder next to `out`; a lock inside the block distinguishes it from a leftover."""
    part = _part_of(out)
    part.mkdir()
    handle = _opened(part)
    try:
        if handle is not None:
            with suppress(OSError):  # some network file systems lock no folders
                try_lock(handle)
        part.mkdir(exist_ok=True)  # another process may have taken it for a leftover before it was locked
        yield part
    finally:
        if handle is not None:
            os.close(handle)


def _remove_leftovers(out: Path) -> None:
    """Remove temporary folders of killed processes: those that are not locked."""
    for folder in out.parent.iterdir():
        if not (folder.name.startswith(_part_prefix(out)) and folder.name.endswith(_PART) and folder.is_dir()):
            continue
        handle = _opened(folder)
        if handle is None:
            continue
        with suppress(OSError):
            if try_lock(handle):
                shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _opened(folder: Path) -> int | None:
    """Return a handle of a folder; None where the system opens none (Windows)."""
    with suppress(OSError):
        return os.open(folder, os.O_RDONLY)
    return None
