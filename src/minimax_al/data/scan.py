"""Which files of a folder are images that can be used, and why the others cannot.

Nothing is dropped in silence: every file that is not hidden is either among the images or set aside with
a reason.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from minimax_al.data.decode import IMAGE_SUFFIXES, Verification, why_unreadable
from minimax_al.data.decode_memory import MAX_PIXELS
from minimax_al.errors import DataError

Progress = Callable[[int, int], None]
"""Called with (files done, all files)."""

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
"""Files that a thread takes at a time."""


class SetAside(NamedTuple):
    """A file that cannot be used.

    Attributes:
        path: relative to the folder that was scanned, or as the manifest has it.
        reason: why, in a few words.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Scan:
    """What a folder holds.

    Attributes:
        root: the folder.
        images: files that can be used, relative to `root`, with forward slashes, sorted.
        set_aside: all others, and why.
    """

    root: Path
    images: tuple[str, ...]
    set_aside: tuple[SetAside, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The images' full paths."""
        return tuple(self.root / name for name in self.images)


def scan_folder(
    root: Path | str,
    verify: Verification = "decode",
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Scan:
    """Looks at every file in `root` and its subfolders; follows links, leaves hidden files out.

    Args:
        root: the folder.
        verify: "decode" proves that every pixel can be read; "header" looks at each file's format and size
            only, for pools of a million; "none" goes by the files' endings.
        max_pixels: larger images are set aside before they are decoded.
        progress: called now and then with (files done, all files).

    Raises:
        DataError: `root` is not a folder.
    """
    folder = Path(root)
    files = list(list_files(folder))
    usable, set_aside = sort_out([folder / name for name in files], files, verify, max_pixels, progress)
    return Scan(folder, tuple(files[i] for i in usable), tuple(set_aside))


def list_files(root: Path) -> Iterator[str]:
    """Every file below `root` that is not hidden: relative, with forward slashes, in a fixed order.

    Raises:
        DataError: `root` is not a folder.
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
    """Positions of the files that can be used, and the others with the reason.

    Args:
        paths: the files.
        names: what to call each where it is set aside.
        verify: how closely to look, as in `scan_folder`.
        max_pixels: larger images are set aside.
        progress: called now and then with (files done, all files).
    """
    return sift(lambda i: why_not(paths[i], names[i]) or why_unreadable(paths[i], verify, max_pixels), names, progress)


def sift(
    why: Callable[[int], str | None], names: Sequence[str], progress: Progress | None = None
) -> tuple[list[int], list[SetAside]]:
    """Positions of the files for which `why` gives no reason against them, and the others with the reason.

    Args:
        why: position → why this file cannot be used; called from several threads at once.
        names: of the files.
        progress: called now and then with (files done, all files).
    """

    def look(start: int) -> list[str | None]:
        return [why(i) for i in range(start, min(start + _CHUNK, len(names)))]

    reasons: list[str | None] = []
    # Threads are enough: Pillow lets go of the interpreter while it reads and decodes.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        for part in threads.map(look, range(0, len(names), _CHUNK)):
            reasons += part
            if progress is not None:
                progress(len(reasons), len(names))
    set_aside = [SetAside(printable(names[i]), reason) for i, reason in enumerate(reasons) if reason is not None]
    return [i for i, reason in enumerate(reasons) if reason is None], set_aside


def why_not(path: Path | str, name: str) -> str | None:
    """Why a file's name alone rules it out; None when it does not."""
    suffix = Path(path).suffix
    if suffix.lower() not in IMAGE_SUFFIXES:
        return f"its ending {suffix!r} is none of an image format that is read" if suffix else "it has no ending"
    if printable(name) != name:
        return "its name is not valid UTF-8: rename it"
    return None


def printable(name: str) -> str:
    """`name` with bytes that are no UTF-8 written as escapes, so that it can be printed and stored."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is hidden or belongs to the system."""
    lower = name.lower()
    return name.startswith(".") or lower in SYSTEM_NAMES or lower.endswith(SYSTEM_ENDINGS)


def _walk(root: Path) -> Iterator[str]:
    seen: set[tuple[int, int]] = set()  # links may lead back to a folder above them
    for folder, subfolders, files in os.walk(root, followlinks=True):
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
