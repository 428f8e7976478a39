"""Usable images of a folder, and the reason why each other file cannot be used.

Every file is either among the images or set aside with a reason; only hidden files and those of systems are left out.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from minimax_al.cores import available_cores
from minimax_al.data.decoding.decode import IMAGE_SUFFIXES, Verification, why_unreadable
from minimax_al.data.decoding.decode_memory import MAX_PIXELS
from minimax_al.data.decoding.foreign_formats import remedy_of_ending
from minimax_al.errors import DataError
from minimax_al.vocabulary import Progress

SYSTEM_NAMES = frozenset(
    (
        # Windows
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "system volume information"),
        # macOS (Trashes, AppleDouble files and Spotlight's folder begin with a dot)
        *("__macosx", "icon\r", "network trash folder", "temporary items"),
        # Linux
        *("lost+found",),
        # network storage: Synology, QNAP
        *("@eadir", "#recycle", "#snapshot", "@tmp", "@recycle", "@recently-snapshot"),
        # photo programs
        *("picasa.ini",),
    )
)
"""Names, in lower case, of files and folders that systems leave among images; a leading dot marks others."""

SYSTEM_ENDINGS = (":zone.identifier", "@synoeastream", "@synoresource")
"""Endings, in lower case, of the files that systems put next to a user's file."""

_CHUNK = 16
"""Number of files that a thread checks at a time."""


class SetAside(NamedTuple):
    """A file that cannot be used.

    Attributes:
        path: Path relative to the scanned folder, or as the manifest has it.
        reason: Cause, in a few words.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Scan:
    """Files of a folder.

    Attributes:
        root: Scanned folder.
        images: Usable files, relative to `root`, with forward slashes, sorted.
        set_aside: All other files, with the reasons.
    """

    root: Path
    images: tuple[str, ...]
    set_aside: tuple[SetAside, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Full paths of the images."""
        return tuple(self.root / name for name in self.images)


def scan_folder(
    root: Path | str,
    verify: Verification = "decode",
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Scan:
    """Check every file in a folder and its subfolders; links are followed, hidden files are left out.

    Args:
        root: Folder to scan.
        verify: "decode" decodes every pixel; "header" reads format and size only, for pools of a million; "none" checks
            the files' endings.
        max_pixels: Largest number of pixels; larger images are set aside before they are decoded.
        progress: Callback of the files checked so far.

    Raises:
        DataError: `root` is not a folder.
    """
    folder = Path(root)
    files = list(list_files(folder))
    usable, set_aside = sort_out([folder / name for name in files], files, verify, max_pixels, progress)
    return Scan(folder, tuple(files[i] for i in usable), tuple(set_aside))


def list_files(root: Path) -> Iterator[str]:
    """Return every file below `root` that is not hidden: relative, with forward slashes, in a fixed order.

    Args:
        root: Folder to list.

    Raises:
        DataError: `root` is not a folder, or a folder in it cannot be read.
    """
    if not root.is_dir():
        kind = "is a file" if root.is_file() else "does not exist"
        raise DataError(f"{str(root)!r} {kind}: give a folder of images")
    return _walk(root)


def sort_out(
    paths: Sequence[Path | str],
    names: Sequence[str],
    verify: Verification = "decode",
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> tuple[list[int], list[SetAside]]:
    """Return the positions of the usable files, and the other files with the reasons.

    Args:
        paths: Files to check.
        names: Names of the files where they are set aside.
        verify: Check of each file, as in `scan_folder`.
        max_pixels: Largest number of pixels; larger images are set aside.
        progress: Callback of the files checked so far.
    """
    return sift(lambda i: why_not(paths[i], names[i]) or why_unreadable(paths[i], verify, max_pixels), names, progress)


def sift(
    why: Callable[[int], str | None], names: Sequence[str], progress: Progress | None = None
) -> tuple[list[int], list[SetAside]]:
    """Return the positions of the files that `why` accepts, and the other files with the reasons.

    Args:
        why: Function of a position that returns why this file cannot be used, or None; several threads call it at once.
        names: Names of the files.
        progress: Callback of the files checked so far.
    """

    def look(start: int) -> list[str | None]:
        return [why(i) for i in range(start, min(start + _CHUNK, len(names)))]

    reasons: list[str | None] = []
    # Threads are enough: Pillow releases the interpreter while it reads and decodes.
    with ThreadPoolExecutor(max_workers=available_cores()) as threads:
        for part in threads.map(look, range(0, len(names), _CHUNK)):
            reasons += part
            if progress is not None:
                progress("checking images", len(reasons), len(names), "images")
    set_aside = [SetAside(printable(names[i]), reason) for i, reason in enumerate(reasons) if reason is not None]
    return [i for i, reason in enumerate(reasons) if reason is None], set_aside


def why_not(path: Path | str, name: str) -> str | None:
    """Return why a file's name alone rules it out; None when it does not."""
    suffix = Path(path).suffix
    if suffix.lower() not in IMAGE_SUFFIXES:
        if not suffix:
            return "it has no ending"
        return f"its ending {suffix!r} is not that of an image format that is read{remedy_of_ending(suffix)}"
    if printable(name) != name:
        return "its name is not valid UTF-8: rename it"
    return None


def printable(name: str) -> str:
    """Return `name` with bytes that are not UTF-8 as escapes, so that it can be printed and stored."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is hidden or belongs to the system."""
    lower = name.lower()
    return name.startswith(".") or lower in SYSTEM_NAMES or lower.endswith(SYSTEM_ENDINGS)


def _refuse_unreadable(error: OSError) -> None:
    """Refuse a folder that cannot be listed: its images would be missing without a word."""
    if isinstance(error, FileNotFoundError):
        return  # removed since its parent was listed
    raise DataError(
        f"the folder {str(error.filename)!r} cannot be read ({error.strerror or error}): allow reading it, or move it "
        "out of the folder of images"
    ) from error


def _walk(root: Path) -> Iterator[str]:
    seen: set[tuple[int, int]] = set()  # links may lead back to a folder above them
    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=_refuse_unreadable):
        status = os.stat(folder)  # noqa: PTH116 - os.walk's own strings
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not is_hidden(name))
        prefix = Path(folder).relative_to(root).as_posix()
        for file in sorted(files):
            if not is_hidden(file):
                yield file if prefix == "." else f"{prefix}/{file}"
