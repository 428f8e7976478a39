"""Small images inside a page."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minimax_al.errors import ConfigurationError, ShapeError


def thumbnail(pixels_HWC: NDArray[np.uint8], size: int = 64) -> str:
    """An image as a data URI, its longer side at most `size` pixels.

    Small images are enlarged by a whole factor, pixel by pixel, so that handwritten digits of 8×8 can be
    read; large ones are reduced with antialiasing.

    Args:
        pixels_HWC: (H, W, 3) or (H, W, 1) or (H, W) uint8.
        size: longest side of the result in pixels.

    Returns:
        "data:image/png;base64,…"; the same pixels give the same text.

    Raises:
        ShapeError: the pixels are not uint8, or of another shape, or none.
        ConfigurationError: size is below 1.
    """
    if size < 1:
        raise ConfigurationError(f"size is {size!r}; a thumbnail has at least one pixel")
    image = Image.fromarray(_checked(pixels_HWC))
    longest = max(image.size)
    if longest > size:
        width, height = (max(1, round(side * size / longest)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    elif longest * 2 <= size:
        factor = size // longest
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


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
