"""Decoded pixels of any mode as 8-bit RGB, in bands, so that temporary copies stay small."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DEPTHS = (8, 10, 12, 14, 16)
"""Bits per pixel that cameras and scanners store in 16-bit files."""

_BAND_PIXELS = 1 << 20
_FAINT = 224
"""Lightest grey level, over white, that still counts as visible ink."""


def to_rgb(image: Image.Image, white: float | None = None) -> Image.Image:
    """Return `image` in mode RGB.

    Integers of more than 8 bits are scaled from 0..`white` to 0..255, floats from 0..1. Transparent pixels are
    composited over white, or over black where nothing would show over white (white ink).

    Args:
        image: Decoded image of any mode.
        white: Value of white in images of integers of more than 8 bits; by default `white_level` of the image's
            largest value.

    Raises:
        ValueError: Pixels are outside of 0..`white`, or floats outside of [0, 1].
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if is_deep(image):
        return _scaled(image, white).convert("RGB")
    if image.has_transparency_data:
        return _composited(image)
    return image.convert("RGB")


def is_deep(image: Image.Image) -> bool:
    """Return whether the pixels have more than 8 bits per channel, or are floats."""
    return image.mode.startswith("I") or image.mode == "F"


def white_level(largest: float) -> int:
    """Return the value of white in 16-bit pixels with a given largest value.

    Many cameras store 10, 12 or 14 bits in 16-bit files, which would look black if white were 65535. White is the
    largest value of the smallest usual bit depth that holds the pixels.

    Args:
        largest: Largest value of the image, or of all images of a folder.

    Example:
        >>> [white_level(value) for value in (200, 1000, 3000, 4095, 4096, 65535)]
        [255, 1023, 4095, 4095, 16383, 65535]
    """
    return next((1 << bits) - 1 for bits in DEPTHS if largest < 1 << bits or bits == DEPTHS[-1])


def value_range(image: Image.Image) -> tuple[float, float]:
    """Return the smallest and the largest value of a deep image; NaN where a pixel is NaN."""
    lows, highs = zip(*((float(band.min()), float(band.max())) for _, band in _bands(image)), strict=True)
    # NumPy's reductions keep NaN, Python's lose it.
    return float(np.min(lows)), float(np.max(highs))


def check_convertible(image: Image.Image) -> None:
    """Raise the error that `to_rgb` would raise, without the memory for the result.

    Args:
        image: Decoded image of any mode.

    Raises:
        ValueError: Pixels are outside of the range of white, or the mode cannot become RGB.
    """
    if is_deep(image):
        _white_of(image, None)
    else:
        to_rgb(image.crop((0, 0, 1, 1)))


def _white_of(image: Image.Image, white: float | None) -> float:
    """Return the value of white in a deep image whose pixels are all within 0..white."""
    low, high = value_range(image)
    floating = image.mode == "F"
    top = 1.0 if floating else float(white_level(high)) if white is None else white
    if not (low >= 0 and high <= top):  # NaN is refused too
        allowed = "[0, 1]" if floating else f"0..{top:.15g}"
        raise ValueError(f"its pixels are outside of {allowed}, so white is unknown; save it with 8 or 16 bits")
    return top


def _scaled(image: Image.Image, white: float | None) -> Image.Image:
    top = _white_of(image, white)
    grey = Image.new("L", image.size)
    for row, band in _bands(image):
        grey.paste(Image.fromarray(np.rint(band.astype(np.float64) * (255 / top)).astype(np.uint8)), (0, row))
    return grey


def _composited(image: Image.Image) -> Image.Image:
    over_white, opacity = _over(image, "white")
    darkest = min(low for low, _ in _channel_ranges(over_white))
    if darkest < _FAINT or opacity == 0:
        return over_white
    # Nothing shows over white: the ink is white itself. An opaque white image is the same over black.
    return _over(image, "black")[0]


def _over(image: Image.Image, ground: str) -> tuple[Image.Image, int]:
    """Return the image over a colour, and its largest opacity, 0 to 255."""
    result, opacity = Image.new("RGB", image.size), 0
    for top, bottom in _rows(image):
        ink = image.crop((0, top, image.width, bottom)).convert("RGBA")
        opacity = max(opacity, _channel_ranges(ink.getchannel("A"))[0][1])
        flat = Image.alpha_composite(Image.new("RGBA", ink.size, ground), ink)
        result.paste(flat.convert("RGB"), (0, top))
    return result, opacity


def _channel_ranges(image: Image.Image) -> list[tuple[int, int]]:
    return [tuple(image.getchannel(band).getextrema()) for band in image.getbands()]  # type: ignore[misc]


def _rows(image: Image.Image) -> Iterator[tuple[int, int]]:
    step = max(_BAND_PIXELS // max(image.width, 1), 1)
    return ((top, min(top + step, image.height)) for top in range(0, image.height, step))


def _bands(image: Image.Image) -> Iterator[tuple[int, NDArray[np.generic]]]:
    """Yield the first row and the pixels of each band."""
    for top, bottom in _rows(image):
        yield top, np.asarray(image.crop((0, top, image.width, bottom)))
