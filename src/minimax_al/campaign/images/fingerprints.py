"""Fingerprints of an image: the hash of its file, and a perceptual hash that survives saving and resizing."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from minimax_al.campaign.images.views import why_outside
from minimax_al.data.decode import read_sized, why_unreadable
from minimax_al.data.near_duplicates.perceptual_hash import READ_SIZE, perceptual_hash
from minimax_al.data.scan import printable, why_not
from minimax_al.errors import UnreadableImageError


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
        small, (width, height) = read_sized(path, shrink_to=READ_SIZE)
        return Fingerprint(name, None, content_hash(path), perceptual_hash(small), width, height)
    except UnreadableImageError as error:
        return Fingerprint(name, error.reason)
    except OSError as error:
        return Fingerprint(name, f"it cannot be read: {error.strerror or error}")


def content_hash(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
