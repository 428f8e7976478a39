"""Ranks: the processes, one a device, that share one run, and what they tell one another.

Everything random is drawn alike on every rank; each rank then takes its part. A loss is the mean over the whole
batch, known to every rank, and its gradient is the mean of the ranks' gradients. So two ranks equal one up to rounding.

A run of one process has one rank, which tells nobody anything and pays nothing.
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
    """How the values of a batch become one loss."""

    def __call__(self, values: Tensor, counted: Tensor | None = None) -> Tensor:
        """The mean of values of any shape; with `counted`, values that are not counted must be 0."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that share the run; every method but `part` is a meeting of all of them.

    Attributes:
        rank: of this process, from 0; rank 0 writes and prints.
        world_size: how many processes there are.

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
        """The process group of all ranks; None for one rank alone."""
        return distributed.group.WORLD if self.world_size > 1 else None

    def part(self, length: int) -> Part:
        """This rank's part of `length` things."""
        return part_of(length, self.rank, self.world_size)

    def mean(self, values: Tensor, counted: Tensor | None = None) -> Tensor:
        """The mean over all ranks' values, differentiable; see `Mean`.

        Args:
            values: this rank's, of any shape; may be none.
            counted: bool of the same shape; default all.
        """
        if self.world_size == 1 and counted is None:
            return values.mean()
        count = values.new_full((), values.numel()) if counted is None else counted.sum().to(values.dtype)
        total, count = sum_over_ranks(torch.stack([values.sum(), count])) if self.group else (values.sum(), count)
        return total / count.detach().clamp(min=1)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every rank the mean of all ranks' gradients, in one message."""
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
        """The sum of all ranks' tensors of one shape."""
        if self.world_size == 1:
            return values
        values = values.clone()
        distributed.all_reduce(values)
        return values

    def share(self, value: ResultT) -> list[ResultT]:
        """All ranks' values, in rank order."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        distributed.all_gather_object(values, value)
        return cast("list[ResultT]", values)

    def together(self, work: Callable[[], ResultT]) -> ResultT:
        """Do each rank's own work; an error of the family that one rank raises is raised by all.

        Otherwise the others would wait for it at their next meeting.
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
        """All ranks' rows, one rank after the other, on every rank.

        Args:
            rows: tensors by name, (n, …) with an n of the rank's own; a rank without rows may leave names out.
            stays: names that stay where they are, and stand for this rank's rows alone.
        """
        if self.world_size == 1:
            return dict(rows)
        shapes = self.share({name: (values.shape, values.dtype, values.device.type) for name, values in rows.items()})
        result = {}
        for name, (shape, dtype, device_type) in {
            key: value for known in shapes for key, value in known.items()
        }.items():
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
"""One process that shares its run with no other."""


def sum_over_ranks(values: Tensor) -> Tensor:
    """The sum of all ranks' tensors; the gradient that comes back is the sum of all ranks' gradients."""
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
