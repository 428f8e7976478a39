"""Writing a text file so that a reader sees the old one or the new one, never a half."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[str]]:
    """A file to write UTF-8 text to, which takes the place of `path` when the block ends without an error.

    Args:
        path: the file to replace or make; its folder must exist.

    Yields:
        The open file, beside `path`; it is deleted where the block raises.
    """
    path = Path(path)
    with tempfile.NamedTemporaryFile(
        "w", newline="", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        beside = Path(file.name)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            beside.chmod(0o644)  # a temporary file is made for its owner alone
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
