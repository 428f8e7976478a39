"""Small images for the grid, and images in formats that browsers show."""

import io
import warnings
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from PIL import Image, UnidentifiedImageError

from minimax_al.data.decoding.decode import read_image
from minimax_al.data.decoding.rgb import is_deep
from minimax_al.data.locations.location import read_bytes
from minimax_al.data.object_storage.urls import is_url

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


def differs_from_model(path: Path | str) -> bool:
    """Return whether a browser would show other pixels than the model sees; reads the head of the file.

    Browsers show images of more than 8 bits by their upper bits, and transparent ones over the page's background.

    Raises:
        OSError: The file cannot be read.
    """
    source = io.BytesIO(read_bytes(path)) if is_url(path) else Path(path).open("rb")  # noqa: SIM115 - closed below
    with source as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged metadata; the decoder reports what matters
        try:
            with Image.open(file) as image:
                return image.format != "JPEG" and (is_deep(image) or image.has_transparency_data)
        except UnidentifiedImageError:
            return False


def as_png(path: Path | str) -> bytes:
    """Return a PNG of the pixels that the model sees, upright, in full size.

    Raises:
        UnreadableImageError: The file cannot be decoded.
    """
    file = io.BytesIO()
    read_image(path).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def _as_jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=quality)
    return file.getvalue()
