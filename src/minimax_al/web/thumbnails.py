"""Small images for the grid, and images in formats that browsers show."""

import io
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from PIL import Image

from minimax_al.data.decode import read_image

LONG_SIDE = 320
"""Of a thumbnail, in pixels."""

KEPT_BYTES = 64 << 20
"""What all kept thumbnails may have: some five thousand."""


class Thumbnails:
    """Thumbnails that were asked for, the latest kept in memory.

    They are not kept on the disk: a person seldom looks at another's images, and browsers keep what they have seen.

    Args:
        limit: bytes that are kept.
    """

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self.limit = limit
        self.size = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def of(self, path: Path, digest: str) -> bytes:
        """The thumbnail of a file.

        Args:
            path: the file.
            digest: of its content, by which the thumbnail is found again.

        Raises:
            UnreadableImageError: the file cannot be decoded.
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


def make_thumbnail(path: Path) -> bytes:
    """A JPEG of the image, upright, with a long side of at most `LONG_SIDE`; a JPEG is decoded at a fraction.

    Raises:
        UnreadableImageError: the file cannot be decoded.
    """
    image = read_image(path, shrink_to=LONG_SIDE // 2)  # at least twice as much is decoded
    image.thumbnail((LONG_SIDE, LONG_SIDE), reducing_gap=2.0)
    return _as_jpeg(image, quality=85)


def transcode(path: Path) -> bytes:
    """A JPEG of the image, upright, in full size; for formats that browsers do not show.

    Raises:
        UnreadableImageError: the file cannot be decoded.
    """
    return _as_jpeg(read_image(path), quality=95)


def _as_jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=quality)
    return file.getvalue()
