"""Segmentation metrics, computed from one confusion matrix that is summed over batches.

A class that occurs neither in the prediction nor in the truth is left out of the mean.
"""

import torch
from torch import Tensor

from minimax_al.errors import ShapeError
from minimax_al.vocabulary import IGNORED


def confusion_matrix(predicted: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """Count the pixels per true and predicted class; matrices of several batches can be added.

    Args:
        predicted: Predicted class numbers, any shape such as (B, H, W), any integer dtype.
        targets: True class numbers, same shape; pixels with the target 255 are left out.
        num_classes: Number of classes K.

    Returns:
        (K, K) int64 on the device of `predicted`: row = true class, column = predicted class.

    Raises:
        ShapeError: The shapes differ.

    Example:
        >>> confusion_matrix(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 255]), 2).tolist()
        [[1, 1], [0, 0]]
    """
    if predicted.shape != targets.shape:
        raise ShapeError(f"predictions {tuple(predicted.shape)} and targets {tuple(targets.shape)} must agree in shape")
    counted = targets != IGNORED
    cells = targets[counted].long() * num_classes + predicted[counted].long()
    return torch.bincount(cells, minlength=num_classes**2).view(num_classes, num_classes)


def class_iou(confusion_KK: Tensor) -> list[float | None]:
    """Return the intersection over union of each class: |truth ∩ prediction| / |truth ∪ prediction|.

    Args:
        confusion_KK: Result of `confusion_matrix`, shape (K, K), int64.

    Returns:
        K fractions; None for a class that occurs neither in the truth nor in the prediction.

    Example:
        >>> class_iou(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
        [0.75, 0.8, None]
    """
    intersection = confusion_KK.diagonal()
    union = confusion_KK.sum(dim=0) + confusion_KK.sum(dim=1) - intersection
    return [shared / all_ if all_ else None for shared, all_ in zip(intersection.tolist(), union.tolist(), strict=True)]


def mean_iou(confusion_KK: Tensor) -> float:
    """Return the mean of `class_iou` over the classes that have one; NaN if no pixel was counted.

    Example:
        >>> mean_iou(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
        0.775
    """
    shown = [iou for iou in class_iou(confusion_KK) if iou is not None]
    return sum(shown) / len(shown) if shown else float("nan")


def pixel_accuracy(confusion_KK: Tensor) -> float:
    """Return the fraction of correctly classified pixels; NaN if no pixel was counted.

    Example:
        >>> pixel_accuracy(torch.tensor([[3, 1], [0, 4]]))
        0.875
    """
    pixels = int(confusion_KK.sum())
    return int(confusion_KK.diagonal().sum()) / pixels if pixels else float("nan")
