"""MaxHerding and UHerding against their sums written out in float64."""

import importlib

import numpy as np
import pytest
import torch

from minimax_al.acquisition import maxherding, uherding
from minimax_al.errors import BudgetError, ConfigurationError, NonFiniteScoreError, ShapeError

module = importlib.import_module("minimax_al.acquisition.herding")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def blobs(count, width, seed):
    generator = seeded(seed)
    centers = torch.randn(7, width, generator=generator)
    of = torch.randint(7, (count,), generator=generator)
    return centers[of] + 0.3 * torch.randn(count, width, generator=generator)


def unit(rows):
    rows = rows.double().numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def assert_greedy(picks, pool, labelled, weights, bandwidth):
    """By the definition: the coverage of every possible next set, from scratch.

    Two images can raise it by the same number up to rounding; then either may be next.
    """
    pool, labelled = unit(pool), unit(labelled)

    def kernel(first, second):
        return np.exp(-(np.linalg.norm(first[:, None] - second, axis=2) ** 2) / bandwidth**2)

    between = kernel(pool, pool)
    start = kernel(pool, labelled).max(axis=1) if len(labelled) else np.zeros(len(pool))
    for count, pick in enumerate(picks.tolist()):
        chosen = picks[:count].tolist()
        best = np.maximum(start, between[:, chosen].max(axis=1)) if chosen else start
        coverage = (weights[:, None] * np.maximum(best[:, None], between)).sum(axis=0)
        coverage[chosen] = -np.inf
        assert coverage[pick] >= coverage.max() - 1e-5


@pytest.mark.parametrize("bandwidth", [0.3, 1.0])
@pytest.mark.parametrize("known", [0, 25])
@pytest.mark.parametrize("seed", range(3))
def test_maxherding_raises_the_coverage_most(seed, known, bandwidth):
    rows = 5 * blobs(180 + known, 6, seed)
    pool, labelled = rows[:180], rows[180:]
    picks = maxherding(pool, 20, generator=seeded(), labelled=labelled, bandwidth=bandwidth)
    assert_greedy(picks, pool, labelled, np.ones(180), bandwidth)


@pytest.mark.parametrize("known", [0, 1, 25])
@pytest.mark.parametrize("seed", range(3))
def test_uherding_weighs_images_and_takes_the_smallest_distance_of_labels_as_bandwidth(seed, known):
    rows = blobs(160 + known, 5, seed)
    pool, labelled = rows[:160], rows[160:]
    if known > 1:
        labelled = torch.cat([labelled, labelled[:1]])  # distance 0 does not count
    uncertainty = torch.rand(160, generator=seeded(seed))
    between = np.linalg.norm(unit(labelled)[:, None] - unit(labelled), axis=2)
    bandwidth = between[between > 1e-6].min() if known > 1 else 1.0
    picks = uherding(pool, uncertainty, 15, generator=seeded(), labelled=labelled)
    assert_greedy(picks, pool, labelled, uncertainty.double().numpy(), bandwidth)


@pytest.mark.parametrize("low_precision", [True, False])
def test_first_bounds_hold_and_do_not_change_picks(monkeypatch, low_precision):
    monkeypatch.setattr("minimax_al.acquisition.bounded_products.WORTHWHILE", 1)
    monkeypatch.setattr("minimax_al.acquisition.bounded_products.multiplies_bfloat16", lambda _: low_precision)
    monkeypatch.setattr(module, "BLOCK_ROWS", 64)
    pool = blobs(250, 50, 2)
    points = torch.from_numpy(unit(pool)).float()
    herding = module._Herding(points, torch.ones(250, dtype=torch.float64), points[:3], 0.7)
    true = (herding.kernel(points) - herding.best).clamp(min=0).double().sum(dim=1)
    assert bool((herding.bound >= true).all())
    assert bool((herding.bound <= 1.2 * true + 3).all())
    picks = maxherding(pool, 25, generator=seeded(), bandwidth=0.7)
    assert_greedy(picks, pool, pool[:0], np.ones(250), 0.7)


def test_a_whole_pool_with_equal_rows_is_chosen_once_each():
    pool = torch.eye(4).repeat(5, 1)
    picks = maxherding(pool, 20, generator=seeded()).tolist()
    assert sorted(picks) == list(range(20))
    assert sorted(pick % 4 for pick in picks[:4]) == [0, 1, 2, 3]


def test_length_and_dtype_of_features_do_not_matter():
    pool = blobs(60, 8, 0).double()
    scales = torch.logspace(-200, 100, 60, dtype=torch.float64)[:, None]
    assert torch.equal(
        maxherding(pool, 9, generator=seeded()), maxherding((pool * scales).numpy(), 9, generator=seeded())
    )


def test_a_large_pool_is_drawn_uniformly_or_by_uncertainty():
    pool, generator = blobs(400, 5, 1), seeded(3)
    assert len(set(maxherding(pool, 30, generator=generator, most_images=50).tolist())) == 30
    uncertainty = torch.zeros(400)
    uncertainty[::4] = 1
    picks = uherding(pool, uncertainty, 30, generator=generator, most_images=50)
    assert bool((picks % 4 == 0).all())


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: maxherding(x, 9, generator=seeded()), BudgetError, "a budget of 9 is outside 1 … 4"),
        (
            lambda x: maxherding(x, 1, generator=seeded(), bandwidth=0),
            ConfigurationError,
            "bandwidth=0 must be above 0",
        ),
        (lambda x: maxherding(x[0], 1, generator=seeded()), ShapeError, r"features must have the shape \(N, D\)"),
        (lambda x: maxherding(x, 1, generator=seeded(), labelled=x[:, :1]), ShapeError, "labelled images have 1"),
        (lambda x: maxherding(x / 0, 1, generator=seeded()), NonFiniteScoreError, "features are NaN or infinite"),
        (lambda x: uherding(x, torch.ones(3), 1, generator=seeded()), ShapeError, "uncertainties are for 3 images"),
        (lambda x: uherding(x, -torch.ones(4), 1, generator=seeded()), ConfigurationError, "position 0 has -1.0"),
        (lambda x: uherding(x, torch.ones(4) / 0, 1, generator=seeded()), NonFiniteScoreError, "uncertainties are NaN"),
    ],
)
def test_bad_input_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call(torch.ones(4, 2))


@pytest.mark.parametrize("most", [5, 30, 39])
def test_a_drawn_part_estimates_the_sum_over_the_whole_pool_without_bias(most):
    generator = seeded(1)
    weights = torch.cat([torch.zeros(4), torch.logspace(-3, 1, 36)]).double()
    values = torch.linspace(1, 2, 40).double()
    true = float(weights @ values)
    estimates = []
    for _ in range(3000):
        part, counted = module._drawn_by(weights, most, generator)
        estimates.append(float(counted @ values[part]))
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - true) <= 4 * error + 1e-9
    assert error < 0.02 * true
