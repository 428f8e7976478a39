"""The square that a network sees of an image, and the way back from the square to the image.

Of an image with one class, the centre square is enough. Of an image with a mask, every pixel was drawn, so that nothing
may be cut off: the whole image is stretched to the square, as `minimax_al.data.datasets.mask_pairs` does.
"""

import numpy as np
from numpy.typing import NDArray

from minimax_al.data.decoding.decode import Fit
from minimax_al.vocabulary import Task

Pixels = NDArray[np.uint8]

FITS: dict[Task, Fit] = {"classification": "centre", "segmentation": "stretch"}
"""Ways in which images become squares, by task. A model records its own: older ones of masks saw the centre alone."""


def in_place(square: Pixels, size: tuple[int, int], share: float, outside: int, fit: Fit = "stretch") -> Pixels:
    """Return a network's output for its square, mapped back to the image by nearest neighbour.

    Args:
        square: Output for the square, shape (S, S).
        size: (height, width) of the result, in the image's proportions.
        share: Side of the square that the network sees, as a share of the square that images become.
        outside: Value where the network saw nothing.
        fit: Way in which the image became a square.

    Returns:
        Output for the image, shape (height, width).

    Example:
        >>> in_place(np.array([[1, 2], [3, 4]], np.uint8), (2, 4), 1.0, outside=255).tolist()
        [[1, 1, 2, 2], [3, 3, 4, 4]]
        >>> in_place(np.array([[1, 2], [3, 4]], np.uint8), (2, 4), 1.0, outside=255, fit="centre").tolist()
        [[255, 1, 2, 255], [255, 3, 4, 255]]
    """
    seen = [share * (min(size) if fit == "centre" else length) for length in size]
    rows, columns = (_nearest(length, part, len(square)) for length, part in zip(size, seen, strict=True))
    canvas = np.full(size, outside, dtype=np.uint8)
    canvas[np.ix_(rows >= 0, columns >= 0)] = square[np.ix_(rows[rows >= 0], columns[columns >= 0])]
    return canvas


def _nearest(length: int, seen: float, side: int) -> NDArray[np.int64]:
    """Return the position of each pixel along a side in the square that covers the middle `seen`; -1 outside."""
    positions = np.floor((np.arange(length) + 0.5 - (length - seen) / 2) * side / seen).astype(np.int64)
    return np.where((positions >= 0) & (positions < side), positions, -1)
