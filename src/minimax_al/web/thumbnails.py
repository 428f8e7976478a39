"""Small images for the grid, and images in formats that browsers show."""

import io
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from PIL import Image

from minimax_al.data.decode import read_image

LONG_SIDE = 320
"""Longer side of a thumbnail, in pixels."""

PREVIEW_SIDE = 2048
"""Longer side of a preview, in pixels."""

KEPT_BYTES = 64 << 20
"""Size of the cache in bytes: about five thousand thumbnails."""


class Thumbnails:
    """Cache of thumbnails in memory; the least recently used ones are dropped.

    Thumbnails are not cached on the disk: annotators see different images, and browsers have a cache of their own.

    Args:
        limit: Size of the cache in bytes.
    """

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self.limit = limit
        self.size = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def of(self, path: Path | str, digest: str) -> bytes:
        """Return the thumbnail of a file.

        Args:
            path: Image file.
            digest: Digest of its content, the key of the cache.

        Raises:
            UnreadableImageError: The file cannot be decoded.
        """
        with self._lock:
            if digest in self._kept:
                self._kept.move_to_end(digest)
                return self._kept[digest]
        made = make_thumbnail(path)
        with self._lock:
            if digest not in self._kept:
                self._kept[digest] = made
                self.size += len(made)
            while self.size > self.limit:
                self.size -= len(self._kept.popitem(last=False)[1])
        return made


def make_thumbnail(path: Path | str) -> bytes:
    """Return a JPEG thumbnail, upright, whose longer side is at most `LONG_SIDE`.

    A JPEG file is decoded at a fraction of its size.

    Raises:
        UnreadableImageError: The file cannot be decoded.
    """
    image = read_image(path, shrink_to=LONG_SIDE // 2)  # at least twice as much is decoded
    image.thumbnail((LONG_SIDE, LONG_SIDE), reducing_gap=2.0)
    return _as_jpeg(image, quality=85)


def make_preview(path: Path | str) -> bytes:
    """Return a JPEG of a large image, upright, whose longer side is at most `PREVIEW_SIDE`.

    Raises:
        UnreadableImageError: The file cannot be decoded.
    """
    image = read_image(path, shrink_to=PREVIEW_SIDE // 2)
    image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), reducing_gap=2.0)
    return _as_jpeg(image, quality=90)


def transcode(path: Path | str) -> bytes:
    """Return a JPEG of the image, upright, in full size; for formats that browsers do not show.

    Raises:
        UnreadableImageError: The file cannot be decoded.
    """
    return _as_jpeg(read_image(path), quality=95)


def _as_jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=quality)
    return file.getvalue()
