"""Power sampling against the probabilities of draws without replacement."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from minimax_al.acquisition import power_sample
from minimax_al.errors import BudgetError, ConfigurationError, NonFiniteScoreError, ShapeError


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_sequences_have_the_probabilities_of_draws_without_replacement(power):
    scores, runs = torch.tensor([0.5, 1.0, 0.3, 0.7, 0.0]), 3000
    weights = scores.double().numpy() ** power
    sequences = list(itertools.permutations(range(4), 2))
    # P(i, j) = w_i / Σ w · w_j / (Σ w − w_i); the image of score 0 is never drawn.
    expected = np.array([weights[i] / weights.sum() * weights[j] / (weights.sum() - weights[i]) for i, j in sequences])
    generator, counts = torch.Generator().manual_seed(3), dict.fromkeys(sequences, 0)
    for _ in range(runs):
        counts[tuple(power_sample(scores, 2, generator=generator, power=power).tolist())] += 1
    assert stats.chisquare(list(counts.values()), expected * runs).pvalue > 0.01


def test_extreme_powers_give_the_highest_scores_and_all_images_alike():
    scores, generator = torch.linspace(0.1, 2, 50), torch.Generator().manual_seed(0)
    assert power_sample(scores, 5, generator=generator, power=1e6).tolist() == [49, 48, 47, 46, 45]
    means = [float(power_sample(scores, 25, generator=generator, power=1e-6).double().mean()) for _ in range(200)]
    assert abs(np.mean(means) - 24.5) < 4 * np.std(means) / 200**0.5


def test_images_without_a_score_come_last():
    scores, generator = (
        torch.tensor([0.0, 2.0, 0.0, 1e-300, 0.0], dtype=torch.float64),
        torch.Generator().manual_seed(0),
    )
    drawn = [power_sample(scores, 4, generator=generator).tolist() for _ in range(50)]
    assert all(set(each[:2]) == {1, 3} for each in drawn)
    assert {each[2] for each in drawn} == {0, 2, 4}


@pytest.mark.parametrize(
    ("scores", "settings", "error", "sentence"),
    [
        ([1.0, 2.0], {"budget": 3}, BudgetError, "a budget of 3 is outside 1 … 2"),
        ([1.0, -2.0], {}, ConfigurationError, "scores of power sampling must be 0 or more; position 1 has -2"),
        ([1.0, 2.0], {"power": 0}, ConfigurationError, "power=0 must be a number above 0"),
        ([[1.0, 2.0]], {}, ShapeError, r"scores must have the shape \(N,\)"),
        ([1.0, float("nan")], {}, NonFiniteScoreError, "scores are NaN"),
    ],
)
def test_bad_input(scores, settings, error, sentence):
    with pytest.raises(error, match=sentence):
        power_sample(torch.tensor(scores), **{"budget": 1, "generator": torch.Generator(), **settings})
