"""Indices and answers in the types that NumPy and pandas return."""

import sys

import numpy as np
import pytest
import torch

from minimax_al.data.images.indices import as_answers, as_indices
from minimax_al.errors import DataError, ShapeError

NAMES = ["cat", "dog", "grey heron"]


class Column:
    """Stand-in for a pandas column as NumPy sees it: text and missing values are objects."""

    def __init__(self, values):
        self.values = np.array(values, dtype=object)

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)


@pytest.mark.parametrize(
    "indices",
    [
        *([3, 1], (3, 1), [np.int64(3), 1], np.array([3, 1], np.int32), np.array([3, 1], np.uint8)),
        *(torch.tensor([3, 1]), torch.tensor([3, 1], dtype=torch.int32), range(3, 0, -2), Column([3, np.int64(1)])),
        [torch.tensor(3), torch.tensor(1)],
    ],
)
def test_indices_of_every_integer_type(indices):
    found = as_indices(indices)
    assert (found.tolist(), found.dtype) == ([3, 1], np.int64)


@pytest.mark.parametrize("empty", [[], (), np.array([]), torch.tensor([]), range(0)])
def test_no_index(empty):
    assert as_indices(empty).shape == as_answers(empty, NAMES).shape == (0,)


@pytest.mark.parametrize(
    ("indices", "sentence"),
    [
        ([True, False], "not a mask .2,. of booleans: give numpy.flatnonzero"),
        ([0.5], "not .1,. float64"),
        (3, r"not \(\) int64"),
        ([[1, 2]], r"not \(1, 2\) int64"),
        (["a"], "not .1,. <U1"),
        ([[1], [2, 3]], "not one array of numbers or names"),
        ([None, 1], "must be numbers or names"),
        ([2**70], "must be numbers or names"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "must be numbers or names"),
    ],
)
def test_other_indices_are_one_sentence(indices, sentence):
    with pytest.raises(ShapeError, match=f"indices .*{sentence}"):
        as_indices(indices)


@pytest.mark.parametrize(
    "answers",
    [
        *([1, 0], [np.int64(1), np.int8(0)], np.array([1, 0], np.uint8), np.array([1, 0], np.uint16)),
        *(torch.tensor([1, 0]), Column([1, 0]), Column(["dog", "cat"]), ["dog", "cat"], ("dog", "cat")),
        *([np.str_("dog"), "cat"], np.array(["dog", "cat"]), np.array(["dog", "cat"], dtype=object)),
    ],
)
def test_answers_as_numbers_or_names(answers):
    assert as_answers(answers, NAMES).long().tolist() == [1, 0]


def test_masks():
    masks = np.random.default_rng(0).integers(0, 3, (2, 4, 5), dtype=np.uint8)
    for answers in (masks, list(masks), [torch.from_numpy(mask) for mask in masks], torch.from_numpy(masks)):
        assert np.array_equal(as_answers(answers, NAMES).numpy(), masks)


@pytest.mark.parametrize(
    ("answers", "error", "sentence"),
    [
        (["dogg", "cat"], DataError, "the answer 'dogg' is not a class; did you mean 'dog'"),
        ([None, "cat"], ShapeError, "answers must be numbers or names"),
        ([["cat"], ["cat", "dog"]], ShapeError, "answers are not one array"),
        ([torch.zeros(2), torch.zeros(3)], ShapeError, "answers are not one array"),
    ],
)
def test_other_answers_are_one_sentence(answers, error, sentence):
    with pytest.raises(error, match=sentence):
        as_answers(answers, NAMES)


def test_real_pandas_columns():
    pandas = pytest.importorskip("pandas", reason="pandas is not a dependency")
    column = pandas.Series(["dog", "cat"], dtype="category")
    assert as_answers(column, NAMES).tolist() == [1, 0]
    assert as_answers(pandas.Series([1, 0], dtype="Int64"), NAMES).tolist() == [1, 0]
    assert as_indices(pandas.Index([3, 1])).tolist() == [3, 1]
    assert "pandas" in sys.modules
