import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimax_al.data import Pool
from minimax_al.errors import PoolError, ShapeError


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.permutations(range(n)))), st.data())
def test_labelled_and_unlabelled_always_partition_the_pool(pool_and_order, data):
    size, order = pool_and_order
    start = data.draw(st.integers(0, size))
    pool = Pool(size, order[:start])
    moved, rounds = list(order[:start]), 0
    while len(moved) < size:
        count = data.draw(st.integers(1, size - len(moved)))
        pool.label(order[len(moved) : len(moved) + count])
        moved, rounds = list(order[: len(moved) + count]), rounds + 1
        assert pool.labelled.tolist() == moved
        assert pool.unlabelled.tolist() == sorted(set(range(size)) - set(moved))
        assert pool.round == rounds


def test_a_pool_shows_its_numbers():
    pool = Pool(6, labelled=torch.tensor([5]))
    pool.label(np.array([2, 0]))
    assert repr(pool) == "Pool(size=6, labelled=3, round=1)"
    assert len(pool) == 6


def test_tensors_are_of_indices():
    pool = Pool(3)
    assert pool.round == 0
    assert pool.labelled.dtype == pool.unlabelled.dtype == torch.int64
    assert pool.labelled.shape == (0,)
    assert pool.unlabelled.tolist() == [0, 1, 2]


def test_a_million_images_are_quick_to_keep():
    pool = Pool(1_000_000, torch.arange(0, 1_000_000, 10))
    pool.label(torch.arange(1, 1_000_000, 10))
    assert len(pool.labelled) == 200_000
    assert len(pool.unlabelled) == 800_000


@pytest.mark.parametrize(
    ("indices", "sentence"),
    [
        ([7], r"index 7 is not in the pool of 5 images \(0 to 4\)"),
        ([-1], "index -1 is not in the pool"),
        ([1], "index 1 has a label already"),
        ([2, 3, 2], "index 2 is given twice"),
        ([], "no index to label was given"),
    ],
)
def test_wrong_moves_are_errors_and_change_nothing(indices, sentence):
    pool = Pool(5, [1])
    with pytest.raises(PoolError, match=sentence):
        pool.label(indices)
    assert (pool.labelled.tolist(), pool.unlabelled.tolist(), pool.round) == ([1], [0, 2, 3, 4], 0)


@pytest.mark.parametrize("indices", [[0.5], [[1, 2]], torch.tensor(3), [True, False]])
def test_indices_of_the_wrong_kind(indices):
    with pytest.raises(ShapeError, match="indices must be integers, shape"):
        Pool(5).label(indices)


def test_the_pool_does_not_follow_its_callers_array():
    first = np.array([3, 4])
    pool = Pool(5, first)
    first[0] = 0
    pool.labelled[0] = 1
    assert pool.labelled.tolist() == [3, 4]


def test_impossible_pools():
    with pytest.raises(PoolError, match="a pool of 0 images"):
        Pool(0)
