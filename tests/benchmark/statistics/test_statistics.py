import itertools

import numpy as np
import pytest
import scipy.integrate
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minimax_al.benchmark.statistics.statistics import (
    Interval,
    area_under_curve,
    frequency_groups,
    head_middle_tail,
    labels_to_reach,
    paired_curves,
    percentiles,
)
from minimax_al.errors import NonFiniteScoreError, ResultsError, ShapeError
from minimax_al.report.curves import Record

CURVES = st.integers(2, 7).flatmap(
    lambda points: st.tuples(
        st.lists(st.integers(1, 1000), min_size=points, max_size=points, unique=True).map(sorted),
        arrays(np.float64, points, elements=st.floats(0, 1)),
    )
)


def records_of(curves: dict[str, dict[int, dict[int, float]]], dataset: str = "digits") -> list[Record]:
    """Records from {strategy: {seed: {labels: accuracy}}}."""
    return [
        Record(dataset, strategy, seed, round_, labels, "accuracy", value)
        for strategy, seeds in curves.items()
        for seed, points in seeds.items()
        for round_, (labels, value) in enumerate(points.items())
    ]


@given(curve=CURVES)
@settings(deadline=None, max_examples=50)
def test_area_equals_scipys_trapezoids_over_the_range(curve):
    labels, values = curve
    expected = scipy.integrate.trapezoid(values, labels) / (labels[-1] - labels[0])
    assert area_under_curve(labels, values) == pytest.approx(expected)
    assert area_under_curve(labels, np.stack([values, values + 1])) == pytest.approx([expected, expected + 1])


def test_area_of_a_constant_curve_is_the_constant():
    assert area_under_curve([10, 20, 70], [0.4, 0.4, 0.4]) == pytest.approx(0.4)


def needed_for(labels, values, accuracy):
    return labels_to_reach(np.array(labels, float), np.array([values]), np.array([accuracy]))[0]


@given(curve=CURVES, accuracy=st.floats(0, 1))
@settings(deadline=None, max_examples=100)
def test_labels_to_reach_equals_a_walk_along_the_envelope(curve, accuracy):
    labels, values = curve
    best, expected = [max(values[: i + 1]) for i in range(len(values))], np.inf
    if best[0] >= accuracy:
        expected = float(labels[0])
    else:
        for (n0, a0), (n1, a1) in itertools.pairwise(zip(labels, best, strict=True)):
            if a0 < accuracy <= a1:
                expected = n0 + (accuracy - a0) / (a1 - a0) * (n1 - n0)
    assert needed_for(labels, values, accuracy) == pytest.approx(expected)


def test_a_dip_does_not_cost_labels():
    assert needed_for([10, 20, 30], [0.5, 0.3, 0.7], 0.4) == 10
    assert needed_for([10, 20, 30], [0.5, 0.3, 0.7], 0.6) == 25


@pytest.mark.parametrize(
    ("labels", "values", "message"),
    [
        ([10, 10], [0.1, 0.2], "ascend strictly"),
        ([10, 20], [0.1], "do not match"),
        ([10], [0.1], "two or more"),
        ([], [], "two or more"),
    ],
)
def test_curves_that_are_none_have_no_area(labels, values, message):
    with pytest.raises(ShapeError, match=message):
        area_under_curve(labels, values)


def test_infinite_resamples_leave_the_other_end_alone():
    assert percentiles(np.array([1.0, -np.inf, 0.5] * 10)) == Interval(-np.inf, 1.0)


def test_a_resample_that_is_nan_is_refused():
    with pytest.raises(NonFiniteScoreError, match="met NaN"):
        percentiles(np.array([1.0, np.nan]))


def test_pairs_are_aligned_and_omissions_are_reported():
    paired = paired_curves(
        records_of(
            {
                "mal": {0: {20: 0.1, 40: 0.2, 60: 0.3}, 1: {20: 0.4, 40: 0.5, 60: 0.6}, 2: {20: 0.0}},
                "random": {1: {20: 0.7, 40: 0.8}, 0: {20: 0.9, 40: 1.0}},
            }
        ),
        ["random", "mal"],
    )
    assert paired.seeds == (0, 1)
    assert paired.labels.tolist() == [20, 40]  # seed 2 has one round, but only mal has seed 2
    assert paired.values.tolist() == [[[0.9, 1.0], [0.7, 0.8]], [[0.1, 0.2], [0.4, 0.5]]]
    assert paired.notes == (
        "Omitted, because not every strategy has them: seeds 2.",
        "Omitted, because not every strategy has them: numbers of labels 60.",
    )


def test_complete_pairs_have_no_remarks():
    assert paired_curves(records_of({"a": {0: {20: 0.1}}, "b": {0: {20: 0.1}}}), ["a", "b"]).notes == ()


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({"a": {0: {20: 0.1}}, "b": {1: {20: 0.1}}}, "a, b share no seed"),
        ({"a": {0: {20: 0.1}}, "b": {0: {30: 0.1}}}, "a, b share no number of labels"),
        ({"a": {0: {20: 0.1}}}, "unknown strategy 'b'"),
    ],
)
def test_strategies_without_common_ground_are_refused(curves, message):
    with pytest.raises(ResultsError, match=message):
        paired_curves(records_of(curves), ["a", "b"])


def test_records_of_several_data_sets_are_refused():
    records = records_of({"a": {0: {20: 0.1}}}) + records_of({"a": {0: {20: 0.1}}}, "cifar10")
    with pytest.raises(ResultsError, match=r"2 data sets \(cifar10, digits\)"):
        paired_curves(records, ["a"])
    with pytest.raises(ResultsError, match="0 data sets"):
        paired_curves([], ["a"])


def test_groups_follow_the_many_medium_few_thresholds():
    assert frequency_groups([101, 100, 20, 19, 0]).tolist() == [0, 1, 1, 2, 2]
    assert frequency_groups([5, 16, 50, 158, 500]).tolist() == [2, 2, 1, 0, 0]  # the paper's imbalance


def test_head_middle_tail_by_hand():
    result = head_middle_tail([0.9, 0.7, 0.4, 0.1, 0.3], [500, 158, 50, 16, 5])
    assert (result.head, result.middle, result.tail) == pytest.approx((0.8, 0.4, 0.2))
    assert result.classes == (2, 1, 2)


def test_an_empty_group_has_no_accuracy():
    assert head_middle_tail([0.9], [500]).tail is None


def test_head_middle_tail_refuses_what_it_cannot_average():
    with pytest.raises(ShapeError, match="do not match class counts"):
        head_middle_tail([0.9, 0.1], [500])
    with pytest.raises(NonFiniteScoreError, match=r"classes \(1,\)") as caught:
        head_middle_tail([0.9, np.nan], [500, 3])
    assert caught.value.positions == (1,)
