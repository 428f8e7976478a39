"""Image files to extract features of, and their content hashes."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from minimax_al.data.decoding.links import why_no_file
from minimax_al.data.features.hash_index import as_bytes
from minimax_al.data.object_storage.objects import read_object
from minimax_al.data.object_storage.urls import is_url
from minimax_al.errors import UnreadableImageError
from minimax_al.training.extraction.encoding import Signature, signature


class ImageFile(NamedTuple):
    """One image to extract features of.

    Attributes:
        path: Image file, or URL of an object.
        name: Image name in messages and in the list of images.
        sha256: Content hash, hexadecimal, where it is known; None reads the file for it.
    """

    path: Path | str
    name: str
    sha256: str | None = None


class HashedFile(NamedTuple):
    """Content hash of a file, or the reason why it cannot be read.

    Attributes:
        key: SHA-256 of the content, 32 bytes; empty for a file that cannot be read.
        signature: Signature of the file before it was read; None for an object, and where the hash was known.
        reason: Reason why the file cannot be read; None if it can.
    """

    key: bytes = b""
    signature: Signature | None = None
    reason: str | None = None


def hash_file(file: ImageFile) -> HashedFile:
    """Return the content hash of an image file, or the reason why it cannot be read.

    Raises:
        StorageError: The storage cannot be used now.
    """
    if file.sha256 is not None:
        return HashedFile(as_bytes([file.sha256]).tobytes())
    try:
        if is_url(file.path):
            return HashedFile(hashlib.sha256(read_object(str(file.path))).digest())
        if Path(file.path).exists() and not Path(file.path).is_file():
            return HashedFile(reason="it is not a regular file")  # a pipe would be waited for
        before = signature(file.path)
        with Path(file.path).open("rb") as opened:
            return HashedFile(hashlib.file_digest(opened, "sha256").digest(), before)
    except UnreadableImageError as error:
        return HashedFile(reason=error.reason)
    except (OSError, ValueError) as error:
        return HashedFile(reason=why_no_file(file.path, error))
