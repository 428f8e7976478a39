"""Accepted inputs, which are neither copied nor changed."""

import numpy as np
import pytest
import torch

from minimax_al.acquisition.checks import as_scores, as_tensor, check_budget, check_finite
from minimax_al.errors import BudgetError, NonFiniteScoreError, ShapeError


def test_arrays_and_tensors_are_shared_not_copied():
    array = np.ones((4, 3), dtype=np.float32)
    assert as_tensor(array, "x").data_ptr() == array.ctypes.data
    tensor = torch.ones(4, requires_grad=True)
    assert as_tensor(tensor, "x").data_ptr() == tensor.data_ptr()
    assert not as_tensor(tensor, "x").requires_grad


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<f2"])
def test_arrays_of_any_float_and_byte_order(dtype):
    array = np.array([1.5, -2.0], dtype=dtype)
    assert as_tensor(array, "x").tolist() == [1.5, -2.0]
    assert as_tensor(array[::-1], "x").tolist() == [-2.0, 1.5]


def test_memory_mapped_arrays_are_read_without_a_warning(tmp_path):
    np.save(tmp_path / "scores.npy", np.arange(5.0))
    mapped = np.load(tmp_path / "scores.npy", mmap_mode="r")
    assert as_scores(mapped).tolist() == [0, 1, 2, 3, 4]


def test_whole_numbers_become_float64():
    assert as_tensor(np.array([2**53]), "x").item() == 2**53
    assert as_tensor(torch.tensor([1], dtype=torch.uint8), "x").dtype == torch.float64


def test_finite_values_with_an_overflowing_sum_are_accepted():
    check_finite(torch.full((1000,), 3e38), "scores")
    check_finite(torch.full((1000,), 6e4, dtype=torch.float16), "scores")


@pytest.mark.parametrize("value", [np.int64(2), np.uint8(2), torch.tensor(2)])
def test_whole_numbers_of_any_library_are_budgets(value):
    assert check_budget(value, 3) == 2
    assert type(check_budget(value, 3)) is int


def test_budgets_that_are_no_numbers():
    with pytest.raises(BudgetError, match="whole number, not '3'"):
        check_budget("3", 3)


def test_errors_name_the_positions():
    with pytest.raises(NonFiniteScoreError, match="scores are NaN or infinite for 1 of 3 images, at positions 1;"):
        check_finite(torch.tensor([0.0, torch.nan, 0.0]), "scores")


def test_object_arrays_are_refused():
    with pytest.raises(ShapeError, match="scores must be a tensor or an array of real numbers, not dict"):
        as_scores({"a": 1})
