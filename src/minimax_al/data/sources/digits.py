"""Source of scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, which needs no file."""

import numpy as np
import torch
from sklearn.datasets import load_digits

from minimax_al.data.datasets.dataset import Dataset, image_statistics
from minimax_al.data.datasets.split import stratified_test_mask
from minimax_al.data.images.images import ResidentImages

TEST_SIZE = 500


def load() -> Dataset:
    """Load 1,297 training and 500 test digits, each class in proportion.

    The split is fixed.     Grey values 0..16 become 0..255, repeated in three channels.
    """
    digits = load_digits()
    grey_NHW = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    pixels = torch.from_numpy(grey_NHW)[:, None].repeat(1, 3, 1, 1)
    targets = digits.target.astype(np.int64)
    in_test = stratified_test_mask(targets, TEST_SIZE, seed=0)
    parts = {}
    for part, mask in (("train", ~in_test), ("test", in_test)):
        positions = np.flatnonzero(mask)
        names = [f"{part}/{position:04d}" for position in positions]
        parts[part] = ResidentImages(pixels[positions], names)
    mean, std = image_statistics(parts["train"])
    return Dataset(
        name="digits",
        task="classification",
        class_names=tuple(str(name) for name in digits.target_names),
        train=parts["train"],
        train_targets=torch.from_numpy(targets[~in_test]),
        test=parts["test"],
        test_targets=torch.from_numpy(targets[in_test]),
        mean=mean,
        std=std,
    )
