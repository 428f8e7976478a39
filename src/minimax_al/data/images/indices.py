"""Indices and answers as callers have them: lists, NumPy arrays, pandas columns, tensors, class names."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minimax_al.errors import DataError, ShapeError, nearest

Indices = Tensor | NDArray[Any] | Sequence[int]
"""Integers, shape (B,): a tensor, a NumPy array, a pandas column or a sequence."""

Answers = Tensor | NDArray[Any] | Sequence[int] | Sequence[str] | Sequence[Tensor]
"""Class numbers or class names, shape (n,), or masks, shape (n, H, W), in any of these forms."""


def as_indices(indices: Iterable[Any]) -> NDArray[np.int64]:
    """Return indices as a new int64 array, shape (B,).

    Args:
        indices: Tensor, NumPy array, pandas column, range or sequence of any integer type.

    Raises:
        ShapeError: The indices are not one row of integers.

    Example:
        >>> as_indices([np.int64(3), 1]), as_indices(range(2))
        (array([3, 1]), array([0, 1]))
    """
    values = _as_array(indices, "indices")
    if values.size == 0 and values.ndim == 1:
        return np.empty(0, dtype=np.int64)
    if values.dtype == np.bool_:
        raise ShapeError(
            f"indices must be integers, shape (B,), not a mask {values.shape} of booleans: give numpy.flatnonzero(mask)"
        )
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise ShapeError(f"indices must be integers, shape (B,), not {values.shape} {values.dtype}")
    return values.astype(np.int64, copy=True)


def as_answers(answers: Iterable[Any], class_names: Sequence[str]) -> Tensor:
    """Return answers as a tensor on the CPU; class names become class numbers.

    Args:
        answers: Class numbers or class names, shape (n,), or masks of class numbers, shape (n, H, W): a tensor, a
            NumPy array, a pandas column or a sequence.
        class_names: Class names in the order of their numbers.

    Raises:
        DataError: A name is not a class.
        ShapeError: The answers are neither numbers nor names, or differ in shape.

    Example:
        >>> as_answers(np.array(["dog", "cat"]), ["cat", "dog"]), as_answers([np.uint8(1)], ["cat", "dog"])
        (tensor([1, 0]), tensor([1], dtype=torch.uint8))
    """
    if isinstance(answers, Tensor):
        return answers.detach().cpu()
    values = _as_array(answers, "answers")
    if values.shape == (0,):
        return torch.empty(0, dtype=torch.int64)
    if values.dtype.kind == "U":
        number = {name: i for i, name in enumerate(class_names)}
        for name in values.flat:
            if name not in number:
                raise DataError(f"the answer {str(name)!r} is not a class{nearest(str(name), class_names)}")
        return torch.tensor([number[name] for name in values.flat], dtype=torch.int64).reshape(values.shape)
    if values.dtype.kind == "u" and values.dtype != np.uint8:
        values = values.astype(np.int64)  # torch computes little with larger unsigned types
    return torch.from_numpy(np.array(values))


def _as_array(values: Any, what: str) -> NDArray[Any]:  # noqa: ANN401 - whatever a caller has
    """Return an array of booleans, numbers or text."""
    try:
        if isinstance(values, (list, tuple)) and values and all(isinstance(value, Tensor) for value in values):
            values = torch.stack(tuple(values))
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
        if array.dtype == object:
            # pandas stores text, categories and integers that may be missing as objects.
            array = np.array(array.tolist())
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ShapeError(f"the {what} are not one array of numbers or names ({error})") from None
    if array.dtype.kind not in "biufU":
        raise ShapeError(f"the {what} must be numbers or names, not {array.shape} {array.dtype}")
    return array
