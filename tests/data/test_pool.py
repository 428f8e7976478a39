import json
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimax_al.data import Move, Pool
from minimax_al.errors import PoolError, ShapeError

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


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
    assert [move.index for move in pool.history] == moved
    assert Pool.from_state(json.loads(json.dumps(pool.state()))).state() == pool.state()


def test_history_says_who_and_when():
    pool = Pool(6, labelled=torch.tensor([5]), at=NOON)
    pool.label(np.array([2, 0]), by="ada", at=NOON)
    assert list(pool.history) == [
        Move(5, 0, "initial", NOON),
        Move(2, 1, "ada", NOON),
        Move(0, 1, "ada", NOON),
    ]
    pool.label([1])
    assert list(pool.history)[-1].at.tzinfo is not None
    assert repr(pool) == "Pool(size=6, labelled=4, round=2)"
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
    pool = Pool(5, [1], at=NOON)
    before = pool.state()
    with pytest.raises(PoolError, match=sentence):
        pool.label(indices)
    assert pool.state() == before


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
    with pytest.raises(PoolError, match="no time zone"):
        Pool(3, [1], at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"size": "many"}, "saved state cannot be read"),
        ({"moves": [{"round": 1, "by": "a", "at": "noon", "indices": [1]}]}, "saved state cannot be read"),
        ({"size": None}, "saved state cannot be read"),
        ({"moves": [{"round": 1}]}, "saved state cannot be read"),
        ({"round": 9}, "has round 9, but its moves end at 1"),
        ({"size": 2}, "index 4 is not in the pool of 2"),
    ],
)
def test_broken_states(change, sentence):
    pool = Pool(5)
    pool.label([4, 0])
    with pytest.raises(PoolError, match=sentence):
        Pool.from_state(pool.state() | change)
