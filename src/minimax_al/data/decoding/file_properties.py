"""Properties that the files of a data set share: their usual size, and the value of white in deep images."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from minimax_al.data.decoding.decode import DEEP_SUFFIXES, read_range, read_size
from minimax_al.data.decoding.rgb import white_level
from minimax_al.errors import UnreadableImageError

_SAMPLE = 512
"""Number of files that are looked at, evenly spaced, before all of them are."""

Files = Sequence[Path | str]
Found = TypeVar("Found")


def usual_side(paths: Files, most: int, max_pixels: int) -> int:
    """Return the side of the square that images are stored in: the largest short side, at most `most`.

    Small images keep their own size this way; enlarged, they would cost more work and be another data set. Of many
    files, an evenly spaced sample is measured.

    Args:
        paths: Image files.
        most: Side of the square for images of at least this size, in pixels.
        max_pixels: Largest number of pixels of an image.
    """
    sizes = _measured(_sample(paths), lambda path: read_size(path, max_pixels))
    return min(max((min(size) for size in sizes), default=most), most)


def common_white(paths: Files, max_pixels: int) -> int | None:
    """Return the value of white that all files of more than 8 bits share; None where none is found.

    One value for all files keeps them comparable: each file's own would make dark images as bright as others. All
    files are measured where an evenly spaced sample has such a file.

    Args:
        paths: Image files.
        max_pixels: Largest number of pixels of an image.
    """
    candidates = [path for path in paths if str(path).lower().endswith(tuple(DEEP_SUFFIXES))]
    sample = _sample(candidates)
    ranges = _measured(sample, lambda path: read_range(path, max_pixels))
    if not any(ranges):
        return None
    if len(sample) < len(candidates):
        ranges = _measured(candidates, lambda path: read_range(path, max_pixels))
    return white_level(max(found[1] for found in ranges if found is not None))


def _sample(paths: Files) -> Files:
    step = -(-len(paths) // _SAMPLE) or 1
    return paths[::step]


def _measured(paths: Files, measure: Callable[[Path | str], Found]) -> list[Found]:
    """Return what `measure` finds in each file that can be read."""

    def look(path: Path | str) -> tuple[Found] | None:
        try:
            return (measure(path),)
        except UnreadableImageError:
            return None  # it is set aside later, with the reason

    with ThreadPoolExecutor() as threads:
        return [found[0] for found in threads.map(look, paths) if found is not None]
