"""Polygons as pixels: one rule for every format that has them."""

from collections.abc import Sequence

import numpy as np

from minimax_al.label_formats.run_length import Binary

FARTHEST = 2**31
"""Largest distance of a corner from the image, in pixels."""


def fill_polygon(corners: Sequence[tuple[float, float]], height: int, width: int) -> Binary:
    """Return the pixels whose centres are inside a polygon (even-odd rule), as a mask of shape (H, W).

    Args:
        corners: Corners (x, y) in pixels; (0, 0) is the upper left corner of the upper left pixel.
        height: Height of the image.
        width: Width of the image.

    Raises:
        ValueError: A corner is farther away than any image reaches, or is not a number.

    Example:
        >>> fill_polygon([(0, 0), (2, 0), (2, 1), (0, 1)], 2, 3).astype(int).tolist()
        [[1, 1, 0], [0, 0, 0]]
    """
    if not (np.abs(np.array(corners, dtype=np.float64)) < FARTHEST).all():
        raise ValueError("a corner that is not a finite point")
    # Along a row, every edge that crosses the line of pixel centres switches all pixels to its right.
    switches = np.zeros((height, width + 1), dtype=np.int64)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], *corners[:1]], strict=True):
        first, end = np.clip(np.ceil(np.array(sorted((y0, y1))) - 0.5), 0, height)
        rows = np.arange(first, end, dtype=np.int64)
        if len(rows):
            x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            np.add.at(switches, (rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)), 1)
    return np.asarray(switches.cumsum(axis=1)[:, :width] % 2 == 1)
