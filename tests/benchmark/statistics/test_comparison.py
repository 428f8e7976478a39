import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from minimax_al.benchmark.statistics.comparison import holm, paired_comparison, paired_t_p, signed_rank_p
from minimax_al.errors import NonFiniteScoreError, ResultsError, ShapeError
from minimax_al.report.curves import Record


def records_of(
    values: dict[str, list[float]], metric: str = "accuracy", labels: tuple[int, ...] = (20, 40)
) -> list[Record]:
    """Flat curves: {strategy: [value of seed 0, of seed 1, ...]}."""
    return [
        Record("digits", strategy, seed, round_, n, metric, value)
        for strategy, of_seed in values.items()
        for seed, value in enumerate(of_seed)
        for round_, n in enumerate(labels)
    ]


def compared(values: dict[str, list[float]], metric: str = "accuracy"):
    return paired_comparison(records_of(values, metric), list(values), metric)


@given(differences=st.lists(st.integers(-4, 4), min_size=1, max_size=8))
@settings(deadline=None, max_examples=60)
def test_signed_rank_p_equals_all_sign_patterns(differences):
    kept = np.array([d for d in differences if d != 0], float)
    if kept.size:
        ranks = scipy.stats.rankdata(np.abs(kept))
        seen = abs(ranks @ np.sign(kept))
        patterns = [abs(ranks @ signs) for signs in itertools.product([-1, 1], repeat=kept.size)]
        expected = np.mean([pattern >= seen for pattern in patterns])
    else:
        expected = 1.0
    assert signed_rank_p(differences) == pytest.approx(expected)


@given(st.lists(st.integers(-1000, 1000).filter(bool), min_size=2, max_size=14, unique_by=abs))
@settings(deadline=None, max_examples=40)
def test_signed_rank_p_equals_scipys_exact_test(differences):
    expected = scipy.stats.wilcoxon(differences, method="exact").pvalue
    assert signed_rank_p(differences) == pytest.approx(expected)


def test_the_smallest_signed_rank_p_is_two_over_two_to_the_n():
    for n in range(1, 12):
        assert signed_rank_p(np.arange(1, n + 1)) == pytest.approx(2.0 ** (1 - n))


def test_many_tied_differences_are_close_to_the_exact_p():
    differences = np.repeat([1.0, 2.0, -1.0, 3.0], [6, 4, 5, 3])
    ranks = np.rint(2 * scipy.stats.rankdata(np.abs(differences))).astype(int)
    patterns = np.ones(1)
    for rank in ranks:  # coefficients of the product of (1 + x^rank) count the patterns of each rank sum
        patterns = np.pad(patterns, (0, rank)) + np.pad(patterns, (rank, 0))
    away = np.abs(np.arange(patterns.size) - ranks.sum() / 2)
    exact = patterns[away >= abs(ranks[differences > 0].sum() - ranks.sum() / 2)].sum() / patterns.sum()
    found = signed_rank_p(differences)
    assert found == pytest.approx(exact, abs=0.02)
    assert signed_rank_p(differences) == found


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=9).filter(lambda d: len(set(d)) > 1))
@settings(deadline=None, max_examples=40)
def test_paired_t_p_equals_scipys(differences):
    expected = scipy.stats.ttest_rel(differences, np.zeros(len(differences))).pvalue
    assert paired_t_p(differences) == pytest.approx(expected)


def test_a_difference_without_spread_falls_back_to_signs():
    assert paired_t_p([0.1, 0.1, 0.1]) == 0.25
    assert paired_t_p([0.0, 0.0]) == 1.0
    with pytest.raises(ShapeError, match="two seeds or more"):
        paired_t_p([0.1])


@pytest.mark.parametrize("test", [signed_rank_p, paired_t_p])
def test_nan_is_refused(test):
    with pytest.raises(NonFiniteScoreError, match="not finite"):
        test([0.1, np.nan])


def test_holm_by_hand():
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04 raised to what stands before it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.01, 0.2))
@settings(deadline=None, max_examples=60)
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, alpha):
    rejected = set()
    for step, i in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[i] * (len(p_values) - step) >= alpha:
            break
        rejected.add(int(i))
    assert set(np.flatnonzero(holm(p_values) < alpha).tolist()) == rejected


def test_wins_losses_and_ties_with_enough_seeds_are_wilcoxons():
    noise = np.random.default_rng(0).normal(0, 0.01, size=(3, 12))
    result = compared({"mal": list(0.8 + noise[0]), "random": list(0.6 + noise[1]), "bald": list(0.6 + noise[2])})
    assert result.test == "wilcoxon"
    assert result.smallest_p == pytest.approx(3 * 2.0**-11)
    assert result.outcome.tolist() == [[0, 1, 1], [-1, 0, 0], [-1, 0, 0]]
    assert result.tally("mal") == (2, 0, 0)
    assert result.tally("bald") == (0, 1, 1)
    raw = [
        scipy.stats.wilcoxon(0.8 + noise[0] - 0.6 - noise[1]).pvalue,
        scipy.stats.wilcoxon(0.8 + noise[0] - 0.6 - noise[2]).pvalue,
        scipy.stats.wilcoxon(noise[1] - noise[2]).pvalue,
    ]
    expected = [min(1, 3 * raw[0]), min(1, 3 * raw[1]), raw[2]]
    assert [result.p[0, 1], result.p[0, 2], result.p[1, 2]] == pytest.approx(expected)
    assert result.difference[1, 0] == pytest.approx(-(0.2 + (noise[0] - noise[1]).mean()))
    assert (result.p == result.p.T)[~np.eye(3, dtype=bool)].all()


def test_five_seeds_use_the_t_test_with_a_remark():
    result = compared({"mal": [0.80, 0.81, 0.79, 0.82, 0.80], "random": [0.6, 0.6, 0.6, 0.6, 0.6]})
    assert result.test == "t"
    assert result.outcome[0, 1] == 1
    assert "0.062" in result.notes[0]
    assert "5 seeds and 1 pair" in result.notes[0]


def test_one_seed_cannot_be_tested():
    result = compared({"mal": [0.8], "random": [0.6]})
    assert result.test is None
    assert result.smallest_p is None
    assert np.isnan(result.p).all()
    assert result.tally("mal") == (0, 1, 0)
    assert "No pair shares 3 seeds" in result.notes[0]


def test_two_seeds_are_not_tested():
    result = compared({"mal": [0.8, 0.81], "random": [0.6, 0.61]})
    assert result.test is None
    assert np.isnan(result.p).all()
    assert (result.outcome == 0).all()


def test_a_pair_with_one_common_seed_is_left_to_a_tie():
    result = compared({"mal": [0.8, 0.81, 0.79], "random": [0.6, 0.61, 0.6], "bald": [0.5]})
    assert np.isnan(result.p[0, 2])
    assert result.outcome[0, 2] == 0
    assert result.outcome[0, 1] == 1
    assert result.seeds.tolist() == [[0, 3, 1], [3, 0, 1], [1, 1, 0]]
    assert any("seeds 1, 2" in note for note in result.notes)


def test_less_is_better_for_times_and_calibration_error():
    result = compared({"mal": [9.0, 9.1, 9.2], "random": [1.0, 1.2, 1.1]}, "train_seconds")
    assert result.outcome.tolist() == [[0, -1], [1, 0]]


def test_areas_are_compared_whatever_the_points_say():
    records = [
        Record("digits", strategy, seed, round_, labels, "accuracy", value + 0.001 * seed * (strategy == "mal"))
        for strategy, points in {
            "mal": {20: 0.1, 40: 0.9},
            "random": {20: 0.5, 40: 0.5},
            "bald": {20: 0.6, 40: 0.6},
        }.items()
        for seed in range(4)
        for round_, (labels, value) in enumerate(points.items())
    ]
    result = paired_comparison(records, ("mal", "random", "bald"))
    assert result.outcome[0].tolist() == [0, 0, -1]
    assert result.difference[0] == pytest.approx([0, 0.0015, -0.0985])


@pytest.mark.parametrize(
    ("strategies", "metric", "message"),
    [(["mal"], "accuracy", "two strategies"), (["mal", "random"], "miou", "unknown metric 'miou'")],
)
def test_bad_comparisons_are_refused(strategies, metric, message):
    with pytest.raises(ResultsError, match=message):
        paired_comparison(records_of({"mal": [0.8], "random": [0.6]}), strategies, metric)
