"""Perceptual hash of an image, which survives saving and resizing.

The hash has 128 bits: whether the grey image brightens from one cell to the next, along the rows of a 9×8 grid and
along the columns of an 8×9 one (dHash, Krawetz 2013, in both directions).
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HASH_BYTES = 16
_CELLS = 8
READ_SIZE = 4 * _CELLS
"""Size at which an image is large enough for its hash, in pixels: a JPEG file may be decoded at this size."""
_LEAST_CONTRAST = 4.0  # grey levels; below it, the signs of the differences are noise


def perceptual_hash(image: Image.Image) -> str | None:
    """Return the perceptual hash of an image, 32 hexadecimal digits; None for an almost flat one.

    Example:
        >>> ramp = Image.fromarray(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1)))
        >>> perceptual_hash(ramp)
        'ffffffffffffffff0000000000000000'
        >>> perceptual_hash(ramp) == perceptual_hash(ramp.resize((200, 100)))
        True
    """
    grey = image.convert("L")
    along_rows = _cells(grey, _CELLS + 1, _CELLS)
    along_columns = _cells(grey, _CELLS, _CELLS + 1)
    if np.ptp(along_rows) < _LEAST_CONTRAST:
        return None
    brightens = np.concatenate([np.diff(along_rows, axis=1).ravel() > 0, np.diff(along_columns, axis=0).ravel() > 0])
    return np.packbits(brightens).tobytes().hex()


def hash_bytes(hashes: list[str]) -> NDArray[np.uint8]:
    """Return perceptual hashes as an array, shape (N, 16), uint8."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8).reshape(len(hashes), HASH_BYTES)


def _cells(grey: Image.Image, width: int, height: int) -> NDArray[np.float64]:
    return np.asarray(grey.resize((width, height), Image.Resampling.BOX), dtype=np.float64)
