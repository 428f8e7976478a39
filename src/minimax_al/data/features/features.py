"""Feature vectors as a data set's samples, from memory or from memory-mapped shards.

An encoder looks at every image once; learning and choosing then see one row of `d` numbers per image. A pool of a
million rows stays on disk in float16 and is read block by block.
"""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minimax_al.data.features.feature_description import FeatureDescription
from minimax_al.data.images.images import check_indices
from minimax_al.errors import DataError, ShapeError

Array = Tensor | NDArray[Any]

_BLOCK = 16_384
"""Rows that one check reads at a time."""


class Features:
    """Feature vectors of N images, shape (N, d), read when they are used.

    Indexing returns float32 tensors (float64 where the features are stored so): `features[a:b]` and
    `features[indices]` copy the rows that they name and nothing else. With `rows`, sample i is row `rows[i]` of the
    shards joined end to end; a subset is a new row index over the same shards.

    Args:
        shards: One array or several of the same width, each (n, d) of a floating dtype; NumPy arrays may be
            memory-mapped.
        rows: Row of each sample, shape (N,) int64; default all rows in order.
        names: Image names, N strings; default "00000", "00001", ….
        description: Description of the encoder that computed the vectors, where it is known.

    Attributes:
        names: Image names.
        shape: (N, d).
        description: Description of the encoder; None for vectors of unknown origin.
        known_mean: Mean vector of the pool that learning subtracts, shape (d,); None before it is computed. Callers
            that draw many data sets from one pool set it.

    Raises:
        ShapeError: A shard is not (n, d) of a floating dtype, widths differ, or the names are not N.
        DataError: A row does not exist.

    Example:
        >>> features = Features(np.eye(4, dtype=np.float16))
        >>> features.shape, features[1:3].dtype, features[torch.tensor([2])].tolist()
        ((4, 4), torch.float32, [[0.0, 0.0, 1.0, 0.0]])
    """

    def __init__(
        self,
        shards: Array | Sequence[Array],
        rows: Tensor | NDArray[np.int64] | None = None,
        names: Sequence[str] | None = None,
        description: FeatureDescription | None = None,
    ) -> None:
        self.description = description
        self._shards = [shards] if isinstance(shards, Tensor | np.ndarray) else list(shards)
        self.known_mean: Tensor | None = None
        width = _common_width(self._shards)
        self._starts = np.cumsum([0, *(len(shard) for shard in self._shards)])
        stored = int(self._starts[-1])
        self._rows = None if rows is None else check_indices(torch.as_tensor(rows), stored).numpy()
        self.shape = (stored if self._rows is None else len(self._rows), width)
        if names is not None and len(names) != self.shape[0]:
            raise ShapeError(f"{len(names)} names for {self.shape[0]} feature vectors: give one name per vector")
        self.names: Sequence[str] = _Numbers(self.shape[0]) if names is None else names

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Features(shape={self.shape}, shards={len(self._shards)})"

    def __getitem__(self, which: slice | Tensor) -> Tensor:
        """Return the rows of a slice or of a (B,) int64 tensor, (B, d)."""
        if isinstance(which, slice):
            start, stop, step = which.indices(len(self))
            if self._rows is None and step == 1:
                return self._between(start, max(start, stop))
            positions = np.arange(start, stop, step)
        else:
            positions = check_indices(which.cpu(), len(self)).numpy()
        return self._gather(positions if self._rows is None else self._rows[positions])

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the tensors that indexing returns."""
        wide = any(str(shard.dtype).endswith("float64") for shard in self._shards)
        return torch.float64 if wide else torch.float32

    def subset(self, indices: Tensor | Sequence[int]) -> "Features":
        """Return the features at `indices`, in that order; nothing is copied."""
        chosen = check_indices(indices, len(self)).cpu().numpy()
        rows = chosen if self._rows is None else self._rows[chosen]
        return Features(self._shards, rows, _Chosen(self.names, chosen), self.description)

    def to(self, device: torch.device | str) -> "Features":  # noqa: ARG002 - batches move, the pool does not
        """Return these features: the pool stays in host memory or on disk, and batches are sent to the device."""
        return self

    def stream(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield one (B, d) tensor for each (B,) int64 tensor of indices, in order."""
        for batch in batches:
            yield self[batch]

    def check(self) -> None:
        """Refuse vectors that nothing can be learnt from.

        Raises:
            DataError: A vector has NaN, an infinite value, or zeros alone; names the image.
        """
        for start in range(0, len(self), _BLOCK):
            block = self[start : start + _BLOCK]
            finite = block.isfinite().all(dim=1)
            bad = (~finite | (block == 0).all(dim=1)).nonzero().flatten()
            if len(bad):
                first = int(bad[0])
                fault = "zeros alone" if bool(finite[first]) else "NaN or an infinite value"
                name = self.names[start + first]
                raise DataError(f"the feature vector of {name!r} has {fault}: compute it again or leave the image out")

    def _between(self, start: int, stop: int) -> Tensor:
        """Rows start to stop of the joined shards."""
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        parts = []
        for shard, offset in zip(self._shards[first:], self._starts[first:].tolist(), strict=False):
            if offset >= stop:
                break
            parts.append(self._as_tensor(shard[max(start - offset, 0) : stop - offset]))
        if not parts:
            return torch.empty(0, self.shape[1], dtype=self.dtype)
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _gather(self, rows: NDArray[np.int64]) -> Tensor:
        """Rows of the joined shards, in the order given."""
        if len(self._shards) == 1:
            return self._as_tensor(self._shards[0][rows])
        gathered = torch.empty(len(rows), self.shape[1], dtype=self.dtype)
        shard_of = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(shard_of).tolist():
            here = np.flatnonzero(shard_of == number)
            gathered[here] = self._as_tensor(self._shards[number][rows[here] - self._starts[number]])
        return gathered

    def _as_tensor(self, values: Array) -> Tensor:
        # A read-only map must be copied before torch sees it; float16 is copied by the conversion itself.
        if isinstance(values, np.ndarray):
            dtype = np.float64 if self.dtype == torch.float64 else np.float32
            return torch.from_numpy(np.array(values, dtype=dtype, order="C"))
        return values.detach().to("cpu", self.dtype, copy=True)


class _Numbers(Sequence[str]):
    """Names "00000", "00001", …, made when they are read."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        number = range(self._count)[index]
        return f"{number:05d}" if isinstance(number, int) else [f"{each:05d}" for each in number]


class _Chosen(Sequence[str]):
    """Names of a subset, looked up when they are read."""

    def __init__(self, names: Sequence[str], chosen: NDArray[np.int64]) -> None:
        self._names = names
        self._chosen = chosen

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        chosen = self._chosen[index]
        if isinstance(index, slice):
            return [self._names[int(each)] for each in chosen]
        return self._names[int(chosen)]


def _common_width(shards: Sequence[Array]) -> int:
    if not shards:
        raise ShapeError("features need at least one array (n, d): none was given")
    for shard in shards:
        floating = shard.is_floating_point() if isinstance(shard, Tensor) else np.issubdtype(shard.dtype, np.floating)
        if shard.ndim != 2 or not floating or shard.shape[1] == 0:
            raise ShapeError(f"features must be (n, d) of a floating dtype, not {tuple(shard.shape)} {shard.dtype}")
    widths = sorted({int(shard.shape[1]) for shard in shards})
    if len(widths) > 1:
        raise ShapeError(f"features of {widths[0]} and of {widths[1]} numbers cannot be one pool: use one encoder")
    return widths[0]
