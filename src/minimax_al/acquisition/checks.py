"""Checks of input that acquisition functions share: shapes, finite values, budgets."""

import operator
import warnings
from collections.abc import Sequence, Sized
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minimax_al.errors import BudgetError, ConfigurationError, NonFiniteScoreError, ShapeError

Array: TypeAlias = Tensor | NDArray[Any]
"""Tensor on any device, or NumPy array."""

POSITIONS_KEPT = 10
POSITIONS_NAMED = 5


def as_tensor(values: Array, name: str) -> Tensor:
    """Return values as a tensor, detached from any graph, without a copy where that is possible.

    Args:
        values: Real numbers of any shape and dtype; whole numbers become float64.
        name: Subject of an error's sentence.

    Raises:
        ShapeError: The values are not an array of real numbers.
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
        # A memory-mapped array is read-only. Nothing here writes to its input, so the warning does not apply.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


def as_scores(values: Array, name: str = "scores") -> Tensor:
    """Return one finite score per image, (N,) float32 or float64.

    Args:
        values: Scores, shape (N,), any real dtype.
        name: Subject of an error's sentence.

    Raises:
        ShapeError: The scores do not have one dimension.
        NonFiniteScoreError: A score is NaN or infinite.
    """
    scores = as_dimensions(values, "N", name)
    check_finite(scores, name)
    return scores.float() if scores.dtype in {torch.float16, torch.bfloat16} else scores


def as_dimensions(values: Array, dimensions: str, name: str = "logits") -> Tensor:
    """Return values as a tensor with the named dimensions.

    Args:
        values: Real numbers, any dtype.
        dimensions: One letter per dimension, "TNK" for (T, N, K). Only N may be empty.
        name: Subject of an error's sentence.

    Raises:
        ShapeError: The number of dimensions differs, or another dimension than N is empty.
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


def check_finite(values: Tensor, name: str, *, image_dimension: int = 0) -> None:
    """Refuse values that are NaN or infinite; they are never replaced.

    Args:
        values: Numbers, any shape.
        name: Subject of the error's sentence.
        image_dimension: Dimension along which images are counted.

    Raises:
        NonFiniteScoreError: A value is NaN or infinite; has the positions of the first such images.
    """
    # A finite sum proves that all terms are finite, in one pass without a mask. (Overflow falls through.)
    accumulate = torch.float64 if values.dtype == torch.float64 else torch.float32
    if bool(values.sum(dtype=accumulate).isfinite()):
        return
    finite = values.isfinite()
    others = [dimension for dimension in range(values.dim()) if dimension != image_dimension]
    refuse_images(finite.all(dim=others) if others else finite, name)


def refuse_images(finite: Tensor, name: str) -> None:
    """Refuse images that are marked as not finite.

    Args:
        finite: Whether each image's values are finite, shape (N,) bool.
        name: Subject of the error's sentence.

    Raises:
        NonFiniteScoreError: An image is marked; has the positions of the first such images.
    """
    found = (~finite).nonzero().flatten()
    if len(found) == 0:
        return
    positions = tuple(int(position) for position in found[:POSITIONS_KEPT])
    first = ", ".join(map(str, positions[:POSITIONS_NAMED])) + (", …" if len(found) > POSITIONS_NAMED else "")
    raise NonFiniteScoreError(
        f"{name} are NaN or infinite for {len(found)} of {len(finite)} images, at positions {first}; "
        "they are never replaced: look at those images or at the model",
        positions,
    )


def refuse_negative(scores: Tensor, name: str) -> None:
    """Refuse scores below 0.

    Args:
        scores: Finite scores, shape (N,).
        name: Subject of the error's sentence.

    Raises:
        ConfigurationError: A score is below 0; names the first one's position.
    """
    negative = (scores < 0).nonzero().flatten()
    if len(negative):
        first = int(negative[0])
        raise ConfigurationError(f"{name} must be 0 or more; position {first} has {float(scores[first])!r}")


def check_same_length(first: Sized, second: Sized, names: Sequence[str]) -> None:
    """Refuse two inputs of different lengths.

    Raises:
        ShapeError: The lengths differ; names both.
    """
    if len(first) != len(second):
        raise ShapeError(f"{names[0]} are for {len(first)} images, {names[1]} for {len(second)}")


def check_budget(budget: int, available: int) -> int:
    """Return the budget as an int, if the pool can meet it.

    Args:
        budget: Number of images to choose.
        available: Number of images in the pool.

    Raises:
        BudgetError: The budget is below 1, above `available`, or not a whole number.
    """
    try:
        # bool is an int in Python, but not a number of images.
        whole = operator.index(cast("int", None if isinstance(budget, bool) else budget))
    except TypeError as error:
        raise BudgetError(f"a budget must be a whole number, not {budget!r}") from error
    if available == 0:
        raise BudgetError(f"a budget of {whole} cannot be met: the pool is empty")
    if not 1 <= whole <= available:
        raise BudgetError(f"a budget of {whole} is outside 1 … {available}, the size of the pool")
    return whole
