"""Bookkeeping of the pool: labelled images, with the round, the author and the time of each label."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minimax_al.data.indices import Indices, as_indices
from minimax_al.errors import PoolError


@dataclass(frozen=True, slots=True)
class Move:
    """Move of one image from unlabelled to labelled.

    Attributes:
        index: Index of the image in the training set.
        round: Number of the round: 0 for the first labels, then 1, 2, … for each call of `Pool.label`.
        by: Author of the label.
        at: Time of the label, with a time zone.
    """

    index: int
    round: int
    by: str
    at: datetime


class _Batch(NamedTuple):
    indices: NDArray[np.int64]
    round: int
    by: str
    at: datetime


class Pool:
    """Labelled and unlabelled images of one training set, by index.

    An index moves once, from unlabelled to labelled. Anything else is an error and leaves the pool as it was.

    Args:
        size: Number of images in the training set.
        labelled: Indices of the first labels, as round 0.
        by: Author of these labels.
        at: Time of these labels; by default now.

    Raises:
        PoolError: An index does not exist, or occurs twice.

    Example:
        >>> pool = Pool(5, labelled=[3])
        >>> pool.label([4, 0])
        >>> pool.labelled.tolist(), pool.unlabelled.tolist(), pool.round
        ([3, 4, 0], [1, 2], 1)
    """

    def __init__(self, size: int, labelled: Indices = (), by: str = "initial", at: datetime | None = None) -> None:
        if size < 1:
            raise PoolError(f"a pool of {size!r} images leaves nothing to choose: give at least one")
        self.size = size
        self._is_labelled = np.zeros(size, dtype=bool)
        self._batches: list[_Batch] = []
        self._round = 0
        first = as_indices(labelled)
        if first.size:
            self._move(first, 0, by, at)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        labelled = sum(batch.indices.size for batch in self._batches)
        return f"Pool(size={self.size}, labelled={labelled}, round={self.round})"

    @property
    def round(self) -> int:
        """Calls of `label` so far."""
        return self._round

    @property
    def labelled(self) -> Tensor:
        """(L,) int64, in the order of labelling."""
        parts = [batch.indices for batch in self._batches]
        return torch.from_numpy(np.concatenate(parts) if parts else np.empty(0, dtype=np.int64))

    @property
    def unlabelled(self) -> Tensor:
        """(U,) int64, ascending."""
        return torch.from_numpy(np.flatnonzero(~self._is_labelled))

    @property
    def history(self) -> Iterator[Move]:
        """Every move, in the order of labelling."""
        for batch in self._batches:
            for index in batch.indices.tolist():
                yield Move(index, batch.round, batch.by, batch.at)

    def label(self, indices: Indices, by: str = "oracle", at: datetime | None = None) -> None:
        """Move images from unlabelled to labelled, as one round.

        Args:
            indices: Indices of the images, shape (B,), integers.
            by: Author of the labels.
            at: Time of the labels, with a time zone; by default now.

        Raises:
            PoolError: There is no index, or one does not exist, occurs twice, or has a label already.
            ShapeError: `indices` is not one row of integers.
        """
        chosen = as_indices(indices)
        if chosen.size == 0:
            raise PoolError("no index to label was given: a round moves at least one image")
        self._move(chosen, self._round + 1, by, at)

    def state(self) -> dict[str, Any]:
        """Return the pool as plain numbers and text, ready for JSON; `from_state` reads it back."""
        moves = [
            {
                "round": batch.round,
                "by": batch.by,
                "at": batch.at.isoformat(),
                "indices": batch.indices.tolist(),
            }
            for batch in self._batches
        ]
        return {"size": self.size, "round": self._round, "moves": moves}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Pool":
        """Return the pool that `state()` described.

        Raises:
            PoolError: The state is incomplete, or breaks the pool's rules.
        """
        try:
            pool = cls(int(state["size"]))
            for move in state["moves"]:
                at = datetime.fromisoformat(move["at"])
                pool._move(as_indices(move["indices"]), int(move["round"]), str(move["by"]), at)
        except PoolError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise PoolError(
                f"the pool's saved state cannot be read ({error!r}): expected the result of Pool.state()"
            ) from error
        if pool._round != state.get("round"):
            raise PoolError(
                f"the pool's saved state has round {state.get('round')!r}, but its moves end at {pool._round}"
            )
        return pool

    def _move(self, indices: NDArray[np.int64], round_: int, by: str, at: datetime | None) -> None:
        self._check(indices)
        when = datetime.now(UTC) if at is None else at
        if when.tzinfo is None:
            raise PoolError(f"the time {when.isoformat()!r} has no time zone: pass an aware datetime")
        self._batches.append(_Batch(indices, round_, by, when))
        self._is_labelled[indices] = True
        self._round = round_

    def _check(self, indices: NDArray[np.int64]) -> None:
        outside = indices[(indices < 0) | (indices >= self.size)]
        if outside.size:
            raise PoolError(f"index {outside[0]} is not in the pool of {self.size} images (0 to {self.size - 1})")
        known = indices[self._is_labelled[indices]]
        if known.size:
            raise PoolError(f"index {known[0]} has a label already ({known.size} such): query unlabelled indices alone")
        ordered = np.sort(indices)
        doubled = ordered[1:][ordered[1:] == ordered[:-1]]
        if doubled.size:
            raise PoolError(f"index {doubled[0]} is given twice: each image moves once")
