"""Out-of-fold predictions: every label is predicted by a model that was not trained on it (cross-validation).

Where a fit costs a second, this measures a model on all labels without holding any of them out.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from minimax_al.training.evaluation import Evaluation, classification_metrics
from minimax_al.training.heads.cross_validation import stratified_folds
from minimax_al.training.models import Models
from minimax_al.training.round import Round

FOLDS = 5

ResultT = TypeVar("ResultT")

Fit = Callable[[Round], Models]
"""Training of a round's models on the labels of the round."""


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of labels by models that were not trained on them.

    Attributes:
        positions: Positions of the predicted labels among the round's labels, ascending, shape (V,) int64. The only
            label of a class is not predicted: no model could know its class.
        logits: Logits, shape (V, K) float32.
        targets: Labels, shape (V,) int64.
    """

    positions: Tensor
    logits: Tensor
    targets: Tensor

    def evaluation(self, classes: int) -> Evaluation:
        """Return accuracy, balanced accuracy and calibration error, and the accuracy of each class.

        Args:
            classes: Number of classes K.
        """
        if len(self.positions) == 0:
            return Evaluation({}, [])
        return Evaluation(*classification_metrics(self.logits, self.targets, classes))


def fold_of_labels(round_: Round, groups: Tensor, folds: int = FOLDS) -> Tensor:
    """Deal the round's labels to folds: stratified, copies of one image in one fold.

    Args:
        round_: Round with labels.
        groups: Group of each label, shape (L,) int64; labels of one group are copies of one image.
        folds: Number of folds.

    Returns:
        Fold of each label, shape (L,) int64; −1 where a label is the only one of its class.
    """
    targets = round_.targets[round_.labelled].long()
    _, group_of = groups.unique(return_inverse=True)
    # The first label of each group represents it: written backwards, the first one is what remains.
    first = torch.full((int(group_of.max()) + 1,), -1, dtype=torch.int64)
    for position in range(len(groups) - 1, -1, -1):
        first[group_of[position]] = position
    fold = stratified_folds(targets[first], folds, round_.generator("out of fold"))
    return fold[group_of]


def out_of_fold(round_: Round, fit: Fit, fold: Tensor, *, labels: int | None = None) -> OutOfFold:
    """Predict every label by models that were trained on the other folds.

    Args:
        round_: Round with labels.
        fit: Training of a round's models.
        fold: Fold of each label, as `fold_of_labels` returns it.
        labels: Number of labels that may be trained on, the earliest ones; default all. Fewer give an earlier point
            of the learning curve, measured on the same labels.

    Returns:
        Predictions of all labels that have a fold.
    """
    return finish(out_of_fold_steps(round_, fit, fold, labels=labels))


def finish(steps: Generator[None, None, ResultT]) -> ResultT:
    """Run all steps of a computation, and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: ResultT = end.value
            return result


def out_of_fold_steps(
    round_: Round, fit: Fit, fold: Tensor, *, labels: int | None = None
) -> Generator[None, None, OutOfFold]:
    """Predict as `out_of_fold`, and yield after each fold, so that a caller can do other work in between."""
    allowed = torch.arange(len(fold)) < (len(fold) if labels is None else labels)
    logits = torch.empty(len(fold), round_.dataset.num_classes)
    predicted = torch.zeros(len(fold), dtype=torch.bool)
    for number in range(int(fold.max()) + 1):
        held, trained_on = (fold == number).nonzero().flatten(), ((fold != number) & allowed).nonzero().flatten()
        # A fold without labels, or a training set of one class, predicts nothing.
        if len(held) == 0 or len(round_.targets[round_.labelled[trained_on]].unique()) < 2:
            continue
        # Weights of an earlier round have learnt from the held labels.
        part = replace(round_, labelled=round_.labelled[trained_on], previous={}, folder=None, progress=None, log=None)
        models = fit(part)
        logits[held] = _task_logits(round_, models, round_.labelled[held])
        predicted[held] = True
        yield
    positions = predicted.nonzero().flatten()
    return OutOfFold(positions, logits[positions], round_.targets[round_.labelled[positions]].long())


def _task_logits(round_: Round, models: Models, indices: Tensor) -> Tensor:
    return round_.stream(lambda x: {"task": models.task_outputs(x).logits}, indices)["task"].float()
