"""Files that refer to an image stored elsewhere: broken links and pointers of data version control."""

import os
from pathlib import Path

_POINTER_BYTES = 1024
_LFS = b"version https://git-lfs.github.com/spec"
_ANNEX = b"/annex/objects/"


def why_no_file(path: Path | str, error: OSError | ValueError) -> str:
    """Return why a file cannot be opened, in a few words, with the remedy where it is known.

    Args:
        path: File that `os.stat` refused.
        error: Its error.
    """
    if isinstance(error, ValueError):
        return f"its name cannot be used ({error})"
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return f"it cannot be read: {error.strerror or error}"
    if not os.path.islink(path):  # noqa: PTH114 - a million paths are kept as plain strings
        return "it does not exist"
    target = os.readlink(path)  # noqa: PTH115
    return f"it is a link to {target!r}, which does not exist{_remedy(target.replace(os.sep, '/'))}"


def why_pointer(path: Path | str, size: int) -> str | None:
    """Return why a small file is a pointer to an image and not the image; None when it is not a pointer."""
    if size > _POINTER_BYTES:
        return None
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            start = file.read(_POINTER_BYTES)
    except OSError:
        return None  # the decoder reports why
    if start.startswith(_LFS):
        return "it is a pointer of Git LFS, not the image itself: run git lfs pull"
    if start.startswith(b"/") and _ANNEX in start:
        return "it is a pointer of git-annex, not the image itself: run git annex get"
    return None


def _remedy(target: str) -> str:
    if ".git/annex/" in target:
        return ": run git annex get"
    if ".dvc/" in target or "/dvc/" in target or "/files/md5/" in target:
        return ": run dvc pull"
    if "/blobs/" in target:
        return ": download the data set again, without removing the cache's folder blobs"
    return ""
