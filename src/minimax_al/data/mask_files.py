"""Reading one mask file: whatever is wrong with it is one sentence. Needs no torch."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minimax_al.data.decode import read_as_is
from minimax_al.data.decode_memory import MAX_PIXELS
from minimax_al.data.legend import Legend
from minimax_al.data.mask_names import LOSSY_SUFFIXES
from minimax_al.errors import DataError, UnreadableImageError

PNG = ("PNG",)
"""The one format in which campaigns take masks."""


def read_mask(
    path: Path,
    legend: Legend,
    max_pixels: int = MAX_PIXELS,
    check_size: Callable[[tuple[int, int]], None] | None = None,
) -> NDArray[np.uint8]:
    """Class numbers of a mask file's pixels, (H, W), 255 where void.

    Args:
        path: the file, in any format that keeps values.
        legend: what its values mean.
        max_pixels: a file whose header promises more is refused before it is decoded.
        check_size: called with (height, width) before the pixels are decoded; refuses a size by raising DataError.

    Raises:
        UnreadableImageError: the file cannot be decoded; says why.
        DataError: a value is no class, or the format does not keep values; says which and where.
    """
    if path.suffix.lower() in LOSSY_SUFFIXES:
        raise DataError(
            f"the mask {str(path)!r} is a JPEG, which changes the values that it is given: save masks as PNG"
        )
    return legend.read(read_as_is(path, check_size, max_pixels), str(path))


def read_png_mask(
    file: Path | bytes, legend: Legend, name: str, check_size: Callable[[tuple[int, int]], None]
) -> NDArray[np.uint8]:
    """Class numbers of the pixels of a PNG file, (H, W), 255 where void.

    Args:
        file: where it lies, or its content.
        legend: what its values mean.
        name: what errors call it.
        check_size: called with (height, width) before the pixels are decoded; refuses a size by raising DataError.

    Raises:
        DataError: it is no PNG file or a damaged one, or a value is no class; says which and where.
    """
    try:
        image = read_as_is(io.BytesIO(file) if isinstance(file, bytes) else file, check_size, formats=PNG)
    except UnreadableImageError as error:
        if _is_png(file):
            raise DataError(f"the mask {name!r} cannot be read: {error.reason}") from error
        raise DataError(f"the mask {name!r} is no PNG file, whatever its name says: save it as one") from error
    return legend.read(image, name)


def _is_png(file: Path | bytes) -> bool:
    """Whether it begins as PNG files do, or cannot be read at all, which is another matter."""
    try:
        start = file[:8] if isinstance(file, bytes) else _start(file)
    except OSError:
        return True
    return start == b"\x89PNG\r\n\x1a\n"


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(8)
