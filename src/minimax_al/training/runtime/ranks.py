"""Ranks of a distributed run (one process per device) and the collectives between them.

Every rank draws the same random numbers and then processes its part of each batch. The loss is the mean over the whole
batch and has the same value on every rank; its gradient is the mean of the ranks' gradients. A run on two ranks
therefore equals a run on one rank up to rounding.

A run of one process has one rank, and its collectives cost nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor, distributed, nn

from minimax_al.data import Part, part_of
from minimax_al.errors import MinimaxALError

ResultT = TypeVar("ResultT")


class Mean(Protocol):
    """Function that averages the values of a batch to one loss."""

    def __call__(self, values: Tensor, counted: Tensor | None = None) -> Tensor:
        """Return the mean of the values, or of the counted ones; 0 over no value.

        Args:
            values: Values of any shape; 0 wherever `counted` is False.
            counted: Mask of the values to average, bool, same shape; default all.
        """


@dataclass(frozen=True)
class Ranks:
    """This process's rank in a distributed run. Every method except `part` is a collective.

    Attributes:
        rank: Rank of this process, from 0; rank 0 writes and prints.
        world_size: Number of processes.

    Example:
        >>> Ranks().mean(torch.tensor([1.0, 2.0, 6.0]))
        tensor(3.)
        >>> [Ranks(rank, 2).part(5) for rank in range(2)]
        [Part(start=0, stop=3, whole=5), Part(start=3, stop=5, whole=5)]
    """

    rank: int = 0
    world_size: int = 1

    @property
    def group(self) -> distributed.ProcessGroup | None:
        """Process group of all ranks; None for a single rank."""
        return distributed.group.WORLD if self.world_size > 1 else None

    def part(self, length: int) -> Part:
        """Return this rank's part of `length` elements."""
        return part_of(length, self.rank, self.world_size)

    def mean(self, values: Tensor, counted: Tensor | None = None) -> Tensor:
        """Return the differentiable mean over the values of all ranks, 0 over no value; see `Mean`.

        Args:
            values: This rank's values, of any shape; may be empty.
            counted: Mask of the values to average, bool, same shape; default all.
        """
        if self.world_size == 1 and counted is None and values.numel():
            return values.mean()
        count = values.new_full((), values.numel()) if counted is None else counted.sum().to(values.dtype)
        total, count = sum_over_ranks(torch.stack([values.sum(), count])) if self.group else (values.sum(), count)
        return total / count.detach().clamp(min=1)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over all ranks, in one collective."""
        if self.world_size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if not gradients:
            return
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.world_size
        for gradient, values in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(values.view(gradient.shape))

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of all ranks' tensors, which have one shape."""
        if self.world_size == 1:
            return values
        values = values.clone()
        distributed.all_reduce(values)
        return values

    def share(self, value: ResultT) -> list[ResultT]:
        """Return the values of all ranks, in rank order."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        distributed.all_gather_object(values, value)
        return cast("list[ResultT]", values)

    def together(self, work: Callable[[], ResultT]) -> ResultT:
        """Run each rank's own work; if one rank raises a `MinimaxALError`, every rank raises it.

        Otherwise the other ranks would wait for the failed one at their next collective.
        """
        if self.world_size == 1:
            return work()
        result, error = None, None
        try:
            result = work()
        except MinimaxALError as own:
            error = own
        for found in self.share(error):
            if found is not None:
                raise error or found
        return cast("ResultT", result)

    def concatenate(self, rows: Mapping[str, Tensor], stays: Sequence[str] = ()) -> dict[str, Tensor]:
        """Return the rows of all ranks, concatenated in rank order, on every rank.

        Args:
            rows: Tensors by name, shape (n, …), where n may differ between ranks; a rank without rows may omit names.
            stays: Names of tensors that are not exchanged: their result has this rank's rows only.
        """
        if self.world_size == 1:
            return dict(rows)
        shapes = self.share({name: (values.shape, values.dtype, values.device.type) for name, values in rows.items()})
        result = {}
        kinds = {name: kind for known in shapes for name, kind in known.items()}
        for name, (shape, dtype, device_type) in kinds.items():
            nothing = torch.empty((0, *shape[1:]), dtype=dtype, device=_own_device(device_type))
            own = rows.get(name, nothing).contiguous()
            lengths = [known[name][0][0] if name in known else 0 for known in shapes]
            result[name] = own if name in stays else self._concatenate(own, lengths)
        return result

    def _concatenate(self, own: Tensor, lengths: Sequence[int]) -> Tensor:
        parts = [own if rank == self.rank else own.new_empty((n, *own.shape[1:])) for rank, n in enumerate(lengths)]
        for rank, part in enumerate(parts):
            distributed.broadcast(part, src=rank)
        return torch.cat(parts)


ALONE = Ranks()
"""Rank of a run of a single process."""


def sum_over_ranks(values: Tensor) -> Tensor:
    """Return the sum of all ranks' tensors; its gradient is the sum of all ranks' gradients."""
    summed: Tensor = _SumOverRanks.apply(values)
    return summed


class _SumOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: object, values: Tensor) -> Tensor:
        values = values.clone()
        distributed.all_reduce(values)
        return values

    @staticmethod
    def backward(_ctx: object, *grad_outputs: Tensor) -> Tensor:
        gradient = grad_outputs[0].contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient


def _own_device(device_type: str) -> torch.device:
    index = torch.cuda.current_device() if device_type == "cuda" else None
    return torch.device(device_type, index) if index is not None else torch.device(device_type)
