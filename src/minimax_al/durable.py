"""Files and folders that appear whole or not at all, whatever happens while they are written."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minimax_al.errors import CampaignError


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, and the disk has it on return.

    Args:
        path: the file; its folder is made.
        content: what it shall hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(part).chmod(0o644)  # a temporary file is made for its owner alone
        Path(part).replace(path)
    finally:
        Path(part).unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the folder's names to the disk too, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
