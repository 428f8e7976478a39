"""Stratified cross-validation that chooses among a few settings of a head."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

CandidateT = TypeVar("CandidateT")
LogitsOf = Callable[[CandidateT, Tensor, Tensor], Tensor]
"""(candidate, training positions, validation positions) → logits of the validation labels, (V, K)."""

MINIMUM = 10
"""Smallest number of labels that are ever held out; with fewer a choice would be chance."""


def stratified_folds(targets: Tensor, folds: int, generator: torch.Generator) -> Tensor:
    """Deal labels to folds so that the labels of each class are spread evenly.

    Args:
        targets: Classes, shape (L,) int64.
        folds: Number of folds.
        generator: CPU generator of the order within a class.

    Returns:
        Fold of each label, shape (L,) int64; −1 for the only label of a class, which every fold trains on.

    Example:
        >>> stratified_folds(torch.tensor([0, 0, 1]), 2, torch.Generator().manual_seed(0)).sort().values.tolist()
        [-1, 0, 1]
    """
    order = torch.randperm(len(targets), generator=generator)
    order = order[targets[order].argsort(stable=True)]
    fold = torch.empty(len(targets), dtype=torch.int64)
    # Dealing on from class to class keeps folds equal in size where classes have few labels.
    fold[order] = torch.arange(len(targets)) % folds
    fold[torch.bincount(targets)[targets] == 1] = -1
    return fold


def choose(
    candidates: Sequence[CandidateT],
    logits_of: LogitsOf[CandidateT],
    targets: Tensor,
    folds: int,
    generator: torch.Generator,
) -> CandidateT:
    """Return the candidate of the smallest cross-validated log loss; of equal ones the first.

    Validation labels whose class has no training label in their fold are not counted. Where fewer than `MINIMUM` labels
    can be held out the middle candidate is returned.

    Args:
        candidates: Settings to choose from, at least one.
        logits_of: Function that trains a candidate on some labels and returns logits of others.
        targets: Classes, shape (L,) int64.
        folds: Number of folds.
        generator: CPU generator of the folds.
    """
    if len(candidates) == 1:
        return candidates[0]
    fold = stratified_folds(targets, folds, generator)
    if int((fold >= 0).sum()) < MINIMUM:
        return candidates[(len(candidates) - 1) // 2]
    splits = [((fold != each).nonzero().flatten(), (fold == each).nonzero().flatten()) for each in range(folds)]
    splits = [(train, held) for train, held in splits if len(held)]

    def loss(candidate: CandidateT) -> float:
        total, count = 0.0, 0
        for train, held in splits:
            known = held[torch.isin(targets[held], targets[train])]
            if len(known):
                total += float(
                    F.cross_entropy(logits_of(candidate, train, known).double(), targets[known]) * len(known)
                )
                count += len(known)
        return total / count if count else math.inf

    losses = [loss(candidate) for candidate in candidates]
    return candidates[losses.index(min(losses))]
