"""Colours of classes in masks, told apart by annotators with full and with red-green colour vision."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

FOR_EVERYBODY = 12
"""Number of colours that are chosen to differ for colour-blind annotators as well."""

_OWN_WEIGHT = 0.5
"""Weight of distances in full colour vision among those colours, where all distances are larger."""

_BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
"""Linear RGB as dichromats see it (Machado, Oliveira and Fernandes 2009, severity 1)."""


def class_colours(num_classes: int) -> Pixels:
    """Return one colour per label, shape (256, 3), uint8; grey for labels that are not classes.

    Each colour is the one of a grid that is farthest from grey and from all earlier colours in CIELAB, which
    approximates perceived distance. The first `FOR_EVERYBODY` are also far apart as protanopes and deuteranopes see
    them. A class keeps its colour when further classes are added.

    Example:
        >>> class_colours(3)[255].tolist()
        [128, 128, 128]
    """
    colours = np.full((256, 3), 128, dtype=np.uint8)
    colours[:num_classes] = _unlike()[:num_classes]
    return colours


@cache
def _unlike() -> Pixels:
    """Return 255 colours by farthest-point sampling in CIELAB, starting from grey."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    # Nearly black and nearly white colours disappear in shadows and skies.
    lightness = _lab(grid / 255)[:, 0]
    grid = grid[(lightness > 30) & (lightness < 92)]
    linear = _linear(np.vstack([[[128, 128, 128]], grid]) / 255)
    own = _lab(_gamma(linear))
    blind = [_lab(_gamma(linear @ np.transpose(matrix))) for matrix in _BLINDNESS.values()]
    weighted = [_OWN_WEIGHT * own, *blind]
    chosen: list[int] = []
    nearest = _distances(weighted, 0)
    for place in range(255):
        if place == FOR_EVERYBODY:  # more colours than dichromats can tell apart: from here on by full vision alone
            weighted = [own]
            nearest = np.min([_distances(weighted, one) for one in (0, *chosen)], axis=0)
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, _distances(weighted, chosen[-1]))
    return np.asarray(grid[np.array(chosen) - 1], dtype=np.uint8)


def _distances(spaces: list[NDArray[np.float64]], point: int) -> NDArray[np.float64]:
    """Return the distance of each colour to one of them: the smallest of all spaces, shape (N,)."""
    smallest: NDArray[np.float64] = np.min([np.linalg.norm(lab - lab[point], axis=1) for lab in spaces], axis=0)
    return smallest


def _linear(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Undo the gamma of sRGB colours from 0 to 1."""
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _gamma(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return linear RGB as sRGB colours from 0 to 1; colours outside of the gamut are clipped."""
    inside = linear.clip(0, 1)
    return np.where(inside <= 0.0031308, 12.92 * inside, 1.055 * inside ** (1 / 2.4) - 0.055)


def _lab(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert sRGB colours from 0 to 1, shape (N, 3), to L*, a* and b* (CIE 1976, white D65)."""
    xyz = _linear(share) @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    ratio = xyz / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
