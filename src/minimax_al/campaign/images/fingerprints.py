"""Fingerprints of an image: the hash of its file, and a perceptual hash that survives saving and resizing."""

import hashlib
import os
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from minimax_al.campaign.images.views import why_outside
from minimax_al.data.decoding.decode import read_sized, why_unreadable
from minimax_al.data.locations.location import FoundImage, Location
from minimax_al.data.locations.scan import printable, why_not
from minimax_al.data.near_duplicates.perceptual_hash import READ_SIZE, perceptual_hash
from minimax_al.data.object_storage.objects import ObjectState, read_object
from minimax_al.data.object_storage.urls import is_url
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
        is_passing: Whether the reason may not hold the next time, as when an object does not arrive.
    """

    name: str
    reason: str | None = None
    content_hash: str | None = None
    perceptual_hash: str | None = None
    width: int | None = None
    height: int | None = None
    is_passing: bool = False


def examine(root: Location, name: str) -> Fingerprint:
    """Read a file to its end and return its fingerprint, or the reason why it cannot be used.

    Args:
        root: Location of the images.
        name: Name of the file in the location.

    Raises:
        StorageError: The storage cannot be used now.
    """
    return _examine(root, name, None)


def examine_listed(root: Location, file: FoundImage) -> Fingerprint:
    """Return the fingerprint of a file that a location lists; one whose manifest states hash and size is not read.

    Args:
        root: Location of the images.
        file: File as the location lists it.

    Raises:
        StorageError: The storage cannot be used now.
    """
    if file.stated is None or why_not(file.name, file.name) is not None:
        return _examine(root, file.name, file)
    return Fingerprint(file.name, None, file.stated.sha256, None, file.stated.width, file.stated.height)


def _examine(root: Location, name: str, found: FoundImage | None) -> Fingerprint:
    address = root / name
    reason = why_not(address, name)
    if reason is not None:
        return Fingerprint(printable(name), reason)
    try:
        if is_url(address):
            return _examine_object(str(address), name, found)
        return _examine_file(root, Path(address), name)
    except UnreadableImageError as error:
        return Fingerprint(name, error.reason)
    except OSError as error:
        return Fingerprint(name, f"it cannot be read: {error.strerror or error}")


def _examine_file(root: Location, path: Path, name: str) -> Fingerprint:
    missing = None if path.exists() else why_unreadable(path, "header")  # a broken link, with the remedy
    if missing is not None:
        return Fingerprint(name, missing)
    outside = why_outside(root, Path(os.path.realpath(path))) if isinstance(root, Path) else None
    if outside is not None:
        return Fingerprint(name, f"it {outside}")
    # A JPEG is decoded at a fraction of its size, but to its end.
    small, (width, height) = read_sized(path, shrink_to=READ_SIZE)
    return Fingerprint(name, None, content_hash(path), perceptual_hash(small), width, height)


def _examine_object(url: str, name: str, found: FoundImage | None) -> Fingerprint:
    state = ObjectState(found.size_bytes, found.version) if found is not None and found.size_bytes else None
    try:
        content = read_object(url, state)
    except UnreadableImageError as error:
        return Fingerprint(name, error.reason, is_passing=True)
    if not content:
        return Fingerprint(name, "it is empty (0 bytes)")
    small, (width, height) = read_sized(BytesIO(content), shrink_to=READ_SIZE)
    return Fingerprint(name, None, hashlib.sha256(content).hexdigest(), perceptual_hash(small), width, height)


def content_hash(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
