"""Overlays of masks and of uncertainty."""

import io
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minimax_al.report.class_colours import class_colours
from minimax_al.vocabulary import IGNORED

_OPAQUE = 255  # the page sets the opacity
_HEAT = (255, 64, 0)


def coloured(path: Path, kind: str, classes: int, only: int | None = None) -> bytes:
    """Return a view as RGBA PNG.

    Args:
        path: grey PNG: class numbers, or entropy from 0 to 255.
        kind: "label", "prediction" or "entropy".
        classes: Number of classes; other numbers are left clear.
        only: Only class number to show; None for all.

    Raises:
        OSError: The file cannot be read.
    """
    with Image.open(path, formats=("PNG",)) as image:
        values = np.asarray(image)
    if only is not None:
        values = np.where(values == only, values, IGNORED).astype(np.uint8)
    return as_heat(values) if kind == "entropy" else in_class_colours(values, classes)


def as_heat(values: NDArray[np.uint8]) -> bytes:
    """Return values from 0 (clear) to 255 as RGBA PNG."""
    return _png(_heat()[values])


def in_class_colours(mask: NDArray[np.uint8], classes: int) -> bytes:
    """Return class numbers in the colours of the classes as RGBA PNG; other numbers are left clear."""
    return _png(_palette(classes)[mask])


def _png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", compress_level=1)
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
