import itertools

import numpy as np
import pytest

from minimax_al.benchmark.statistics.gains import gain_split, labels_saved
from minimax_al.benchmark.statistics.statistics import Interval, labels_to_reach
from minimax_al.errors import ResultsError
from minimax_al.report.curves import Record

LABELS = (100, 200, 300, 400)


def records_of(curves: dict[str, list[list[float]]]) -> list[Record]:
    """Records from {strategy: one list of accuracies a seed}."""
    return [
        Record("digits", strategy, seed, round_, LABELS[round_], "accuracy", value)
        for strategy, seeds in curves.items()
        for seed, points in enumerate(seeds)
        for round_, value in enumerate(points)
    ]


def saved(curves):
    return labels_saved(records_of(curves), "mal", generator=np.random.default_rng(0))


def test_labels_saved_by_hand():
    result = saved({"mal": [[0.2, 0.4, 0.6, 0.7]], "random": [[0.2, 0.3, 0.4, 0.8]]})
    assert [point.reference_labels for point in result.points] == [100, 200, 300, 400]
    assert [point.accuracy for point in result.points] == [0.2, 0.3, 0.4, 0.8]
    assert [point.labels for point in result.points] == [100, pytest.approx(150), 200, None]
    assert [point.saved for point in result.points] == [0, pytest.approx(50), 100, None]
    assert not any(point.at_least for point in result.points)
    assert all(point.interval is None for point in result.points)  # one seed


def test_a_strategy_above_from_the_first_round_saves_at_least_so_much():
    result = saved({"mal": [[0.5, 0.6, 0.7, 0.8]], "random": [[0.2, 0.3, 0.4, 0.5]]})
    assert [point.at_least for point in result.points] == [True, True, True, False]
    assert [point.saved for point in result.points] == [0, 100, 200, 300]


def test_rounds_in_which_the_reference_does_not_rise_are_no_points():
    result = saved({"mal": [[0.2, 0.4, 0.6, 0.7]], "random": [[0.2, 0.4, 0.3, 0.5]]})
    assert [point.accuracy for point in result.points] == [0.2, 0.4, 0.5]
    assert result.points[-1].saved == pytest.approx(400 - 250)


def test_the_interval_equals_all_resamples_of_two_seeds():
    curves = {
        "mal": [[0.2, 0.4, 0.6, 0.7], [0.1, 0.5, 0.6, 0.8]],
        "random": [[0.2, 0.3, 0.4, 0.5], [0.15, 0.2, 0.5, 0.6]],
    }
    expected = []
    for draw in itertools.product([0, 1], repeat=2):
        mal, random = (np.mean([curves[name][seed] for seed in draw], axis=0) for name in ("mal", "random"))
        (needed,) = labels_to_reach(np.array(LABELS), mal[None], random[2:3])
        expected.append(300 - needed)
    interval = saved(curves).points[2].interval
    assert (interval.low, interval.high) == pytest.approx((min(expected), max(expected)))


def test_open_ends_are_infinite():
    curves = {"mal": [[0.1, 0.2, 0.3, 0.35], [0.5, 0.6, 0.7, 0.9]], "random": [[0.2, 0.3, 0.4, 0.5]] * 2}
    assert saved(curves).points[-1].interval == Interval(-np.inf, 300.0)
    assert saved(curves).points[0].interval is not None
    assert saved(curves).points[0].interval.high == np.inf


def test_equal_curves_save_nothing():
    result = saved({"mal": [[0.2, 0.3, 0.4, 0.5]] * 3, "random": [[0.2, 0.3, 0.4, 0.5]] * 3})
    for point in result.points:
        assert point.saved == 0
        assert point.interval == Interval(0.0, 0.0)


def test_omitted_seeds_are_reported():
    result = saved({"mal": [[0.2, 0.4], [0.2, 0.5]], "random": [[0.2, 0.3]]})
    assert result.seeds == (0,)
    assert "seeds 1" in result.notes[0]


def test_the_reference_must_have_been_run():
    with pytest.raises(ResultsError, match="unknown strategy 'random'"):
        saved({"mal": [[0.2]]})


def test_the_parts_of_the_gain_add_up():
    values = np.random.default_rng(5).uniform(0.3, 0.9, size=(3, 6, 4))
    names = ("mal", "random+mal", "random")
    records = records_of({name: rows.tolist() for name, rows in zip(names, values, strict=True)})
    split = gain_split(records)
    assert split.seeds == tuple(range(6))
    for p, point in enumerate(split.points):
        assert point.labels == LABELS[p]
        assert point.total.value == pytest.approx((values[0] - values[2])[:, p].mean())
        assert point.training.value == pytest.approx((values[1] - values[2])[:, p].mean())
        assert point.total.value == pytest.approx(point.training.value + point.selection.value)
        assert point.selection.interval.low <= point.selection.value <= point.selection.interval.high
    assert split.area is not None
    assert split.area.labels is None
    weights = np.array([0.5, 1, 1, 0.5]) / 3
    assert split.area.selection.value == pytest.approx(((values[0] - values[1]) @ weights).mean())


def test_one_seed_splits_without_intervals_and_one_round_without_area():
    records = records_of({"mal": [[0.8]], "random+mal": [[0.7]], "random": [[0.5]]})
    split = gain_split(records)
    assert split.area is None
    assert split.points[0].training.value == pytest.approx(0.2)
    assert split.points[0].selection.interval is None


def test_paired_seeds_cancel_what_the_seed_gives():
    shift = np.array([[0.0], [0.3], [-0.2]])
    records = records_of(
        {
            "mal": (0.5 + shift + np.zeros(4)).tolist(),
            "random+mal": (0.45 + shift + np.zeros(4)).tolist(),
            "random": (0.4 + shift + np.zeros(4)).tolist(),
        }
    )
    point = gain_split(records).points[0]
    assert (point.total.interval.low, point.total.interval.high) == pytest.approx((0.1, 0.1))


def test_the_control_must_have_been_run():
    with pytest.raises(ResultsError, match=r"unknown strategy 'random\+mal'"):
        gain_split(records_of({"mal": [[0.8]], "random": [[0.5]]}))


def test_equal_work_splits_the_trainings_part():
    values = np.random.default_rng(6).uniform(0.3, 0.9, size=(4, 5, 4))
    names = ("mal", "random+mal", "random", "random-equal-work")
    records = records_of({name: rows.tolist() for name, rows in zip(names, values, strict=True)})
    for point in gain_split(records).points:
        assert point.training.value == pytest.approx(point.work.value + point.game.value)
    assert gain_split(records).area.work.value == pytest.approx(
        ((values[3] - values[2]) @ (np.array([0.5, 1, 1, 0.5]) / 3)).mean()
    )
    assert gain_split([record for record in records if record.strategy != names[3]]).points[0].work is None
