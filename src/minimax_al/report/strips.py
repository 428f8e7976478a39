"""Several views of one picture side by side: what a segmentation model made of it."""

import colorsys

import numpy as np
from numpy.typing import NDArray

from minimax_al.errors import ShapeError

Pixels = NDArray[np.uint8]

GAP = 2
"""Pixels between two views."""


def segmentation_strip(picture: Pixels, truth: Pixels, prediction: Pixels, entropy: Pixels, num_classes: int) -> Pixels:
    """Picture, truth, prediction and entropy, from left to right.

    Args:
        picture: (H, W, 3) uint8.
        truth: classes (H, W) uint8; anything above the last class is void, and grey.
        prediction: classes (H, W) uint8.
        entropy: (H, W) uint8, from 0 (sure) to 255 (all classes equally likely).
        num_classes: K.

    Returns:
        (H, 4·W + 3·GAP, 3) uint8.

    Raises:
        ShapeError: a view is of another size than the picture.
    """
    height, width = picture.shape[:2]
    for name, view in (("truth", truth), ("prediction", prediction), ("entropy", entropy)):
        if view.shape != (height, width):
            raise ShapeError(f"{name} has shape {view.shape}; the picture's is {(height, width)}")
    colours = class_colours(num_classes)
    views = [picture, colours[truth], colours[prediction], np.repeat(entropy[:, :, None], 3, axis=2)]
    gap = np.full((height, GAP, 3), 128, dtype=np.uint8)
    joined = [part for view in views for part in (view, gap)][:-1]
    return np.concatenate(joined, axis=1)


def class_colours(num_classes: int) -> Pixels:
    """A colour for each label, (256, 3) uint8: well-spread hues for the classes, grey for everything else.

    Example:
        >>> class_colours(3)[255].tolist()
        [128, 128, 128]
    """
    colours = np.full((256, 3), 128, dtype=np.uint8)
    for label in range(num_classes):
        # Steps of the golden ratio keep neighbouring labels far apart, however many there are.
        hue, value = (0.58 + label * 0.618034) % 1, 0.95 - 0.3 * (label % 2)
        colours[label] = [round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, 0.65, value)]
    return colours
