"""How good M is, and C∘F beside it, on pictures with known answers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from minimax_al.errors import DataError
from minimax_al.training.models import Models
from minimax_al.training.round import Round

HEADLINE = {"classification": "accuracy", "segmentation": "miou"}
"""The metric that a task is judged by."""


@dataclass(frozen=True)
class Evaluation:
    """What test pictures say of the models.

    Attributes:
        metrics: fractions in [0, 1], by name.
        per_class: M's accuracy on the test pictures of each class, (K,); None for a class without any.
    """

    metrics: dict[str, float]
    per_class: list[float | None]


def evaluate(round_: Round, models: Models) -> Evaluation:
    """Judge models on the dataset's test pictures.

    Returns:
        `accuracy`, `balanced_accuracy` and `calibration_error` of M, and `classifier_accuracy` of C∘F where there is
        one.

    Raises:
        DataError: there are no test pictures.
    """
    dataset = round_.dataset
    if len(dataset.test) == 0:
        raise DataError(f"{dataset.name!r} has no test pictures to evaluate on")

    def forward(x: Tensor) -> dict[str, Tensor]:
        outputs = {"task": models.task_outputs(x).logits}
        return outputs | ({"classifier": models.outputs(x).logits} if models.classifier is not None else {})

    logits = round_.stream(forward, torch.arange(len(dataset.test)), dataset.test)
    targets = dataset.test_targets.cpu()
    by_class = class_accuracies(logits["task"], targets)
    metrics = {
        "accuracy": accuracy(logits["task"], targets),
        "balanced_accuracy": sum(by_class.values()) / len(by_class),
        "calibration_error": calibration_error(logits["task"], targets),
    }
    if "classifier" in logits:
        metrics["classifier_accuracy"] = accuracy(logits["classifier"], targets)
    return Evaluation(metrics, [by_class.get(label) for label in range(dataset.num_classes)])


def accuracy(logits: Tensor, targets: Tensor) -> float:
    """Top-1 accuracy.

    Args:
        logits: (N, K).
        targets: (N,) int64.
    """
    return float((logits.argmax(dim=1) == targets).double().mean())


def class_accuracies(logits: Tensor, targets: Tensor) -> dict[int, float]:
    """Accuracy on the pictures of each class that `targets` hold, by class."""
    correct = (logits.argmax(dim=1) == targets).double()
    return {int(label): float(correct[targets == label].mean()) for label in targets.unique()}


def calibration_error(logits: Tensor, targets: Tensor, bins: int = 15) -> float:
    """Expected calibration error: |accuracy − confidence| over bins of equal width, weighted by their pictures.

    Guo et al., On Calibration of Modern Neural Networks, 2017, Eq. 3.

    Args:
        logits: (N, K).
        targets: (N,) int64.
        bins: of confidence, over [0, 1].
    """
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    bin_of = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gap = torch.zeros(bins, dtype=torch.float64)
    gap.index_add_(0, bin_of, (predicted == targets).double() - confidence)
    return float(gap.abs().sum() / len(targets))
