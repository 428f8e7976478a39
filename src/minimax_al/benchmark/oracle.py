"""Oracle of a benchmark: it knows all answers, hides them from strategies, and checks their picks."""

from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from minimax_al.data import UNKNOWN, Dataset
from minimax_al.errors import BudgetError, PoolError, ShapeError
from minimax_al.strategies import Query
from minimax_al.vocabulary import IGNORED


class Oracle:
    """Answers to a strategy's questions, read from the data set.

    Args:
        dataset: Data set of one run, with all targets.

    Attributes:
        dataset: The same data set.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    @cached_property
    def question(self) -> Dataset:
        """The data set as a strategy sees it: no training target, no test image."""
        nothing = torch.empty(0, dtype=torch.int64)
        return replace(
            self.dataset,
            train_targets=_blank(self.dataset),
            test=self.dataset.test.subset(nothing),
            test_targets=self.dataset.test_targets[:0],
        )

    def answer(self, indices: Tensor) -> Tensor:
        """Return the targets of training images, shape (n,) or (n, H, W)."""
        return self.dataset.train_targets[indices]


def _blank(dataset: Dataset) -> Tensor:
    """Return targets without information; masks share one byte, whatever their number."""
    if dataset.task == "segmentation":
        return torch.tensor(IGNORED, dtype=torch.uint8).expand(dataset.train_targets.shape)
    return torch.full_like(dataset.train_targets, UNKNOWN)


def check_picks(query: Query, unlabelled: Tensor, budget: int) -> None:
    """Refuse picks that are not `budget` distinct unlabelled images.

    Args:
        query: Answer of a strategy.
        unlabelled: Indices of the unlabelled images, shape (U,), int64.
        budget: Requested number of images.

    Raises:
        ShapeError: The picks are not one row of int64 indices.
        BudgetError: Their number differs from the budget.
        PoolError: An image is picked twice, or is not an unlabelled image.
    """
    picked = query.indices
    if picked.ndim != 1 or picked.dtype != torch.int64:
        raise ShapeError(
            f"the query returned indices of shape {tuple(picked.shape)} and {picked.dtype}; return (b,) int64"
        )
    if len(picked) != budget:
        raise BudgetError(f"the query returned {len(picked)} images, but the budget is {budget}")
    values, counts = picked.unique(return_counts=True)
    if bool((counts > 1).any()):
        raise PoolError(f"the query returned image {int(values[counts > 1][0])} twice: picks are distinct")
    outside = picked[~torch.isin(picked, unlabelled)]
    if len(outside):
        raise PoolError(f"the query returned image {int(outside[0])}, which is not an unlabelled image of the pool")
