"""What every acquisition function checks before it computes: shapes, finite values, budgets."""

import operator
import warnings
from collections.abc import Sequence, Sized
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minimax_al.errors import BudgetError, NonFiniteScoreError, ShapeError

Array: TypeAlias = Tensor | NDArray[Any]
"""What acquisition functions accept: a tensor on any device, or a NumPy array."""

POSITIONS_KEPT = 10
POSITIONS_NAMED = 5


def as_tensor(values: Array, name: str) -> Tensor:
    """`values` as a tensor without a copy where that is possible, detached from any graph.

    Args:
        values: numbers of any real dtype; whole numbers become float64.
        name: what the values are, as the subject of an error.

    Raises:
        ShapeError: `values` is no array of real numbers.
    """
    tensor = values.detach() if isinstance(values, Tensor) else _from_numpy(values, name)
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise ShapeError(f"{name} must be real numbers, not {tensor.dtype}")
    return tensor if tensor.is_floating_point() else tensor.double()


def _from_numpy(values: Array, name: str) -> Tensor:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"{name} must be a tensor or an array, not a ragged {type(values).__name__}") from error
    if array.dtype.kind not in "fiu":
        given = type(values).__name__ if array.dtype == object else f"an array of {array.dtype}"
        raise ShapeError(f"{name} must be a tensor or an array of real numbers, not {given}")
    if any(stride < 0 for stride in array.strides) or not array.dtype.isnative:
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    with warnings.catch_warnings():
        # A memory-mapped array is read-only. Nothing here writes to its input, so the warning has no object.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


def as_scores(values: Array, name: str = "scores") -> Tensor:
    """One finite score per sample.

    Args:
        values: shape (N,).
        name: what the scores are, as the subject of an error.

    Returns:
        Shape (N,), float32 or float64.

    Raises:
        ShapeError: another number of dimensions.
        NonFiniteScoreError: a score is NaN or infinite.
    """
    scores = as_dimensions(values, "N", name)
    check_finite(scores, name)
    return scores.float() if scores.dtype in {torch.float16, torch.bfloat16} else scores


def as_dimensions(values: Array, dimensions: str, name: str = "logits") -> Tensor:
    """`values` as a tensor with the named dimensions.

    Args:
        values: numbers.
        dimensions: one letter per dimension, "TNK" for (T, N, K). Only N may be empty.
        name: what the values are, as the subject of an error.

    Raises:
        ShapeError: another number of dimensions, or an empty one.
    """
    tensor = as_tensor(values, name)
    shape = tuple(tensor.shape)
    if len(shape) != len(dimensions):
        wanted = ", ".join(dimensions) + ("," if len(dimensions) == 1 else "")
        raise ShapeError(f"{name} must have the shape ({wanted}), not {shape}")
    empty = [letter for letter, size in zip(dimensions, shape, strict=True) if size == 0 and letter != "N"]
    if empty:
        raise ShapeError(f"{name} of shape {shape} have nothing along {empty[0]}")
    return tensor


def check_finite(values: Tensor, name: str, *, sample_dimension: int = 0) -> None:
    """Raise where a value is NaN or infinite; such values are never replaced.

    Args:
        values: any shape.
        name: what the values are, as the subject of the error.
        sample_dimension: the dimension along which samples are counted.

    Raises:
        NonFiniteScoreError: with the positions of the first samples concerned.
    """
    # A finite sum proves that all terms are finite, in one pass without a mask. (Overflow falls through.)
    accumulate = torch.float64 if values.dtype == torch.float64 else torch.float32
    if bool(values.sum(dtype=accumulate).isfinite()):
        return
    finite = values.isfinite()
    others = [dimension for dimension in range(values.dim()) if dimension != sample_dimension]
    refuse_samples(finite.all(dim=others) if others else finite, name)


def refuse_samples(finite: Tensor, name: str) -> None:
    """Raise where a sample is marked as not finite.

    Args:
        finite: boolean, (N,).
        name: what of the samples, as the subject of the error.

    Raises:
        NonFiniteScoreError: with the positions of the first samples concerned.
    """
    found = (~finite).nonzero().flatten()
    if len(found) == 0:
        return
    positions = tuple(int(position) for position in found[:POSITIONS_KEPT])
    first = ", ".join(map(str, positions[:POSITIONS_NAMED])) + (", …" if len(found) > POSITIONS_NAMED else "")
    raise NonFiniteScoreError(
        f"{name} are NaN or infinite for {len(found)} of {len(finite)} samples, at positions {first}; "
        "they are never replaced: look at those samples or at the model",
        positions,
    )


def check_same_length(first: Sized, second: Sized, names: Sequence[str]) -> None:
    """Raise unless both tensors speak of equally many samples.

    Raises:
        ShapeError: naming both lengths.
    """
    if len(first) != len(second):
        raise ShapeError(f"{names[0]} are for {len(first)} samples, {names[1]} for {len(second)}")


def check_budget(budget: int, available: int) -> int:
    """A budget that the pool can meet.

    Args:
        budget: number of samples to choose.
        available: number of samples to choose from.

    Returns:
        The budget as an int.

    Raises:
        BudgetError: below one, above `available`, or no whole number.
    """
    try:
        # bool is an int to Python, but no number of images.
        whole = operator.index(cast("int", None if isinstance(budget, bool) else budget))
    except TypeError as error:
        raise BudgetError(f"a budget must be a whole number, not {budget!r}") from error
    if available == 0:
        raise BudgetError(f"a budget of {whole} cannot be met: the pool is empty")
    if not 1 <= whole <= available:
        raise BudgetError(f"a budget of {whole} is outside 1 … {available}, the size of the pool")
    return whole
