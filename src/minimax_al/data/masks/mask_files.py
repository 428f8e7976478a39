"""Reader of one mask file, with one sentence for every fault; needs no torch."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minimax_al.data.decoding.decode import read_as_is
from minimax_al.data.decoding.decode_memory import MAX_PIXELS
from minimax_al.data.masks.legend import Legend
from minimax_al.data.masks.mask_names import LOSSY_SUFFIXES
from minimax_al.errors import DataError, UnreadableImageError

PNG = ("PNG",)
"""Format of the masks that campaigns accept."""


def read_mask(
    path: Path,
    legend: Legend,
    max_pixels: int = MAX_PIXELS,
    check_size: Callable[[tuple[int, int]], None] | None = None,
) -> NDArray[np.uint8]:
    """Return the class numbers of a mask file's pixels, shape (H, W), uint8, 255 where void.

    Args:
        path: Mask file, in any format that keeps values.
        legend: Class number of each value.
        max_pixels: Largest number of pixels; a larger file is refused before it is decoded.
        check_size: Callback with (height, width) before the pixels are decoded; refuses a size by raising DataError.

    Raises:
        UnreadableImageError: The file cannot be decoded.
        DataError: A value is not a class, or the format does not keep values; the sentence has the pixel.
    """
    if path.suffix.lower() in LOSSY_SUFFIXES:
        raise DataError(f"the mask {str(path)!r} is a JPEG, which changes the values of pixels: save masks as PNG")
    return legend.read(read_as_is(path, check_size, max_pixels), str(path))


def read_png_mask(
    file: Path | bytes, legend: Legend, name: str, check_size: Callable[[tuple[int, int]], None]
) -> NDArray[np.uint8]:
    """Return the class numbers of a PNG file's pixels, shape (H, W), uint8, 255 where void.

    Args:
        file: Mask file, or its content.
        legend: Class number of each value.
        name: Name of the mask in errors.
        check_size: Callback with (height, width) before the pixels are decoded; refuses a size by raising DataError.

    Raises:
        DataError: The file is not PNG or is damaged, or a value is not a class; the sentence has the pixel.
    """
    try:
        image = read_as_is(io.BytesIO(file) if isinstance(file, bytes) else file, check_size, formats=PNG)
    except UnreadableImageError as error:
        if _is_png(file):
            raise DataError(f"the mask {name!r} cannot be read: {error.reason}") from error
        raise DataError(f"the mask {name!r} is not a PNG file, whatever its name: save it as one") from error
    return legend.read(image, name)


def _is_png(file: Path | bytes) -> bool:
    """Return whether the file begins as PNG files do, or cannot be read at all, which is another fault."""
    try:
        start = file[:8] if isinstance(file, bytes) else _start(file)
    except OSError:
        return True
    return start == b"\x89PNG\r\n\x1a\n"


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(8)
