"""Fingerprints of an image: the hash of its file, and a perceptual hash that survives saving and resizing.

The perceptual hash has 128 bits: whether the grey image brightens from one cell to the next, along the rows
of a 9×8 grid and along the columns of an 8×9 one (dHash, Krawetz 2013, in both directions).
"""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minimax_al.campaign.images.views import why_outside
from minimax_al.data.decode import read_sized, why_unreadable
from minimax_al.data.scan import printable, why_not
from minimax_al.errors import UnreadableImageError

HASH_BYTES = 16
_CELLS = 8
_LEAST_CONTRAST = 4.0  # grey levels; below it, the signs of the differences are noise


class Fingerprint(NamedTuple):
    """Examined file.

    Attributes:
        name: Path relative to the images' folder.
        reason: Why it cannot be used; None if it can.
        content_hash: sha256 of the file, hexadecimal; None for an unusable file.
        perceptual_hash: 32 hexadecimal digits; None for an almost flat image.
        width: Width, upright, in pixels.
        height: Height, upright, in pixels.
    """

    name: str
    reason: str | None = None
    content_hash: str | None = None
    perceptual_hash: str | None = None
    width: int | None = None
    height: int | None = None


def examine(root: Path, name: str) -> Fingerprint:
    """Read a file to its end and return its fingerprint, or the reason why it cannot be used.

    Args:
        root: Folder of the images.
        name: Path of the file, relative to the folder.
    """
    path = root / name
    reason = why_not(path, name)
    if reason is not None:
        return Fingerprint(printable(name), reason)
    missing = None if path.exists() else why_unreadable(path, "header")  # a broken link, with the remedy
    if missing is not None:
        return Fingerprint(name, missing)
    outside = why_outside(root, Path(os.path.realpath(path)))
    if outside is not None:
        return Fingerprint(name, f"it {outside}")
    try:
        # A JPEG is decoded at a fraction of its size, but to its end.
        small, (width, height) = read_sized(path, shrink_to=4 * _CELLS)
        return Fingerprint(name, None, content_hash(path), perceptual_hash(small), width, height)
    except UnreadableImageError as error:
        return Fingerprint(name, error.reason)
    except OSError as error:
        return Fingerprint(name, f"it cannot be read: {error.strerror or error}")


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


def content_hash(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
