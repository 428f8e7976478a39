import re

import numpy as np
import pytest

from minimax_al.benchmark.statistics.comparison import paired_comparison
from minimax_al.benchmark.statistics.verdict import verdict
from minimax_al.report.curves import Record


def verdict_of(**values):
    records = [
        Record("digits", strategy, seed, round_, labels, "accuracy", value)
        for strategy, seeds in values.items()
        for seed, value in enumerate(seeds)
        for round_, labels in enumerate((20, 40))
    ]
    return verdict(records, paired_comparison(records, list(values)))


def test_a_clear_winner_is_named_with_its_certainty():
    noise = np.random.default_rng(0).normal(0, 0.002, (3, 10))
    first, second = verdict_of(mal=0.8 + noise[0], random=0.6 + noise[1], bald=0.7 + noise[2])
    assert first.startswith("Highest mean accuracy over the learning curve: mal, 80.0% (10 seeds, 95% interval 79.")
    assert second == "It is better than random and bald beyond chance (adjusted p at most 0.0059)."


def test_strategies_that_are_not_separated_are_named_with_their_distance():
    noise = np.random.default_rng(1).normal(0, 0.05, (2, 5))
    sentences = verdict_of(a=0.70 + noise[0], b=0.70 + noise[1], c=np.full(5, 0.2))
    assert sentences[1].startswith("It is better than c beyond chance")
    assert sentences[2].startswith("The seeds do not separate it from ")
    assert sentences[2].endswith("points behind).")


@pytest.mark.parametrize(("seeds", "words"), [(1, "1 seed cannot"), (2, "2 seeds cannot")])
def test_few_seeds_give_no_winner(seeds, words):
    sentences = verdict_of(a=[0.9] * seeds, b=[0.1] * seeds)
    assert len(sentences) == 2
    assert sentences[1].startswith(words)


@pytest.mark.parametrize("values", [[0.919, 0.937], [0.99, 1.0, 0.9], [0.01, 0.0, 0.03]])
def test_interval_of_an_accuracy_is_within_0_and_100_percent(values):
    sentence = verdict_of(a=values, b=[0.0] * len(values))[0]
    low, high = map(float, re.search(r"95% interval (\S+) to ([\d.]+)\)", sentence).groups())
    assert 0 <= low < high <= 100
