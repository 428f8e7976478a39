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

_WEBP_HEADERS = 4096
"""Bytes in which a lossless WebP file begins its pixels, after metadata of usual size."""

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
    lossy = "a JPEG, which changes" if path.suffix.lower() in LOSSY_SUFFIXES else _lossy_format(path)
    if lossy is not None:
        raise DataError(f"the mask {str(path)!r} is {lossy} the values of pixels: save masks as PNG")
    return legend.read(read_as_is(path, check_size, max_pixels), str(path))


def _lossy_format(path: Path) -> str | None:
    """Return the format of a file that changes values, whatever its name, as a part of a sentence; None for others."""
    try:
        start = _start(path, _WEBP_HEADERS)
    except OSError:
        return None  # the decoder reports why
    if start.startswith(b"\xff\xd8"):
        return "a JPEG, which changes"
    if start[4:8] == b"ftyp" or start.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")):
        return "an AVIF or JPEG 2000 image, which may change"  # the decoder does not tell
    return "a lossy WebP image, which changes" if start[8:12] == b"WEBP" and b"VP8L" not in start else None


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
        start = file[:8] if isinstance(file, bytes) else _start(file, 8)
    except OSError:
        return True
    return start == b"\x89PNG\r\n\x1a\n"


def _start(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)
