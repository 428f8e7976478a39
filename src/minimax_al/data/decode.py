"""One image file, in whatever format people have it, as 8-bit RGB pixels.

Grey, palette, 1-bit, 16-bit, CMYK and transparent images become RGB (transparency over white), the camera's
rotation is applied, and of an animation the first frame is taken. What cannot be read is said in a few words.
"""

import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from minimax_al.errors import DataError, UnreadableImageError

MAX_PIXELS = 178_956_970
"""Pillow's own hard limit against decompression bombs: 512 MiB of RGB pixels."""

IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".gif", ".webp", ".avif", ".tif", ".tiff"),
        *(".bmp", ".dib", ".tga", ".ppm", ".pgm", ".pbm", ".pnm"),
    )
)
"""File name endings, in lower case, of the formats that are read."""

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF", "JPEG2000", "PPM", "TGA")

Verification = Literal["decode", "header", "none"]
"""How a file is checked: every pixel decoded, its header alone, or not at all."""

Fit = Literal["centre", "stretch"]
"""How an image becomes a square: its middle is cut out, as wide as the short side; or all of it is stretched."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = frozenset(_UPRIGHT[orientation] for orientation in (5, 6, 7, 8))


def read_image(path: Path | str, shrink_to: int | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image in `path`, upright, in mode RGB.

    Args:
        path: the file.
        shrink_to: the short side that is needed, in pixels. A much larger JPEG is then decoded at 1/2, 1/4
            or 1/8 of its size, at least twice `shrink_to`, which is several times faster.
        max_pixels: a file whose header promises more is refused before it is decoded.

    Raises:
        UnreadableImageError: the file cannot be decoded; says which and why.
    """
    return read_sized(path, shrink_to, max_pixels)[0]


def read_sized(
    path: Path | str, shrink_to: int | None = None, max_pixels: int = MAX_PIXELS
) -> tuple[Image.Image, tuple[int, int]]:
    """What `read_image` gives, and the (width, height) that the image has without `shrink_to`, upright.

    Raises:
        UnreadableImageError: the file cannot be decoded; says which and why.
    """
    decoded = _decode(path, shrink_to, max_pixels)
    if isinstance(decoded, str):
        raise UnreadableImageError(path, decoded)
    return decoded


def read_size(path: Path | str, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) of the image in `path`, upright; no pixel is decoded where the file allows it.

    Raises:
        UnreadableImageError: the file's header cannot be read; says which file and why.
    """
    try:
        with _quiet_pillow(max_pixels), Image.open(path, formats=_formats()) as image:
            return (image.height, image.width) if _turn(image) in _ON_ITS_SIDE else image.size
    except Exception as error:  # a damaged file makes a decoder raise anything
        raise UnreadableImageError(path, _reason(error, max_pixels)) from error


def read_as_is(
    file: Path | BinaryIO,
    check_size: Callable[[tuple[int, int]], None] | None = None,
    max_pixels: int = MAX_PIXELS,
    formats: tuple[str, ...] | None = None,
) -> Image.Image:
    """The values that an image file holds, in the file's own mode and direction: for images that are data.

    Args:
        file: where it lies, or its content.
        check_size: called with (height, width) before the pixels are decoded; refuses a size by raising DataError.
        max_pixels: a file whose header promises more is refused before it is decoded.
        formats: those of Pillow's that are allowed; by default all that images may have.

    Raises:
        UnreadableImageError: the file cannot be decoded; says why, and not which.
    """
    try:
        with _quiet_pillow(max_pixels), Image.open(file, formats=formats or _formats()) as image:
            if check_size is not None:
                check_size((image.height, image.width))
            _check_pixels(image, max_pixels)
            image.load()
            return image
    except DataError:
        raise
    except Exception as error:  # a damaged file makes a decoder raise anything
        raise UnreadableImageError(file if isinstance(file, Path) else None, _reason(error, max_pixels)) from error


def read_square(path: Path | str, size: int, max_pixels: int = MAX_PIXELS, fit: Fit = "centre") -> NDArray[np.uint8]:
    """The image in `path` as a square, (size, size, 3) uint8 (bilinear, antialiased).

    Args:
        path: the file.
        size: side of the square, in pixels.
        max_pixels: a file whose header promises more is refused before it is decoded.
        fit: whether the centre square is cut out, or the whole image stretched.

    Raises:
        UnreadableImageError: the file cannot be decoded; says which and why.
    """
    image = read_image(path, size, max_pixels)
    return np.asarray(centre_square(image, size) if fit == "centre" else stretched(image, (size, size)))


def why_unreadable(path: Path | str, verify: Verification = "decode", max_pixels: int = MAX_PIXELS) -> str | None:
    """Why the file cannot be used, in a few words; None when it can.

    Args:
        path: the file.
        verify: "decode" decodes every pixel, "header" looks at format and size only, "none" does not open
            the file.
        max_pixels: more pixels than this are refused.
    """
    if verify == "none":
        return None
    # A JPEG's data is read to its end at any scale, so the smallest finds what is missing soonest.
    outcome = _decode(path, 1 if verify == "decode" else None, max_pixels, header_only=verify == "header")
    return outcome if isinstance(outcome, str) else None


def centre_square(image: Image.Image, size: int) -> Image.Image:
    """The centre square of `image`, as wide as the short side, resized to `size` (bilinear, antialiased)."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)


def stretched(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """All of `image`, resized to (width, height) whatever its proportions (bilinear, antialiased)."""
    return image.resize(size, Image.Resampling.BILINEAR)


def to_rgb(image: Image.Image) -> Image.Image:
    """`image` in mode RGB: 16 bits scaled to 8, transparency laid over white.

    Raises:
        ValueError: 32-bit pixels beyond 16 bits, or float pixels outside of [0, 1]: white is unknown.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_8_bits(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        return Image.alpha_composite(white, over).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    floating = np.issubdtype(values.dtype, np.floating)
    numbers = values.astype(np.float64)
    white = 1.0 if floating else 65535.0
    if not (numbers.min() >= 0 and numbers.max() <= white):  # so that NaN is refused too
        allowed = "[0, 1]" if floating else "0..65535"
        raise ValueError(f"its pixels lie outside of {allowed}, so white is unknown; save it with 8 or 16 bits")
    return np.rint(numbers * (255 / white)).astype(np.uint8)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What makes an image upright."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - damaged metadata raises anything, and the pixels are still good
        return None
    return _UPRIGHT.get(orientation) if isinstance(orientation, int) else None


def _decode(
    path: Path | str, shrink_to: int | None, max_pixels: int, *, header_only: bool = False
) -> tuple[Image.Image, tuple[int, int]] | str:
    """The image and its full size, upright; or why it cannot be used."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a million paths are kept as plain strings
        if not stat.S_ISREG(status.st_mode):
            return "it is not a regular file"
        if status.st_size == 0:
            return "it is empty (0 bytes)"
        with _quiet_pillow(max_pixels), Image.open(path, formats=_formats()) as image:
            width, height = image.size
            if width * height > max_pixels:
                return _oversized(image, max_pixels)
            if header_only:
                return image, image.size
            if shrink_to is not None:
                image.draft(None, (2 * shrink_to, 2 * shrink_to))
            image.load()
            turn = _turn(image)
            upright = image if turn is None else image.transpose(turn)
            return to_rgb(upright), (height, width) if turn in _ON_ITS_SIDE else (width, height)
    except Exception as error:  # noqa: BLE001 - a damaged file makes a decoder raise anything
        return _reason(error, max_pixels)


@cache
def _formats() -> tuple[str, ...]:
    """Formats that this build of Pillow reads; not all that it could, as some run other programs (EPS)."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _check_pixels(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise UnreadableImageError(None, _oversized(image, max_pixels))


def _oversized(image: Image.Image, max_pixels: int) -> str:
    return (
        f"it has {image.width} x {image.height} pixels, more than the limit of {max_pixels} (max_pixels): "
        "shrink it or raise the limit"
    )


def _reason(error: Exception, max_pixels: int) -> str:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return "it does not exist"
        case Image.DecompressionBombError():
            return f"it has more than {max_pixels} pixels, the limit (max_pixels): shrink it or raise the limit"
        case UnidentifiedImageError():
            return "it is not an image in a known format"
        case OSError(errno=int(), strerror=str(why)):
            return f"it cannot be read: {why}"
        case MemoryError():
            return "there is not enough memory to decode it"
        case _:
            return f"it is damaged: {str(error) or type(error).__name__}"


class _PillowWarnings:
    """Silences Pillow's warnings while any thread decodes.

    `warnings.catch_warnings` alone is not safe between threads: the last to leave would restore the filters
    of another. The first to enter sets the filter and the last to leave restores it.
    """

    def __init__(self) -> None:
        self.start_afresh()

    def start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._filters: warnings.catch_warnings[None] | None = None

    def silence(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")

    def restore(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._filters is not None:
                self._filters.__exit__(None, None, None)


_pillow_warnings = _PillowWarnings()
if hasattr(os, "register_at_fork"):
    # A worker forked while another thread held the lock would wait for it for ever.
    os.register_at_fork(after_in_child=_pillow_warnings.start_afresh)


@contextmanager
def _quiet_pillow(max_pixels: int) -> Iterator[None]:
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > 2 * Image.MAX_IMAGE_PIXELS:
        # Pillow refuses twice its own limit, which is one for the process: a larger limit here has to lift
        # it.
        Image.MAX_IMAGE_PIXELS = max_pixels
    _pillow_warnings.silence()
    try:
        yield
    finally:
        _pillow_warnings.restore()
