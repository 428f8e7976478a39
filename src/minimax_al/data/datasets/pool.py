"""The pool: which images of a training set have a label, in the order of labelling."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minimax_al.data.images.indices import Indices, as_indices
from minimax_al.errors import PoolError


class Pool:
    """Labelled and unlabelled images of one training set, by index.

    An index moves once, from unlabelled to labelled. Anything else is an error and leaves the pool as it was.

    Args:
        size: Number of images in the training set.
        labelled: Indices of the first labels, as round 0.

    Raises:
        PoolError: An index does not exist, or is repeated.

    Example:
        >>> pool = Pool(5, labelled=[3])
        >>> pool.label([4, 0])
        >>> pool.labelled.tolist(), pool.unlabelled.tolist(), pool.round
        ([3, 4, 0], [1, 2], 1)
    """

    def __init__(self, size: int, labelled: Indices = ()) -> None:
        if size < 1:
            raise PoolError(f"a pool of {size!r} images leaves nothing to choose: give at least one")
        self.size = size
        self._is_labelled = np.zeros(size, dtype=bool)
        self._moves: list[NDArray[np.int64]] = []
        self._round = 0
        first = as_indices(labelled)
        if first.size:
            self._move(first)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        labelled = sum(move.size for move in self._moves)
        return f"Pool(size={self.size}, labelled={labelled}, round={self.round})"

    @property
    def round(self) -> int:
        """Number of calls of `label`."""
        return self._round

    @property
    def labelled(self) -> Tensor:
        """Indices of labelled images in the order of labelling, shape (L,) int64."""
        return torch.from_numpy(np.concatenate(self._moves) if self._moves else np.empty(0, dtype=np.int64))

    @property
    def unlabelled(self) -> Tensor:
        """Indices of unlabelled images, ascending, shape (U,) int64."""
        return torch.from_numpy(np.flatnonzero(~self._is_labelled))

    def label(self, indices: Indices) -> None:
        """Move images from unlabelled to labelled, as one round.

        Args:
            indices: Indices of unlabelled images, shape (B,) integers.

        Raises:
            PoolError: No index was given, or one does not exist, is repeated, or has a label already.
            ShapeError: The indices are not one row of integers.
        """
        chosen = as_indices(indices)
        if chosen.size == 0:
            raise PoolError("no index to label was given: a round moves at least one image")
        self._move(chosen)
        self._round += 1

    def _move(self, indices: NDArray[np.int64]) -> None:
        self._check(indices)
        self._moves.append(indices)
        self._is_labelled[indices] = True

    def _check(self, indices: NDArray[np.int64]) -> None:
        outside = indices[(indices < 0) | (indices >= self.size)]
        if outside.size:
            raise PoolError(f"index {outside[0]} is not in the pool of {self.size} images (0 to {self.size - 1})")
        known = indices[self._is_labelled[indices]]
        if known.size:
            raise PoolError(f"index {known[0]} has a label already ({known.size} such): query only unlabelled indices")
        ordered = np.sort(indices)
        doubled = ordered[1:][ordered[1:] == ordered[:-1]]
        if doubled.size:
            raise PoolError(f"index {doubled[0]} is given twice: each image moves once")
