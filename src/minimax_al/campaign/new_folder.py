"""A folder that is there whole or not at all, whatever happens while it is written."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minimax_al.errors import CampaignError


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
