import numpy as np
import pytest

from minimax_al.campaign.progress.advice import Measurement, advise
from minimax_al.campaign.progress.headline import wilson_interval
from minimax_al.report.power_law import fit_power_law
from minimax_al.report.reasons import reason_for


def curve(a, b, c, labels, held_out=2000):
    return [Measurement(n, a - b * n**-c, held_out) for n in labels]


@pytest.mark.parametrize(("share", "count"), [(0.0, 10), (0.5, 7), (0.93, 200), (1.0, 30)])
def test_wilson_is_the_inversion_of_the_score_test(share, count):
    """The ends are where |share − p| is z standard errors under p: the definition, not the closed form."""
    z = 1.959963984540054
    low, high = wilson_interval(share, count)
    for end in (low, high):
        if 0 < end < 1:
            assert abs(share - end) == pytest.approx(z * np.sqrt(end * (1 - end) / count), abs=1e-8)
    assert low <= share <= high


@pytest.mark.parametrize(("a", "b", "c"), [(0.95, 3.0, 0.6), (0.8, 1.2, 0.3), (0.99, 1.0, 1.0)])
def test_a_power_law_is_found_again(a, b, c):
    labels = [50, 100, 200, 400, 800, 1600]
    found = fit_power_law(labels, [a - b * n**-c for n in labels], [50_000] * 6, seed=0)
    for n in (100, 1600, 3200):
        assert found.at(n) == pytest.approx(a - b * n**-c, abs=0.004)


def test_the_interval_of_the_gain_covers_the_truth_about_as_often_as_it_says():
    a, b, c, held_out = 0.9, 2.0, 0.5, 400
    labels = [100, 200, 300, 400, 600, 800]
    truth = b * (800**-c - 1000**-c)
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(60):
        measured = [generator.binomial(held_out, a - b * n**-c) / held_out for n in labels]
        _, low, high = fit_power_law(labels, measured, [held_out] * 6, seed=trial).gain(800, 200)
        covered += low <= truth <= high
    assert covered >= 45


def test_a_steep_curve_advises_to_go_on_and_a_flat_one_to_stop():
    steep = advise(curve(0.95, 3, 0.5, [100, 200, 400, 800]), 5000, 200, 0.005, seed=0)
    assert steep.decision == "go on"
    assert steep.gain == pytest.approx(3 * (800**-0.5 - 1000**-0.5), abs=0.003)
    assert steep.low < steep.gain < steep.high
    assert steep.reason.startswith("The next 200 labels are expected to add 1.")
    flat = advise(curve(0.9, 2, 1.2, [500, 1000, 2000, 4000], 20_000), 5000, 200, 0.005, seed=0)
    assert flat.decision == "stop"
    assert "even the upper end is below the 0.5 points" in flat.reason
    assert flat.ceiling == pytest.approx(0.9, abs=0.01)


def test_no_gain_above_a_perfect_score_is_expected():
    points = [Measurement(labels, score, 60) for labels, score in ((10, 0.6), (20, 0.8), (40, 0.93), (80, 1.0))]
    found = advise(points, 500, 50, 0.01, seed=0)
    assert found.gain == 0.0
    assert found.low <= 0.0 < found.high
    assert "are expected to add 0.0 points" in found.reason


def test_advice_never_promises_more_labels_than_there_are_images():
    assert advise(curve(0.95, 3, 0.5, [100, 200, 400, 800]), 50, 200, 0.005, seed=0).next_labels == 50


@pytest.mark.parametrize(
    ("points", "match"),
    [
        ([], "there are 0"),
        (curve(0.9, 2, 0.5, [100]), "there is 1"),
        (curve(0.9, 2, 0.5, [100, 200, 300, 300]), "there are 3"),
        (curve(0.9, 2, 0.5, [100, 200, 300, 400], held_out=29), "was measured on 29 labels; below 30"),
    ],
)
def test_too_few_points_give_no_advice(points, match):
    advice = advise(points, 1000, 100, 0.005, seed=0)
    assert advice.decision == "too early"
    assert match in advice.reason
    assert advice.gain is None


def test_an_empty_pool_advises_to_stop():
    advice = advise([], 0, 100, 0.005, seed=0)
    assert (advice.decision, advice.next_labels) == ("stop", 0)


@pytest.mark.parametrize(
    ("strategy", "scores", "words"),
    [
        ("random", {}, "random sample"),
        ("random+mal", {"entropy": 1.0}, "random sample"),
        ("entropy", {"entropy": 1.25}, "the model is unsure of it (entropy 1.25)"),
        ("bald", {"mutual_information": 0.1}, "sampled models disagree about it (mutual information 0.1)"),
        ("vaal", {"labelledness": -2.0}, "it looks unlike the labelled images (labelledness -2)"),
        ("coreset", {}, "it is far from every labelled image"),
        ("mal-diversity-only", {"labelledness_rank": 0.0, "entropy_rank": 4.0}, "(rank 5 of 10)"),
        ("plug-in", {"novelty": 3.0}, "chosen by plug-in"),
    ],
)
def test_every_strategy_gives_a_reason(strategy, scores, words):
    assert words in reason_for(strategy, scores, pool=10)


@pytest.mark.parametrize("strategy", ["alfa_mix", "bait", "galaxy", "maxherding", "probcover", "waal"])
def test_strategies_without_a_score_for_annotators_have_a_reason_of_their_own(strategy):
    assert "chosen by" not in reason_for(strategy, {}, pool=10)
