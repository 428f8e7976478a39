"""Decoding of an image file of any common format to 8-bit RGB pixels.

Grey, palette, 1-bit, 16-bit, CMYK and transparent images become RGB (see `rgb.py`), the camera's rotation
is applied, and only the first frame of an animation is decoded. Memory is bounded (`decode_memory.py`).
What cannot be read is reported in a few words.
"""

import os
import stat
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from minimax_al.data.decoding.decode_memory import MAX_PIXELS, budget, peak_bytes, why_too_large
from minimax_al.data.decoding.foreign_formats import why_foreign
from minimax_al.data.decoding.links import why_no_file, why_pointer
from minimax_al.data.decoding.pillow_warnings import quiet_pillow
from minimax_al.data.decoding.rgb import check_convertible, is_deep, to_rgb, value_range
from minimax_al.data.decoding.salvage import png_chunks, salvaged
from minimax_al.data.decoding.stored_values import load_stored
from minimax_al.data.object_storage.objects import open_object, read_start
from minimax_al.data.object_storage.urls import is_url
from minimax_al.errors import DataError, UnreadableImageError

IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".gif", ".webp", ".avif", ".tif", ".tiff"),
        *(".bmp", ".dib", ".tga", ".ppm", ".pgm", ".pbm", ".pnm"),
    )
)
"""File name endings, in lower case, of the formats that are read."""

DEEP_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".pgm", ".pnm", ".jp2"})
"""File name endings, in lower case, of the formats that may hold more than 8 bits."""

_HEADER_BYTES = 1 << 16
"""Bytes of an object that are read for its header: enough for EXIF data, which come before an image's size."""

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF", "JPEG2000", "PPM", "TGA")

Verification = Literal["decode", "header", "none"]
"""Check of a file: every pixel decoded, its header alone, or not at all."""

Fit = Literal["centre", "stretch"]
"""How an image becomes a square: its centre is cut out, as wide as the short side; or all of it is stretched."""

Result = TypeVar("Result")

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset({5, 6, 7, 8})


def read_image(
    path: Path | str | BinaryIO, shrink_to: int | None = None, max_pixels: int = MAX_PIXELS, white: float | None = None
) -> Image.Image:
    """Return the image in `path`, upright, in mode RGB.

    Args:
        path: Image file, URL of an object, or an open binary file.
        shrink_to: Short side that is needed, in pixels. A much larger JPEG is then decoded at 1/2, 1/4 or 1/8 of its
            size, at least twice `shrink_to`, which is several times faster.
        max_pixels: Largest number of pixels; a larger image is refused before it is decoded.
        white: Value of white in files of more than 8 bits; by default as `to_rgb` finds it.

    Raises:
        UnreadableImageError: The file cannot be decoded.
    """
    return read_sized(path, shrink_to, max_pixels, white)[0]


def read_sized(
    path: Path | str | BinaryIO, shrink_to: int | None = None, max_pixels: int = MAX_PIXELS, white: float | None = None
) -> tuple[Image.Image, tuple[int, int]]:
    """Return the image as `read_image` does, from a file or an open one, and its full (width, height), upright.

    Raises:
        UnreadableImageError: The file cannot be decoded.
    """

    def convert(image: Image.Image) -> tuple[Image.Image, tuple[int, int]]:
        size = _upright_size(image)
        return _upright_rgb(image, shrink_to, white), size

    return _read(path, max_pixels, convert)


def read_size(path: Path | str, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return (width, height) of the image in `path`, upright.

    No pixel is decoded where the format allows it.

    Raises:
        UnreadableImageError: The file's header cannot be read.
    """
    return _read_header(path, max_pixels, _upright_size)


def read_as_is(
    file: Path | BinaryIO,
    check_size: Callable[[tuple[int, int]], None] | None = None,
    max_pixels: int = MAX_PIXELS,
    formats: tuple[str, ...] | None = None,
) -> Image.Image:
    """Return the values of an image file in its own mode: for images that are data, such as masks.

    Args:
        file: Image file, or an open binary file.
        check_size: Callback with (height, width) before the pixels are decoded; refuses a size by raising DataError.
        max_pixels: Largest number of pixels; a larger image is refused before it is decoded.
        formats: Names of the Pillow formats that are allowed; by default all formats of images.

    Raises:
        UnreadableImageError: The file cannot be decoded.
    """

    def load(image: Image.Image) -> Image.Image:
        if check_size is not None:
            check_size((image.height, image.width))
        _check_size(image, max_pixels)
        with budget.use(peak_bytes(image)):
            return load_stored(image)

    return _read(file, max_pixels, load, formats=formats, decodes=False)


def read_square(
    path: Path | str,
    size: int,
    max_pixels: int = MAX_PIXELS,
    fit: Fit = "centre",
    white: float | None = None,
    *,
    exact: bool = False,
) -> NDArray[np.uint8]:
    """Return the image in `path` as a square, shape (size, size, 3), uint8 (bilinear, antialiased).

    Args:
        path: Image file.
        size: Side of the square, in pixels.
        max_pixels: Largest number of pixels; a larger image is refused before it is decoded.
        fit: "centre" cuts out the centre square, "stretch" keeps the whole image.
        white: Value of white in files of more than 8 bits; by default as `to_rgb` finds it.
        exact: Whether a large JPEG is decoded at its full size, as by any other program; otherwise it is decoded
            several times faster at a reduced size, which changes its pixels slightly.

    Raises:
        UnreadableImageError: The file cannot be decoded.
    """

    def convert(image: Image.Image) -> NDArray[np.uint8]:
        upright = _upright_rgb(image, None if exact else size, white)
        return np.asarray(centre_square(upright, size) if fit == "centre" else stretched(upright, (size, size)))

    return _read(path, max_pixels, convert)


def read_range(path: Path | str, max_pixels: int = MAX_PIXELS) -> tuple[float, float] | None:
    """Return the smallest and largest value of a file of integers of more than 8 bits; None for any other file.

    Of other files only the header is read.

    Raises:
        UnreadableImageError: The file cannot be decoded.
    """

    def measure(image: Image.Image) -> tuple[float, float] | None:
        if not is_deep(image) or image.mode == "F":
            return None
        with budget.use(peak_bytes(image)):
            image.load()
            return value_range(image)

    return _read(path, max_pixels, measure)


def why_unreadable(path: Path | str, verify: Verification = "decode", max_pixels: int = MAX_PIXELS) -> str | None:
    """Return why the file cannot be used, in a few words; None when it can.

    Args:
        path: Image file.
        verify: "decode" decodes every pixel, "header" checks format and size only, "none" does not open the file.
        max_pixels: Largest number of pixels.
    """
    if verify == "none":
        return None

    def check(image: Image.Image) -> None:
        if verify == "decode":
            # A JPEG's data is read to its end at any scale, so the smallest finds missing data soonest.
            full_size = image.size
            image.draft(None, (2, 2))
            with budget.use(peak_bytes(image, full_size)):
                image.load()
                check_convertible(image)

    try:
        if verify == "header":
            _read_header(path, max_pixels, check, decodes=True)
        else:
            _read(path, max_pixels, check)
    except UnreadableImageError as error:
        return error.reason
    return None


def centre_square(image: Image.Image, size: int) -> Image.Image:
    """Return the centre square of `image`, resized to `size` (bilinear, antialiased)."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)


def stretched(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return all of `image`, resized to (width, height) whatever its proportions (bilinear, antialiased)."""
    return image.resize(size, Image.Resampling.BILINEAR)


def _upright_rgb(image: Image.Image, shrink_to: int | None, white: float | None) -> Image.Image:
    full_size = image.size
    if shrink_to is not None:
        image.draft(None, (2 * shrink_to, 2 * shrink_to))
    with budget.use(peak_bytes(image, full_size)):
        image.load()
        # Pillow turns TIFF files itself.
        turn = None if image.format == "TIFF" else _UPRIGHT.get(_orientation(image))
        pixels = to_rgb(image, white)
        if pixels is not image:
            image.close()  # frees its pixels before a turned copy is made
        return pixels if turn is None else pixels.transpose(turn)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Return (width, height) of an opened image that is not decoded yet, upright."""
    size = image.size
    if image.format == "TIFF":  # whether `size` is turned already depends on the version of Pillow
        size = (int(image.tag_v2[ExifTags.Base.ImageWidth]), int(image.tag_v2[ExifTags.Base.ImageLength]))  # type: ignore[attr-defined]
    return size[::-1] if _orientation(image) in _SIDEWAYS else size


def _orientation(image: Image.Image) -> int:
    """Return the orientation that the file's EXIF data state; 1 is upright."""
    if image.format == "PNG" and not _has_exif(image):
        return 1  # `getexif` would decode all pixels to search for EXIF data behind them.
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - damaged metadata raises anything, and the pixels are still good
        return 1
    return orientation if isinstance(orientation, int) else 1


def _has_exif(image: Image.Image) -> bool:
    """Return whether a PNG file has EXIF data, before or behind its pixels; nothing is decoded."""
    file = getattr(image, "fp", None)  # None once the pixels are decoded
    if "exif" in image.info or "Raw profile type exif" in image.info or file is None:
        return True
    position = file.tell()
    try:
        return any(name == b"eXIf" for name, _ in png_chunks(file))
    finally:
        file.seek(position)


def _read(
    file: Path | str | BinaryIO,
    max_pixels: int,
    use: Callable[[Image.Image], Result],
    *,
    formats: tuple[str, ...] | None = None,
    decodes: bool = True,
) -> Result:
    """Open an image and use it within the memory budget; retry with a salvaged copy where that exists.

    Args:
        file: Image file, or an open binary file.
        max_pixels: Largest number of pixels.
        use: Function of the opened image.
        formats: Names of the Pillow formats that are allowed; by default all formats of images.
        decodes: Whether `use` decodes the pixels; if so, an image that is too large is refused first.

    Raises:
        UnreadableImageError: The file cannot be decoded.
    """
    path = file if isinstance(file, (str, Path)) else None
    if is_url(path):
        try:
            return _read(open_object(str(path)), max_pixels, use, formats=formats, decodes=decodes)
        except UnreadableImageError as error:
            raise UnreadableImageError(path, error.reason) from error
    reason = None if path is None else _why_no_image_file(path)
    if reason is not None:
        raise UnreadableImageError(path, reason)

    def attempt(source: Path | str | BinaryIO) -> Result:
        with quiet_pillow(max_pixels), Image.open(source, formats=formats or _formats()) as image:
            if decodes:
                _check_size(image, max_pixels)
            return use(image)

    try:
        return attempt(file)
    except DataError as error:
        raise _with_path(error, path) from None
    except Exception as error:  # a damaged file makes a decoder raise anything
        again = _salvaged(file, error)
        if again is None:
            raise UnreadableImageError(path, _reason(error, max_pixels, file)) from error
    try:
        return attempt(again)
    except DataError as error:
        raise _with_path(error, path) from None
    except Exception as error:
        raise UnreadableImageError(path, _reason(error, max_pixels, file)) from error


def _read_header(
    path: Path | str, max_pixels: int, use: Callable[[Image.Image], Result], *, decodes: bool = False
) -> Result:
    """Use an image whose pixels are not needed; of an object in storage only the first bytes are read."""
    if is_url(path):
        try:
            return _read(BytesIO(read_start(str(path), _HEADER_BYTES)), max_pixels, use, decodes=decodes)
        except UnreadableImageError:
            pass  # some formats have their header elsewhere: the whole object decides
    return _read(path, max_pixels, use, decodes=decodes)


def _with_path(error: DataError, path: Path | str | None) -> DataError:
    return UnreadableImageError(path, error.reason) if isinstance(error, UnreadableImageError) else error


def _salvaged(file: Path | str | BinaryIO, error: Exception) -> BinaryIO | None:
    if isinstance(error, (MemoryError, Image.DecompressionBombError)) or getattr(error, "errno", None) is not None:
        return None
    try:
        return salvaged(file)
    except OSError:
        return None


def _why_no_image_file(path: Path | str) -> str | None:
    """Return why a path is not a file that can hold an image."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a million paths are kept as plain strings
    except (OSError, ValueError) as error:
        return why_no_file(path, error)
    if not stat.S_ISREG(status.st_mode):
        return "it is not a regular file"
    return "it is empty (0 bytes)" if status.st_size == 0 else why_pointer(path, status.st_size)


def _check_size(image: Image.Image, max_pixels: int) -> None:
    """Refuse an opened image that needs too much memory.

    Raises:
        UnreadableImageError: The image is larger than the limits allow; without the path.
    """
    reason = why_too_large(image, max_pixels)
    if reason is not None:
        raise UnreadableImageError(None, reason)


@cache
def _formats() -> tuple[str, ...]:
    """Return the formats that this build of Pillow reads, without those that run other programs (EPS)."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _reason(error: Exception, max_pixels: int, file: Path | str | BinaryIO) -> str:
    match error:
        case Image.DecompressionBombError():
            return f"it has more than {max_pixels} pixels, the limit (max_pixels): shrink it or raise the limit"
        case UnidentifiedImageError():
            return why_foreign(file) or "it is not an image in a known format"
        case OSError(errno=int(), strerror=str(why)):
            return f"it cannot be read: {why}"
        case MemoryError():
            return "there is not enough memory to decode it"
        case _:
            return f"it is damaged: {str(error) or 'its pixels cannot be decoded'}"
