"""Scores of a model on the held-out images, with the interval of an mIoU; loads torch.

Pixels of one image are alike, so the bootstrap (Efron 1979) draws images: the confusion matrices of the same number of
images, drawn with replacement, are added up, and the middle 95 % of their mIoUs is the interval.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minimax_al.campaign.progress.headline import HIGH, LOW
from minimax_al.data import prepare_masks
from minimax_al.training import Evaluation, Models, evaluate
from minimax_al.training.round import Round
from minimax_al.training.segmentation_metrics import confusion_matrix

_RESAMPLES = 1000
_AT_ONCE = 64  # images whose pixels are in memory together


def measure(round_: Round, models: Models, seed: int) -> Evaluation:
    """Return `evaluate`, for masks with the ends of the 95 % interval of the mIoU.

    Args:
        round_: Round whose data set has the held-out images as test images.
        models: Models to measure.
        seed: Seed of the bootstrap.

    Raises:
        DataError: The data set has no test images, or all their pixels are void.
    """
    found = evaluate(round_, models)
    if round_.dataset.task == "classification" or len(round_.dataset.test) < 2:  # one image has no spread
        return found
    low, high = miou_interval(*_areas(round_, models), seed)
    score = found.metrics["miou"]
    return replace(found, metrics={**found.metrics, LOW: min(low, score), HIGH: max(high, score)})


def miou_interval(shared_NK: NDArray[np.int64], either_NK: NDArray[np.int64], seed: int) -> tuple[float, float]:
    """Return the 95 % interval of an mIoU by a bootstrap over images.

    Args:
        shared_NK: Pixels, per image and class, that are of the class and were taken for it.
        either_NK: Pixels that are of the class or were predicted as it.
        seed: Seed of the draws.
    """
    images = len(shared_NK)
    drawn = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), _RESAMPLES)
    shared, either = drawn @ shared_NK, drawn @ either_NK
    shown = either > 0
    ious = np.divide(shared, either, out=np.zeros(shared.shape), where=shown)
    low, high = np.quantile((ious.sum(axis=1) / np.maximum(shown.sum(axis=1), 1)), [0.025, 0.975])
    return float(low), float(high)


def _areas(round_: Round, models: Models) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, per test image and class, the pixels that truth and M share, and those that either has."""
    dataset, shared, either = round_.dataset, [], []

    def forward(x: Tensor) -> dict[str, Tensor]:
        return {"predicted": models.task_outputs(x).logits.argmax(dim=1).to(torch.uint8)}

    for indices in torch.arange(len(dataset.test)).split(_AT_ONCE):
        predicted = round_.stream(forward, indices, dataset.test)["predicted"].cpu()
        masks = prepare_masks(dataset.test_targets[indices].cpu(), round_.recipe.augmentation)
        for answer, mask in zip(predicted, masks, strict=True):
            confusion = confusion_matrix(answer, mask, dataset.num_classes)
            hits = confusion.diagonal()
            shared.append(hits)
            either.append(confusion.sum(dim=0) + confusion.sum(dim=1) - hits)
    return torch.stack(shared).numpy(), torch.stack(either).numpy()
