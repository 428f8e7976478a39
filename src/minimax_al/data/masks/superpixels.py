"""Superpixels: regions of similar colour that annotators label with one click.

SLIC (Achanta et al. 2012) clusters pixels by colour in CIELAB and by position. Large images are clustered at a million
pixels; the page scales the regions to the image by nearest neighbour. The regions of a content are computed once.
"""

import io
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minimax_al.data.decoding.decode import read_image, read_size
from minimax_al.durable import write_durably
from minimax_al.extras import extra_packages

Grain = Literal["fine", "medium", "coarse"]
"""Fineness of superpixels."""

REGIONS: dict[Grain, int] = {"fine": 2400, "medium": 900, "coarse": 300}
"""Approximate number of superpixels of an image."""

SUPERPIXELS = "superpixels"
"""Name of the folder of a campaign's superpixels."""

MOST_PIXELS = 1_000_000
"""Number of pixels above which an image is reduced before it is clustered."""

_SMALLEST = 9
"""Average number of pixels of a region, at least: smaller ones are drawn faster with a brush."""


class SuperpixelFiles:
    """Superpixels in a campaign's folder, by the images' content.

    Args:
        folder: Folder of the superpixels; made with the first.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._computing = Lock()  # clustering needs all of a core and some hundred megabytes

    def path(self, content_hash: str, grain: Grain) -> Path:
        """Return the file of an image's superpixels, which may not exist."""
        return self.folder / content_hash[:2] / f"{content_hash}-{grain}.png"

    def load(self, content_hash: str, grain: Grain, image: Path | str) -> NDArray[np.uint16]:
        """Return an image's superpixels, and compute them if they are not stored.

        Args:
            content_hash: sha256 of the image's file.
            grain: Fineness of the superpixels.
            image: File of the image, or its URL.

        Returns:
            Region of each pixel, from 0; shape (h, w) in the image's proportions, at most `MOST_PIXELS`.

        Raises:
            UnreadableImageError: The image cannot be decoded.
            OSError: The superpixels cannot be written.
        """
        path = self.path(content_hash, grain)
        stored = _read(path)
        if stored is not None:
            return stored
        with self._computing:
            stored = _read(path)  # another request may have waited for the same image
            if stored is not None:
                return stored
            regions = find_superpixels(read_image(image, shrink_to=_shorter_side(image)), REGIONS[grain])
            file = io.BytesIO()
            Image.fromarray(regions).save(file, format="PNG", compress_level=3)
            write_durably(path, file.getvalue())
            return regions


def find_superpixels(image: Image.Image, count: int) -> NDArray[np.uint16]:
    """Cluster an image into about `count` connected regions of similar colour.

    Args:
        image: Image in mode RGB.
        count: Approximate number of regions; fewer where they would be smaller than `_SMALLEST` pixels.

    Returns:
        Region of each pixel, from 0; shape (h, w), with h·w at most `MOST_PIXELS`.

    Raises:
        MissingDependencyError: scikit-image is not installed.

    Example:
        >>> halves = Image.new("RGB", (12, 6), "white")
        >>> halves.paste("black", (0, 0, 6, 6))
        >>> regions = find_superpixels(halves, 2)
        >>> len(set(regions[:, :6].ravel()) & set(regions[:, 6:].ravel()))
        0
    """
    with extra_packages("campaign", "a page with superpixels", ("skimage",)):
        from skimage.segmentation import slic  # noqa: PLC0415 - loads SciPy, which takes a second

    scale = min(1.0, (MOST_PIXELS / (image.width * image.height)) ** 0.5)
    size = max(1, int(image.width * scale)), max(1, int(image.height * scale))
    reduced = np.asarray(image if size == image.size else image.resize(size, Image.Resampling.BOX, reducing_gap=2.0))
    most = max(1, reduced.shape[0] * reduced.shape[1] // _SMALLEST)
    regions = slic(reduced, n_segments=min(count, most), compactness=10.0, start_label=0, channel_axis=-1)
    # Numbers without gaps, so that they fit into 16 bits: connectivity is enforced after the clustering.
    return np.unique(regions, return_inverse=True)[1].reshape(regions.shape).astype(np.uint16)


def _shorter_side(path: Path | str) -> int:
    """Return the short side at which decoding still gives `MOST_PIXELS`, so that a large JPEG is decoded faster."""
    width, height = read_size(path)
    return int(min(width, height) * min(1.0, (MOST_PIXELS / (width * height)) ** 0.5)) + 1


def _read(path: Path) -> NDArray[np.uint16] | None:
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return np.asarray(image).astype(np.uint16)
    except OSError:
        return None  # not computed yet, or damaged: it is computed (again)
