"""Data sets with fewer images: a part of one, one that keeps its test set back, or one with rare classes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from minimax_al.data.dataset import Dataset, image_statistics
from minimax_al.data.features import Features
from minimax_al.errors import ConfigurationError, DataError

PAPER_RATIOS = (10**-2, 10**-1.5, 10**-1, 10**-0.5, 1.0)


def subset(dataset: Dataset, train_indices: Tensor | Sequence[int], name: str | None = None) -> Dataset:
    """`dataset` with the training images at `train_indices` alone; the test set stays.

    Args:
        dataset: where to take from.
        train_indices: (N,) int64.
        name: of the new data set; by default that of the old.
    """
    chosen = torch.as_tensor(train_indices, dtype=torch.int64)
    samples = dataset.train.subset(chosen)
    mean, std = (dataset.mean, dataset.std) if isinstance(samples, Features) else image_statistics(samples)
    return replace(
        dataset,
        name=name or dataset.name,
        train=samples,
        train_targets=dataset.train_targets[chosen.to(dataset.train_targets.device)],
        mean=mean,
        std=std,
    )


def with_validation(dataset: Dataset, count: int, seed: int) -> Dataset:
    """`dataset` with training images in place of its test set, drawn at random; they leave the training set.

    Settings are chosen on these, so that the test set is looked at once, when all is settled.

    Args:
        dataset: where to take from; its test images are not kept.
        count: images to draw, from 1 to all but one.
        seed: of the draw.

    Raises:
        ConfigurationError: there are not so many.
    """
    if not 1 <= count < len(dataset.train):
        raise ConfigurationError(
            f"validation={count} images cannot be kept of {len(dataset.train)} training images of {dataset.name!r}"
        )
    order = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(seed))
    kept = order[:count].sort().values
    rest = subset(dataset, order[count:].sort().values)
    return replace(rest, test=dataset.train.subset(kept), test_targets=dataset.train_targets[kept])


def make_imbalanced(dataset: Dataset, seed: int, ratios: Sequence[float] = PAPER_RATIOS) -> Dataset:
    """`dataset` with rare classes (CIFAR100-Imbalanced of the paper, section 4.1).

    The classes are dealt at random into as many equal groups as there are ratios, anew for every seed. A
    class of n images keeps round(n * ratio) of them, at least one, drawn at random. The test set stays.

    Args:
        dataset: classification, every class known.
        seed: of both draws.
        ratios: one a group, each in (0, 1].

    Raises:
        ConfigurationError: a ratio outside of (0, 1], or more ratios than classes.
        DataError: a segmentation data set, or an image of unknown class.
    """
    if not ratios or not all(0 < ratio <= 1 for ratio in ratios) or len(ratios) > dataset.num_classes:
        raise ConfigurationError(
            f"ratios={tuple(ratios)!r} must each lie in (0, 1], and be no more than the {dataset.num_classes} classes"
        )
    targets = dataset.train_targets.cpu()
    if dataset.task != "classification" or bool((targets < 0).any()):
        raise DataError(f"{dataset.name!r} needs one known class an image to be made imbalanced")
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(dataset.num_classes, generator=generator).numpy()
    kept = []
    for group, ratio in zip(np.array_split(shuffled, len(ratios)), ratios, strict=True):
        for class_number in group.tolist():
            members = torch.nonzero(targets == class_number).flatten()
            count = max(round(len(members) * ratio), 1)
            kept.append(members[torch.randperm(len(members), generator=generator)[:count]])
    return subset(dataset, torch.cat(kept).sort().values, name=f"{dataset.name}-imbalanced")
