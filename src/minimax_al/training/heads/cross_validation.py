"""Stratified cross-validation that chooses among a few settings of a head."""

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

    Where fewer than `MINIMUM` labels can be held out the middle candidate is returned.

    Args:
        candidates: Settings to choose from, at least one.
        logits_of: Function that trains a candidate on some labels and returns logits of others.
        targets: Classes, shape (L,) int64.
        folds: Number of folds.
        generator: CPU generator of the folds.
    """
    if len(candidates) == 1:
        return candidates[0]
    losses = held_out_losses(candidates, logits_of, targets, folds, generator)
    return candidates[(len(candidates) - 1) // 2] if losses is None else candidates[least(losses)]


def held_out_losses(
    candidates: Sequence[CandidateT],
    logits_of: LogitsOf[CandidateT],
    targets: Tensor,
    folds: int,
    generator: torch.Generator,
) -> Tensor | None:
    """Return the log loss of every candidate on labels that it was not trained on.

    Validation labels whose class has no training label in their fold are left out.

    Args:
        candidates: Settings to compare.
        logits_of: Function that trains a candidate on some labels and returns logits of others.
        targets: Classes, shape (L,) int64.
        folds: Number of folds.
        generator: CPU generator of the folds.

    Returns:
        Losses, shape (candidates, V) float64, where column j of every row is the same label; None where fewer than
        `MINIMUM` labels can be held out.
    """
    fold = stratified_folds(targets, folds, generator)
    if int((fold >= 0).sum()) < MINIMUM:
        return None
    losses: list[list[Tensor]] = [[] for _ in candidates]
    for each in range(folds):
        train, held = (fold != each).nonzero().flatten(), (fold == each).nonzero().flatten()
        known = held[torch.isin(targets[held], targets[train])]
        if len(known) == 0:
            continue
        for row, candidate in zip(losses, candidates, strict=True):
            logits = logits_of(candidate, train, known).double()
            row.append(F.cross_entropy(logits, targets[known], reduction="none"))
    return torch.stack([torch.cat(row) for row in losses]) if losses[0] else None


def least(losses: Tensor) -> int:
    """Return the row (candidates, V) of the smallest mean; of equal ones the first."""
    means = losses.mean(dim=1).tolist()
    return int(means.index(min(means)))


def least_beyond_doubt(losses: Tensor) -> int:
    """Return the row of the smallest mean if it is better than the first row by more than one standard error, else 0.

    Args:
        losses: Losses of candidates on the same labels, shape (candidates, V) with V at least 2.

    Example:
        >>> (
        ...     least_beyond_doubt(torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.6, 1.0]])),
        ...     least_beyond_doubt(torch.tensor([[1.0, 1.0, 1.0], [0.5, 0.4, 0.9]])),
        ... )
        (0, 1)
    """
    best = least(losses)
    gains = losses[0] - losses[best]  # paired: both candidates predict the same labels
    standard_error = gains.std() / len(gains) ** 0.5
    return best if float(gains.mean()) > float(standard_error) else 0
