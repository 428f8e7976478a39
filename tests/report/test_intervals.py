import numpy as np
import pytest
from scipy import stats

from minimax_al.errors import ShapeError
from minimax_al.report.intervals import Interval, differ, mean_interval


@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
def test_the_interval_is_that_of_the_t_test(seeds):
    values = np.random.default_rng(seeds).normal(0.3, 0.1, seeds)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    ours = mean_interval(values)
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high))


def test_coverage_is_nominal_with_few_seeds():
    values = np.random.default_rng(0).normal(0.0, 1.0, (2000, 4))
    covered = np.mean([not mean_interval(row).excludes_zero for row in values])
    assert 0.93 < covered < 0.97


@pytest.mark.parametrize("values", [[0.919, 0.937], [0.0, 0.02, 0.01], [0.1, 0.9]])
def test_bounds_cut_the_interval_and_nothing_else(values):
    free, cut = mean_interval(values), mean_interval(values, (0.0, 1.0))
    assert (cut.low, cut.high) == (max(free.low, 0.0), min(free.high, 1.0))
    assert cut.low <= np.mean(values) <= cut.high


def test_one_seed_has_no_interval():
    assert mean_interval([0.4]) is None


@pytest.mark.parametrize("values", [[], [[0.1, 0.2]]])
def test_a_wrong_shape_is_refused(values):
    with pytest.raises(ShapeError, match="one value per seed"):
        mean_interval(values)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0.9, 0.9], [0.1, 0.1], False),  # equal differences, but two seeds
        ([0.9, 0.91, 0.92], [0.1, 0.1, 0.1], True),
        ([0.9, 0.1, 0.5], [0.5, 0.5, 0.4], False),
        ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5], False),
    ],
)
def test_differing_needs_seeds_and_an_interval_without_zero(first, second, expected):
    assert differ(first, second) is expected


def test_an_open_interval_can_exclude_zero():
    assert Interval(1.0, float("inf")).excludes_zero
    assert not Interval(-1.0, float("inf")).excludes_zero
