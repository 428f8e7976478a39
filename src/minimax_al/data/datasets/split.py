"""Stratified hold-out split: a fixed part of the labelled images, each class in proportion."""

import numpy as np
from numpy.typing import NDArray

from minimax_al.errors import ConfigurationError


def stratified_test_mask(targets: NDArray[np.int64], test_size: int | float, seed: int) -> NDArray[np.bool_]:
    """Return which images are held out for the test, each class in proportion.

    At least one image of each class stays for training.

    Args:
        targets: Class numbers, shape (N,), int64; images of unknown class (-1) are never held out.
        test_size: Number of images, or a fraction of the labelled ones in [0, 1).
        seed: Seed of the draw.

    Returns:
        Mask of the held-out images, shape (N,), bool.

    Raises:
        ConfigurationError: `test_size` is invalid.

    Example:
        >>> int(stratified_test_mask(np.array([0, 0, 1, 1, -1]), 0.5, seed=0).sum())
        2
    """
    classes, counts = np.unique(targets[targets >= 0], return_counts=True)
    labelled = int(counts.sum())
    wanted = round(test_size * labelled) if isinstance(test_size, float) else test_size
    if test_size < 0 or wanted > max(labelled - len(classes), 0):
        raise ConfigurationError(
            f"test_size={test_size!r} of {labelled} labelled images in {len(classes)} classes cannot "
            "be kept: give a fraction below 1 that leaves one image of each class for training"
        )
    generator = np.random.default_rng(seed)
    mask = np.zeros(len(targets), dtype=bool)
    for class_number, share in zip(classes, _shares(counts, wanted), strict=True):
        members = np.flatnonzero(targets == class_number)
        mask[generator.permutation(members)[:share]] = True
    return mask


def _shares(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Return integers in proportion to `counts` with the sum `total`, by largest remainders, leaving one of each."""
    exact = counts * total / max(int(counts.sum()), 1)
    shares = np.minimum(np.floor(exact).astype(np.int64), counts - 1)
    by_remainder = np.argsort(shares - exact, kind="stable")
    while (missing := total - int(shares.sum())) > 0:
        open_classes = by_remainder[shares[by_remainder] < counts[by_remainder] - 1][:missing]
        shares[open_classes] += 1
    return shares
