"""Thumbnails embedded in a page."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minimax_al.errors import ConfigurationError, ShapeError

WEBP_QUALITY = 82


def thumbnail(pixels_HWC: NDArray[np.uint8], size: int = 64) -> str:
    """Return an image as a data URI, its longer side at most `size` pixels.

    Tiny images (up to a quarter of `size`) are enlarged by a whole factor with sharp pixels, so that 8×8 digits are
    readable. Large images are reduced with antialiasing. WebP is used where it is smaller than PNG.

    Args:
        pixels_HWC: Pixels, shape (H, W, 3), (H, W, 1) or (H, W), uint8.
        size: Longest side of the result in pixels.

    Returns:
        "data:image/…;base64,…"; equal pixels give equal text.

    Raises:
        ShapeError: Shape or dtype of the pixels is not one of these, or the image is empty.
        ConfigurationError: `size` is below 1.
    """
    if size < 1:
        raise ConfigurationError(f"size is {size!r}; a thumbnail has at least one pixel")
    image = _without_equal_channels(Image.fromarray(_checked(pixels_HWC)))
    longest = max(image.size)
    if longest * 4 <= size:
        factor = size // longest
        enlarged = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
        return _data_uri("png", enlarged)
    if longest > size:
        width, height = (max(1, round(side * size / longest)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return min(_data_uri("png", image), _data_uri("webp", image), key=len)


def _without_equal_channels(image: Image.Image) -> Image.Image:
    """Return a grey image in one channel, which takes a third of the bytes."""
    if image.mode != "RGB":
        return image
    pixels = np.asarray(image)
    is_grey = (pixels == pixels[:, :, :1]).all()
    return image.getchannel(0) if is_grey else image


def _data_uri(kind: str, image: Image.Image) -> str:
    file = io.BytesIO()
    options: dict[str, Any] = {"optimize": True} if kind == "png" else {"quality": WEBP_QUALITY, "method": 6}
    image.save(file, format=kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _checked(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    array = np.asarray(pixels)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or not array.size:
        raise ShapeError(
            f"a thumbnail is made of (H, W, 3), (H, W, 1) or (H, W) uint8 pixels, but got {np.shape(pixels)} of"
            f" {array.dtype}"
        )
    return np.ascontiguousarray(array)
