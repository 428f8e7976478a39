"""Feature rows behind one small interface: tensors, arrays, and pools that stay on disk.

Choosing on features reads the pool by blocks. A block is converted to float32 when it is read, so a pool in float16 on
disk is never in memory as a whole.
"""

from collections.abc import Iterator
from typing import Protocol, TypeAlias, cast

import torch
from torch import Tensor

from minimax_al.acquisition.checks import Array, as_dimensions, check_finite
from minimax_al.errors import ShapeError

BLOCK_ROWS = 4096
"""Rows per block of a matrix product."""


class Rows(Protocol):
    """Matrix of N rows and d columns that is read by slices and by index tensors."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (N, d)."""

    def __len__(self) -> int:
        """Return N."""

    def __getitem__(self, which: slice | Tensor, /) -> Tensor:
        """Return the rows of a slice or of an int64 index tensor, (n, d)."""


FeatureMatrix: TypeAlias = Array | Rows
"""Feature matrix that acquisition functions accept."""


def as_rows(features: FeatureMatrix, name: str = "features", dimensions: str = "ND") -> Rows:
    """Return features as rows, without a copy where that is possible.

    Args:
        features: Feature matrix, shape (N, d), any real dtype.
        name: Subject of an error's sentence.
        dimensions: Letters of the two dimensions, for an error's sentence.

    Raises:
        ShapeError: The features are not a matrix with at least one column.
    """
    # Whatever converts itself to an array (NumPy, pandas) is an array; the rest must be read row by row.
    if isinstance(features, Tensor) or hasattr(features, "__array__") or not hasattr(features, "shape"):
        return cast("Rows", as_dimensions(cast("Array", features), dimensions, name))
    shape = tuple(features.shape)
    if len(shape) != 2 or shape[1] == 0:
        raise ShapeError(f"{name} must have the shape ({', '.join(dimensions)}), not {shape}")
    return cast("Rows", features)


def device_of(rows: Rows) -> torch.device:
    """Return the device on which blocks arrive; the CPU for rows that do not name one."""
    device = getattr(rows, "device", None)
    return device if isinstance(device, torch.device) else torch.device("cpu")


def dtype_of(rows: Rows) -> torch.dtype:
    """Return the dtype in which blocks are read; float32 for a matrix without rows."""
    if isinstance(rows, Tensor):
        return rows.dtype
    return rows[:1].dtype if len(rows) else torch.float32


def spans(count: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size` that cover 0 … count."""
    return (slice(begin, min(begin + size, count)) for begin in range(0, count, size))


def check_same_width(rows: Rows, labelled: Rows) -> None:
    """Refuse labelled images whose features have another width than the pool's.

    Raises:
        ShapeError: The widths differ.
    """
    if labelled.shape[1] != rows.shape[1]:
        widths = labelled.shape[1], rows.shape[1]
        raise ShapeError(f"labelled images have {widths[0]} features each, the pool has {widths[1]}")


def check_finite_rows(rows: Rows, name: str = "features") -> None:
    """Refuse rows with NaN or infinite values; reads all rows once.

    Raises:
        NonFiniteScoreError: The positions of the first such rows.
    """
    if isinstance(rows, Tensor):
        check_finite(rows, name)
        return
    finite = torch.cat([rows[span].isfinite().all(dim=1) for span in spans(len(rows), BLOCK_ROWS)])
    check_finite(torch.where(finite, 0.0, torch.nan), name)


class Chosen:
    """Some rows of a larger matrix, read when they are used.

    Args:
        rows: Larger matrix, shape (N, d).
        indices: Row numbers in the larger matrix, shape (n,) int64.
    """

    def __init__(self, rows: Rows, indices: Tensor) -> None:
        self.rows, self.indices = rows, indices

    @property
    def shape(self) -> tuple[int, int]:
        """Return (n, d)."""
        return len(self.indices), self.rows.shape[1]

    @property
    def device(self) -> torch.device:
        """Return the device of the larger matrix."""
        return device_of(self.rows)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, which: slice | Tensor, /) -> Tensor:
        return self.rows[self.indices[which]]


class Joined:
    """Rows of two matrices of the same width, the second after the first.

    Args:
        first: First matrix, shape (N, d).
        second: Second matrix, shape (M, d).
    """

    def __init__(self, first: Rows, second: Rows) -> None:
        self.first, self.second = first, second

    @property
    def shape(self) -> tuple[int, int]:
        """Return (N + M, d)."""
        return len(self), self.first.shape[1]

    @property
    def device(self) -> torch.device:
        """Return the device of the first matrix."""
        return device_of(self.first)

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, which: slice | Tensor, /) -> Tensor:
        device = device_of(self.first)
        positions = torch.arange(len(self), device=device)[which] if isinstance(which, slice) else which
        earlier = positions < len(self.first)
        if bool(earlier.all()):
            return self.first[which]
        # Each matrix is indexed on its own device; a matrix on disk or in host memory by indices in host memory.
        later = (positions[~earlier] - len(self.first)).to(device_of(self.second))
        upper, lower = self.first[positions[earlier]], self.second[later]
        dtype = torch.promote_types(upper.dtype, lower.dtype)
        block = torch.empty((len(positions), self.shape[1]), dtype=dtype, device=device)
        block[earlier], block[~earlier] = upper.to(dtype), lower.to(device, dtype)
        return block
