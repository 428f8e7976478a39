"""Memory limits of decoding: a bound per image, checked before decoding, and a bound for all threads together.

A file of some kilobytes can decode to gigabytes. The peak is estimated before a pixel is decoded: from size and mode,
which are in the file's header, and from the measured memory use of each decoder.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ExifTags, Image

MAX_PIXELS = 178_956_970
"""Default limit of an image's pixels: Pillow's own hard limit against decompression bombs."""

BYTES_PER_PIXEL = 8
"""Memory that an image may need while it is decoded, for each pixel of `max_pixels`."""

_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Bytes per pixel of Pillow's own memory, by mode; 4 for all others."""

_DECODER = {"JPEG2000": 5.0, "WEBP": 4.0, "AVIF": 2.5}
"""Peak memory of a decoder as a multiple of the stored pixels (measured; see the test)."""

_PROGRESSIVE_BYTES = 2
"""Bytes per pixel and channel of the coefficients that a progressive JPEG collects before it is decoded."""


def why_too_large(image: Image.Image, max_pixels: int) -> str | None:
    """Return why an opened image must not be decoded, in a few words; None when it may.

    Args:
        image: Image whose header was read.
        max_pixels: Largest number of pixels; the memory limit in bytes is `BYTES_PER_PIXEL * max_pixels`.
    """
    if image.width * image.height > max_pixels:
        return (
            f"it has {image.width} x {image.height} pixels, more than the limit of {max_pixels} (max_pixels): "
            "shrink it or raise the limit"
        )
    needed, limit = peak_bytes(image), BYTES_PER_PIXEL * max_pixels
    if needed > limit:
        return (
            f"decoding its {image.width} x {image.height} pixels needs {_mebibytes(needed)}, more than the limit of "
            f"{_mebibytes(limit)} ({BYTES_PER_PIXEL} bytes for each of max_pixels={max_pixels}): shrink it or raise "
            "the limit"
        )
    return None


def peak_bytes(image: Image.Image, full_size: tuple[int, int] | None = None) -> int:
    """Return an upper bound of the memory for decoding an opened image, and for making it RGB and upright.

    Args:
        image: Image whose header was read.
        full_size: (width, height) of a JPEG that is decoded at a fraction of its size, which `image.size` then is.
    """
    stored = _STORED.get(image.mode, 4)
    decoding = stored * _DECODER.get(str(image.format), 1.0)
    # Either the file's pixels next to their copy in RGB, or that copy next to the upright one.
    converting = 8.0
    peak = image.width * image.height * max(decoding, converting)
    if image.format in {"JPEG", "MPO"} and "progressive" in image.info:
        width, height = full_size or image.size  # the coefficients are complete whatever the scale
        peak += width * height * (_PROGRESSIVE_BYTES * len(image.getbands()) - (converting - decoding))
    return int(peak) + _tile_bytes(image, stored)


def _tile_bytes(image: Image.Image, stored: int) -> int:
    """Return the memory of one tile of a TIFF file, which may be larger than the image."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return 0
    sides = [tags.get(tag) for tag in (ExifTags.Base.TileWidth, ExifTags.Base.TileLength)]
    if not all(isinstance(side, int) for side in sides):
        return 0
    return int(sides[0] * sides[1] * stored) if sides[0] * sides[1] > image.width * image.height else 0


def _mebibytes(size: int) -> str:
    return f"{max(size // (1 << 20), 1):,} MiB"


class _Budget:
    """Memory that the threads of this process may decode into at the same time."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget all uses; a forked process calls this, as its parent's threads do not exist in it."""
        self._queue = threading.Lock()
        self._changed = threading.Condition()
        self._used = 0

    @contextmanager
    def use(self, size: int) -> Iterator[None]:
        """Wait until `size` bytes are free; an image larger than the budget is decoded alone."""
        # One thread waits at a time, so that small images cannot starve a large one.
        with self._queue, self._changed:
            self._changed.wait_for(lambda: self._used == 0 or self._used + size <= self.size)
            self._used += size
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()


budget = _Budget(BYTES_PER_PIXEL * MAX_PIXELS)
"""Memory for decoding in this process: what one image of the default limit needs."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=budget.start_afresh)
