"""Factored, lazy BADGE against materialised gradient embeddings and the definition of k-means++."""

import importlib
import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from minimax_al.acquisition import badge
from minimax_al.errors import BudgetError, NonFiniteScoreError, ShapeError

# The package gives this name to the function.
module = importlib.import_module("minimax_al.acquisition.badge")


def embeddings(logits, features):
    """The materialised gradient embeddings, (N, K·d)."""
    probs = logits.double().softmax(dim=1)
    errors = probs - torch.nn.functional.one_hot(probs.argmax(dim=1), logits.shape[1])
    return torch.einsum("nk,nd->nkd", errors, features.double()).flatten(1)


def pools(size, classes=3, width=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, classes, generator=generator), torch.randn(size, width, generator=generator)


def sequence_probability(distances, norms, sequence):
    """Probability that k-means++ picks this sequence, the first pick by squared norm."""
    probability, nearest = 1.0, norms
    for pick in sequence:
        probability *= nearest[pick] / nearest.sum()
        nearest = distances[pick] if nearest is norms else np.minimum(nearest, distances[pick])
    return probability


@pytest.mark.parametrize("patience", [0.0, math.inf])
def test_sequences_follow_the_distribution_of_k_means_plus_plus(patience, monkeypatch):
    # With endless patience all but the first bounds are stale, with none all bounds are true.
    monkeypatch.setattr(module, "PATIENCE", patience)
    logits, features = pools(5)
    g = embeddings(logits, features)
    distances, norms = torch.cdist(g, g).square().numpy(), g.square().sum(1).numpy()
    sequences = list(itertools.permutations(range(5), 3))
    probabilities = np.array([sequence_probability(distances, norms, each) for each in sequences])
    assert probabilities.sum() == pytest.approx(1)
    generator, runs = torch.Generator().manual_seed(1), 1500
    counts = dict.fromkeys(sequences, 0)
    for _ in range(runs):
        counts[tuple(badge(logits, features, 3, generator).tolist())] += 1
    order = probabilities.argsort()
    # Rare sequences are pooled, as the chi-square test asks for five expected counts.
    groups = np.minimum((probabilities[order] * runs).cumsum() // 8, 30).astype(int)
    observed = np.bincount(groups, np.array(list(counts.values()))[order])
    expected = np.bincount(groups, probabilities[order] * runs)
    filled = expected > 0
    assert stats.chisquare(observed[filled], expected[filled]).pvalue > 0.01


def test_factored_distances_equal_the_materialised_ones():
    logits, features = pools(40, 6, 5)
    features = features * 1e3
    lazy = module._LazyKMeansPlusPlus(logits, features, None)
    factors = lazy.factors(torch.arange(40))
    g = embeddings(logits, features.double() * lazy.scale)
    expected = torch.cdist(g, g, compute_mode="donot_use_mm_for_euclid_dist").square()
    torch.testing.assert_close(lazy.squared_distances(factors, factors), expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(lazy.bound, g.square().sum(1))


def test_bounds_are_never_below_the_true_distances(monkeypatch):
    monkeypatch.setattr(module, "WINDOW", 7)
    monkeypatch.setattr(module, "CHUNK_ROWS", 13)
    logits, features = pools(200, 5, 4)
    lazy = module._LazyKMeansPlusPlus(logits, features, torch.Generator().manual_seed(0))
    picks = lazy.run(60)
    g = embeddings(logits, features.double() * lazy.scale)
    true = torch.cdist(g, g[picks], compute_mode="donot_use_mm_for_euclid_dist").square().amin(1)
    assert bool((lazy.bound >= true - 1e-9).all())
    lazy.measure_all()
    torch.testing.assert_close(lazy.bound, true, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("budget", [1, 10, 200])
def test_every_pick_is_picked_once(budget):
    picks = badge(*pools(200), budget, torch.Generator().manual_seed(0))
    assert picks.dtype == torch.int64
    assert len(set(picks.tolist())) == budget
    assert set(picks.tolist()) <= set(range(200))


def test_fewer_distinct_embeddings_than_the_budget():
    logits, features = pools(4)
    picks = badge(logits.repeat(25, 1), features.repeat(25, 1), 60, torch.Generator().manual_seed(0)).tolist()
    assert len(set(picks)) == 60
    assert sorted(pick % 4 for pick in picks[:4]) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("logits", "features"),
    [
        (torch.zeros(50, 1), torch.randn(50, 3)),
        (torch.tensor([[0.0, 5000.0]]).repeat(50, 1), torch.randn(50, 3)),
        (torch.zeros(50, 4), torch.zeros(50, 3)),
    ],
    ids=["one class", "sure of everything", "no features"],
)
def test_without_gradients_all_samples_are_equally_likely(logits, features):
    generator = torch.Generator().manual_seed(0)
    picks = torch.stack([badge(logits, features, 10, generator) for _ in range(200)])
    assert all(len(set(row.tolist())) == 10 for row in picks)
    assert stats.chisquare(picks.flatten().bincount(minlength=50).numpy()).pvalue > 0.01


def test_sure_predictions_keep_their_gradient():
    # 1 − p is 4e-18 here: p − 1 rounds to 0 and would lose the predicted class's part.
    lazy = module._LazyKMeansPlusPlus(torch.tensor([[40.0, 0.0]]), torch.ones(1, 1), None)
    assert lazy.bound.item() == pytest.approx(2 * math.exp(-40) ** 2, rel=1e-12)


def test_one_seed_gives_one_batch_on_arrays_and_tensors_and_half_precision_is_widened():
    logits, features = (x.half() for x in pools(100))
    seeded = [torch.Generator().manual_seed(7) for _ in range(3)]
    picks = badge(logits, features, 20, seeded[0])
    assert torch.equal(picks, badge(logits.numpy(), features.numpy(), 20, seeded[1]))
    assert torch.equal(picks, badge(logits.float(), features.double(), 20, seeded[2]))


def test_without_a_generator_the_global_seed_decides():
    logits, features = pools(100)
    state = torch.get_rng_state()
    picks = badge(logits, features, 20)
    torch.set_rng_state(state)
    assert torch.equal(badge(logits, features, 20), picks)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda z, x: badge(z, x, 6), BudgetError, r"budget of 6 is outside 1 … 5"),
        (lambda z, x: badge(z[:0], x[:0], 1), BudgetError, "the pool is empty"),
        (lambda z, x: badge(z[:4], x, 1), ShapeError, "logits are for 4 images, features for 5"),
        (lambda z, x: badge(z[0], x, 1), ShapeError, r"logits must have the shape \(N, K\), not \(3,\)"),
        (lambda z, x: badge(z, x[:, 0], 1), ShapeError, r"features must have the shape \(N, D\), not \(5,\)"),
        (lambda z, x: badge(z * math.nan, x, 1), NonFiniteScoreError, "logits are NaN or infinite for 5 of 5"),
        (lambda z, x: badge(z, x / 0, 1), NonFiniteScoreError, "features are NaN or infinite for 5 of 5"),
    ],
)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call(*pools(5))


def test_rows_on_disk_give_the_same_batch():
    logits, features = pools(300, 4, 6)

    class Rows:
        shape = tuple(features.shape)

        def __len__(self):
            return len(features)

        def __getitem__(self, which):
            return features[which]

    expected = badge(logits, features, 40, torch.Generator().manual_seed(3))
    assert torch.equal(badge(logits, Rows(), 40, torch.Generator().manual_seed(3)), expected)
