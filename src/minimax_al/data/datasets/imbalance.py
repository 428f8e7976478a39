"""Data sets with rare classes, as in the paper's CIFAR100-Imbalanced."""

from collections.abc import Sequence

import numpy as np
import torch

from minimax_al.data.datasets.dataset import Dataset
from minimax_al.data.datasets.subsets import subset
from minimax_al.errors import ConfigurationError, DataError

PAPER_RATIOS = (10**-2, 10**-1.5, 10**-1, 10**-0.5, 1.0)


def make_imbalanced(dataset: Dataset, seed: int, ratios: Sequence[float] = PAPER_RATIOS) -> Dataset:
    """Return `dataset` with rare classes (the paper's section 4.1).

    The classes are dealt at random into equal groups, one per ratio, anew for every seed. A class of n images keeps
    round(n * ratio) random ones, at least one. The test set does not change.

    Args:
        dataset: Classification data set without unknown classes.
        seed: Seed of both draws.
        ratios: Share of the images to keep, one per group, each in (0, 1].

    Raises:
        ConfigurationError: A ratio is outside of (0, 1], or there are more ratios than classes.
        DataError: The data set has masks, or an image of unknown class.
    """
    if not ratios or not all(0 < ratio <= 1 for ratio in ratios) or len(ratios) > dataset.num_classes:
        raise ConfigurationError(
            f"ratios={tuple(ratios)!r} must each lie in (0, 1], and be no more than the {dataset.num_classes} classes"
        )
    targets = dataset.train_targets.cpu()
    if dataset.task != "classification" or bool((targets < 0).any()):
        raise DataError(f"{dataset.name!r} cannot be made imbalanced: every training image needs one known class")
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(dataset.num_classes, generator=generator).numpy()
    kept = []
    for group, ratio in zip(np.array_split(shuffled, len(ratios)), ratios, strict=True):
        for class_number in group.tolist():
            members = torch.nonzero(targets == class_number).flatten()
            count = max(round(len(members) * ratio), 1)
            kept.append(members[torch.randperm(len(members), generator=generator)[:count]])
    return subset(dataset, torch.cat(kept).sort().values, name=f"{dataset.name}-imbalanced")
