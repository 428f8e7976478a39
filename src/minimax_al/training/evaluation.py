"""Evaluation of M, and of C∘F, on test images."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from minimax_al.data import prepare_masks
from minimax_al.errors import DataError
from minimax_al.training.models import Models
from minimax_al.training.round import Round
from minimax_al.training.segmentation_metrics import class_iou, confusion_matrix, mean_iou, pixel_accuracy
from minimax_al.vocabulary import IGNORED

HEADLINE = {"classification": "accuracy", "segmentation": "miou"}
"""Headline metric of each task."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of the models on the test images.

    Attributes:
        metrics: Metrics by name, fractions in [0, 1].
        per_class: Accuracy of M on the test images of each class, (K,), None for a class without any; in
            segmentation the intersection over union, None for a class that neither M nor the truth shows.
        predictions: `target` and `predicted`, shape (N,) int64, and M's `confidence`, shape (N,), on the test images;
            empty in segmentation.
    """

    metrics: dict[str, float]
    per_class: list[float | None]
    predictions: dict[str, Tensor] = field(default_factory=dict, compare=False)


def evaluate(round_: Round, models: Models) -> Evaluation:
    """Evaluate models on the data set's test images.

    Returns:
        In classification `accuracy`, `balanced_accuracy` and `calibration_error` of M, and `classifier_accuracy` of C∘F
        where there is one; in segmentation `miou`, `pixel_accuracy` and `classifier_miou`.

    Raises:
        DataError: The data set has no test images, or all their pixels are void.
    """
    if len(round_.dataset.test) == 0:
        raise DataError(f"{round_.dataset.name!r} has no test images to evaluate on")
    return _evaluate_pixels(round_, models) if round_.dataset.task == "segmentation" else _evaluate(round_, models)


def _evaluate(round_: Round, models: Models) -> Evaluation:
    dataset = round_.dataset
    logits = round_.stream(lambda x: _logits(models, x), torch.arange(len(dataset.test)), dataset.test)
    targets = dataset.test_targets.cpu()
    metrics, per_class = classification_metrics(logits["task"], targets, dataset.num_classes)
    if "classifier" in logits:
        metrics["classifier_accuracy"] = accuracy(logits["classifier"], targets)
    confidence, predicted = logits["task"].softmax(dim=1).max(dim=1)
    predictions = {"target": targets, "predicted": predicted, "confidence": confidence}
    return Evaluation(metrics, per_class, predictions)


def _evaluate_pixels(round_: Round, models: Models) -> Evaluation:
    """Evaluate by one confusion matrix per network, added up over batches and ranks, without keeping logits."""
    dataset, size, ranks = round_.dataset, round_.recipe.scoring_batch_size, round_.runtime.ranks
    if not bool((dataset.test_targets != IGNORED).any()):
        raise DataError(f"all pixels of the test masks of {dataset.name!r} are void: there is nothing to evaluate on")
    here = torch.arange(len(dataset.test))[round_.shown_here(len(dataset.test))]
    nothing = torch.zeros(dataset.num_classes, dataset.num_classes, dtype=torch.int64, device=round_.runtime.device)
    confusions = {"task": nothing} if models.classifier is None else {"task": nothing, "classifier": nothing}
    with torch.inference_mode():  # fp32, whatever the precision of training
        batches = here.split(size) if len(here) else ()
        for batch, x in zip(batches, round_.feed.plain(dataset.test, here, size), strict=True):
            masks = round_.runtime.send(prepare_masks(dataset.test_targets[batch], round_.recipe.augmentation))
            for name, logits in _logits(models, x).items():
                predicted = logits.argmax(dim=1)
                confusions[name] = confusions[name] + confusion_matrix(predicted, masks, dataset.num_classes)
    confusions = {name: ranks.sum(confusion) for name, confusion in confusions.items()}
    metrics = {"miou": mean_iou(confusions["task"]), "pixel_accuracy": pixel_accuracy(confusions["task"])}
    if "classifier" in confusions:
        metrics["classifier_miou"] = mean_iou(confusions["classifier"])
    return Evaluation(metrics, class_iou(confusions["task"]))


def _logits(models: Models, x: Tensor) -> dict[str, Tensor]:
    logits = {"task": models.task_outputs(x).logits}
    return logits | ({"classifier": models.outputs(x).logits} if models.classifier is not None else {})


def classification_metrics(
    logits: Tensor, targets: Tensor, classes: int
) -> tuple[dict[str, float], list[float | None]]:
    """Return accuracy, balanced accuracy and calibration error by name, and the accuracy of each class.

    Args:
        logits: Logits, shape (N, K), N > 0.
        targets: Classes, shape (N,) int64.
        classes: Number of classes K.
    """
    by_class = class_accuracies(logits, targets)
    metrics = {
        "accuracy": accuracy(logits, targets),
        "balanced_accuracy": sum(by_class.values()) / len(by_class),
        "calibration_error": calibration_error(logits, targets),
    }
    return metrics, [by_class.get(label) for label in range(classes)]


def accuracy(logits: Tensor, targets: Tensor) -> float:
    """Return the top-1 accuracy.

    Args:
        logits: Logits, shape (N, K).
        targets: Classes, shape (N,) int64.
    """
    return float((logits.argmax(dim=1) == targets).double().mean())


def class_accuracies(logits: Tensor, targets: Tensor) -> dict[int, float]:
    """Return the accuracy on the images of each class that occurs in `targets`, by class."""
    correct = (logits.argmax(dim=1) == targets).double()
    return {int(label): float(correct[targets == label].mean()) for label in targets.unique()}


def calibration_error(logits: Tensor, targets: Tensor, bins: int = 15) -> float:
    """Return the expected calibration error: |accuracy − confidence| over bins of equal width, weighted by size.

    Guo et al., On Calibration of Modern Neural Networks, 2017, Eq. 3.

    Args:
        logits: Logits, shape (N, K).
        targets: Classes, shape (N,) int64.
        bins: Number of bins of confidence over [0, 1].
    """
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    # Bin k holds confidences in (k / bins, (k + 1) / bins], as in the paper.
    bin_of = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gap = torch.zeros(bins, dtype=torch.float64)
    gap.index_add_(0, bin_of, (predicted == targets).double() - confidence)
    # |Σ (correct − confidence)| of a bin is its size times |accuracy − confidence|.
    return float(gap.abs().sum() / len(targets))
