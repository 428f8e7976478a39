"""Batches of an epoch, and the part of each rank."""

from typing import NamedTuple

import torch
from torch import Tensor

from minimax_al.errors import ConfigurationError, DataError, ShapeError


class Part(NamedTuple):
    """Part of one rank in a sequence that several ranks share.

    Attributes:
        start: Position of its first element.
        stop: Position after its last element.
        whole: Length of the whole sequence.
    """

    start: int
    stop: int
    whole: int

    def of(self, values: Tensor) -> Tensor:
        """Return the part of a tensor, along its first dimension."""
        return values[self.start : self.stop]


def part_of(length: int, rank: int, ranks: int) -> Part:
    """Return a rank's part of `length` items.

    Parts are contiguous, in rank order, and differ in size by at most one.

    Example:
        >>> [tuple(part_of(5, rank, 2)) for rank in range(2)]
        [(0, 3, 5), (3, 5, 5)]
    """
    size, more = divmod(length, ranks)
    start = rank * size + min(rank, more)
    return Part(start, start + size + (rank < more), length)


def epoch_batches(indices: Tensor, batch_size: int, steps: int, generator: torch.Generator) -> list[Tensor]:
    """Return the batches of one epoch: passes over `indices`, each in a new random order, in equal batches.

    No index repeats within one pass. A batch that reaches the end of a pass continues into the next one, so that a
    small labelled set cycles while a large unlabelled one is read once.

    Args:
        indices: Indices to draw from, shape (N,), int64.
        batch_size: Number of images in a batch; N where N is smaller.
        steps: Number of batches.
        generator: CPU generator of the draws.

    Returns:
        `steps` tensors of shape (min(batch_size, N),) int64.

    Raises:
        ConfigurationError: `batch_size` or `steps` is below 1.
        DataError: `indices` is empty, or a batch would have one image, on which batch norm cannot train.

    Example:
        >>> batches = epoch_batches(torch.arange(5), 2, 3, torch.Generator().manual_seed(0))
        >>> [len(batch) for batch in batches], torch.cat(batches)[:5].sort().values.tolist()
        ([2, 2, 2], [0, 1, 2, 3, 4])
    """
    size = _batch_size(indices, batch_size, steps)
    passes = -(-size * steps // len(indices))
    order = torch.cat([torch.randperm(len(indices), generator=generator) for _ in range(passes)])
    return list(torch.split(indices[order[: size * steps]], size))


def _batch_size(indices: Tensor, batch_size: int, steps: int) -> int:
    if indices.ndim != 1 or indices.dtype != torch.int64:
        raise ShapeError(f"indices must be (N,) int64, not {tuple(indices.shape)} {indices.dtype}")
    if batch_size < 1 or steps < 1:
        raise ConfigurationError(f"batch_size={batch_size!r} and steps={steps!r} must both be at least 1")
    if len(indices) == 0:
        raise DataError("batches need at least one image: label some, or leave some unlabelled")
    size = min(batch_size, len(indices))
    if size == 1:
        cause = "there is only one image" if len(indices) == 1 else f"batch_size={batch_size!r}"
        raise DataError(f"a batch of one image cannot train batch norm ({cause}): it takes at least two")
    return size
