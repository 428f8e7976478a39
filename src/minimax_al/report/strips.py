"""Strips that show an image, its mask, a prediction and its uncertainty side by side."""

import numpy as np
from numpy.typing import NDArray

from minimax_al.errors import ShapeError
from minimax_al.report.class_colours import class_colours

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
