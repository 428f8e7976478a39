"""How good M is, and C∘F beside it, on pictures with known answers."""

import torch
from torch import Tensor

from minimax_al.training.models import Models
from minimax_al.training.round import Round


def evaluate(round_: Round, models: Models) -> dict[str, float]:
    """Metrics on the dataset's test pictures, as fractions in [0, 1].

    Returns:
        `accuracy`, `balanced_accuracy` and `calibration_error` of M; `classifier_accuracy` of C∘F where there is one.
    """
    dataset = round_.dataset
    indices = torch.arange(len(dataset.test))

    def forward(x: Tensor) -> dict[str, Tensor]:
        outputs = {"task": models.task_outputs(x).logits}
        return outputs | ({"classifier": models.outputs(x).logits} if models.classifier is not None else {})

    logits = round_.stream(forward, indices, dataset.test)
    targets = dataset.test_targets.cpu()
    metrics = {
        "accuracy": accuracy(logits["task"], targets),
        "balanced_accuracy": balanced_accuracy(logits["task"], targets),
        "calibration_error": calibration_error(logits["task"], targets),
    }
    if "classifier" in logits:
        metrics["classifier_accuracy"] = accuracy(logits["classifier"], targets)
    return metrics


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


def balanced_accuracy(logits: Tensor, targets: Tensor) -> float:
    """Mean of the accuracies of the classes that `targets` hold."""
    per_class = class_accuracies(logits, targets)
    return sum(per_class.values()) / len(per_class)


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
