"""Parts of a data set: chosen training images alone, or a hold-out set instead of the test set."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from minimax_al.data.datasets.dataset import Dataset, image_statistics
from minimax_al.data.features.features import Features
from minimax_al.errors import ConfigurationError


def subset(dataset: Dataset, train_indices: Tensor | Sequence[int], name: str | None = None) -> Dataset:
    """Return `dataset` with only the training images at `train_indices`.

    The test set does not change.

    Args:
        dataset: Data set to choose from.
        train_indices: Indices of the training images to keep, shape (N,), int64.
        name: Name of the new data set; by default that of the old one.
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
    """Return `dataset` with a random hold-out set instead of its test set.

    The drawn images leave the training set. Settings are chosen on them, so that the test set is used once, at the
    end.

    Args:
        dataset: Data set to draw from; its test images are dropped.
        count: Number of images to draw, from 1 to all but one.
        seed: Seed of the draw.

    Raises:
        ConfigurationError: `count` is outside of that range.
    """
    kept, left = _drawn(dataset, count, seed, "validation")
    return replace(subset(dataset, left), test=dataset.train.subset(kept), test_targets=dataset.train_targets[kept])


def with_selection(dataset: Dataset, count: int, seed: int) -> Dataset:
    """Return `dataset` with random training images set apart, on which trainings choose their best pass.

    The drawn images leave the training set; the test set does not change.

    Args:
        dataset: Data set to draw from; all its training targets are known.
        count: Number of images to draw, from 1 to all but one.
        seed: Seed of the draw.

    Raises:
        ConfigurationError: `count` is outside of that range.
    """
    kept, left = _drawn(dataset, count, seed, "selection")
    return replace(
        subset(dataset, left), selection=dataset.train.subset(kept), selection_targets=dataset.train_targets[kept]
    )


def _drawn(dataset: Dataset, count: int, seed: int, setting: str) -> tuple[Tensor, Tensor]:
    """Return `count` random training indices and all others, both ascending; `setting` names the count in an error."""
    if not 1 <= count < len(dataset.train):
        raise ConfigurationError(
            f"{setting}={count} images cannot be kept of {len(dataset.train)} training images of {dataset.name!r}"
        )
    order = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(seed))
    return order[:count].sort().values, order[count:].sort().values
