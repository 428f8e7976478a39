"""Overlays of masks and of uncertainty."""

import io
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minimax_al.report.class_colours import class_colours

_OPAQUE = 255  # the page sets the opacity
_HEAT = (255, 64, 0)


def coloured(path: Path, kind: str, classes: int) -> bytes:
    """Return a view as RGBA PNG.

    Args:
        path: grey PNG: class numbers, or entropy from 0 to 255.
        kind: "label", "prediction" or "entropy".
        classes: Number of classes; other numbers are left clear.

    Raises:
        OSError: the file cannot be read.
    """
    with Image.open(path, formats=("PNG",)) as image:
        values = np.asarray(image)
    palette = _heat() if kind == "entropy" else _palette(classes)
    file = io.BytesIO()
    Image.fromarray(palette[values]).save(file, format="PNG", compress_level=1)
    return file.getvalue()


@cache
def _palette(classes: int) -> NDArray[np.uint8]:
    """Return the RGBA colour of every class number, shape (256, 4)."""
    alpha = np.where(np.arange(256) < classes, _OPAQUE, 0).astype(np.uint8)
    return np.column_stack([class_colours(classes), alpha])


@cache
def _heat() -> NDArray[np.uint8]:
    """Return the RGBA colour of every entropy, shape (256, 4)."""
    return np.array([(*_HEAT, value) for value in range(256)], dtype=np.uint8)
