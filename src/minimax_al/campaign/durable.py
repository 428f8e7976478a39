"""Files and folders that are there whole or not at all, whatever happens while they are written."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minimax_al.errors import CampaignError


def write_durably(path: Path, content: bytes) -> None:
    """Writes a file so that a reader, or a crash, sees the old content or the new, and the disk has it on return."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(part).chmod(0o644)  # a temporary file is made for its owner alone
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Waits until the disk has the names in a folder."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows opens no folders, and keeps names by itself
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write to, which takes its place under the name `out` when the block ends without an error.

    Raises:
        CampaignError: something other than an empty folder is there already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CampaignError(f"{str(out)!r} is there already and is no empty folder: give another name, or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        yield part
        part.chmod(0o755)  # a temporary folder is made for its owner alone
        if out.exists():
            out.rmdir()
        part.rename(out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
