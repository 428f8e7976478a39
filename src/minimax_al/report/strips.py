"""Strips that show an image, its mask, a prediction and its uncertainty side by side."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from minimax_al.errors import ShapeError

Pixels = NDArray[np.uint8]

GAP = 2
"""Pixels between two views."""


def segmentation_strip(image: Pixels, truth: Pixels, prediction: Pixels, entropy: Pixels, num_classes: int) -> Pixels:
    """Return image, truth, prediction and entropy in one strip, from left to right.

    Args:
        image: Pixels, shape (H, W, 3), uint8.
        truth: Class indices, shape (H, W), uint8; values above the last class are void and drawn grey.
        prediction: Class indices, shape (H, W), uint8.
        entropy: Scaled entropy, shape (H, W), uint8, from 0 (certain) to 255 (all classes equally likely).
        num_classes: Number of classes K.

    Returns:
        Pixels, shape (H, 4·W + 3·GAP, 3), uint8.

    Raises:
        ShapeError: The size of a view differs from the image's.
    """
    height, width = image.shape[:2]
    for name, view in (("truth", truth), ("prediction", prediction), ("entropy", entropy)):
        if view.shape != (height, width):
            raise ShapeError(f"{name} has shape {view.shape}; the image's is {(height, width)}")
    colours = class_colours(num_classes)
    views = [image, colours[truth], colours[prediction], np.repeat(entropy[:, :, None], 3, axis=2)]
    gap = np.full((height, GAP, 3), 128, dtype=np.uint8)
    joined = [part for view in views for part in (view, gap)][:-1]
    return np.concatenate(joined, axis=1)


def class_colours(num_classes: int) -> Pixels:
    """Return one colour per label, shape (256, 3), uint8; grey for labels that are not classes.

    Each colour is the one of a grid that is farthest from grey and from all earlier colours in CIELAB, which
    approximates perceived distance. A class therefore keeps its colour when further classes are added.

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
    lab_colours = _lab(grid)
    # Nearly black and nearly white colours disappear in shadows and skies.
    is_plain = (lab_colours[:, 0] > 30) & (lab_colours[:, 0] < 92)
    grid, lab_colours = grid[is_plain], lab_colours[is_plain]
    apart = np.linalg.norm(lab_colours - _lab(np.array([[128, 128, 128]], dtype=np.uint8)), axis=1)
    chosen = []
    for _ in range(255):
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, np.linalg.norm(lab_colours - lab_colours[chosen[-1]], axis=1))
    return grid[chosen]


def _lab(colours: Pixels) -> NDArray[np.float64]:
    """Convert sRGB colours, shape (N, 3), to L*, a* and b* (CIE 1976, white D65)."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    ratio = xyz / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
