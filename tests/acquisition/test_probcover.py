"""ProbCover against greedy maximum coverage written from its formula in float64."""

import importlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimax_al.acquisition import covering_radius, k_means, probcover
from minimax_al.acquisition.close_rows import DistanceBlocks
from minimax_al.errors import BudgetError, ConfigurationError, NonFiniteScoreError, ShapeError

# The package gives this name to the function.
module = importlib.import_module("minimax_al.acquisition.probcover")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def blobs(count, width, kinds, seed):
    generator = seeded(seed)
    centers = 4 * torch.randn(kinds, width, generator=generator)
    of = torch.randint(kinds, (count,), generator=generator)
    return centers[of] + torch.randn(count, width, generator=generator)


def pairwise(rows):
    rows = rows.double().numpy()
    return np.linalg.norm(rows[:, None] - rows, axis=2)


def greedy_cover(distances, radius, budget, labelled=0):
    """By the definition; labelled rows are the last ones."""
    balls = distances < radius
    choices = len(balls) - labelled
    covered = balls[choices:].any(axis=0)
    picks = []
    for _ in range(budget):
        gains = (balls[:choices] & ~covered).sum(axis=1)
        gains[picks] = -1
        picks.append(int(gains.argmax()))
        covered |= balls[picks[-1]]
    return picks


def largest_pure_radius(distances, clusters, purity):
    """By the definition: try every distance as the radius."""
    other = clusters[:, None] != clusters
    best = 0.0
    for radius in np.unique(distances[other]):
        pure = ~((distances < radius) & other).any(axis=1)
        if pure.mean() >= purity:
            best = radius
    return best


@pytest.mark.parametrize("purity", [0.5, 0.95, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_radius_is_the_largest_with_enough_pure_balls(seed, purity):
    rows = blobs(120, 5, 6, seed)
    clusters = k_means(rows, 6, generator=seeded(seed)).assignments.numpy()
    expected = largest_pure_radius(pairwise(rows), clusters, purity)
    assert covering_radius(rows, 6, generator=seeded(seed), purity=purity) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("budget", [1, 7, 150])
@pytest.mark.parametrize("radius", [0.5, 2.0, 4.0, 100.0])
def test_picks_are_those_of_greedy_maximum_coverage(budget, radius):
    rows = blobs(150, 4, 8, 1)
    picks = probcover(rows, budget, generator=seeded(), radius=radius)
    assert picks.tolist() == greedy_cover(pairwise(rows), radius, budget)


@pytest.mark.parametrize("purity", [0.6, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_picks_with_the_radius_from_purity_and_labelled_images(seed, purity):
    rows = blobs(160, 6, 5, seed)
    pool, labelled = rows[:140], rows[140:]
    clusters = k_means(rows, 5, generator=seeded(seed)).assignments.numpy()
    radius = largest_pure_radius(pairwise(rows), clusters, purity)
    picks = probcover(pool, 20, generator=seeded(seed), classes=5, labelled=labelled, purity=purity)
    assert picks.tolist() == greedy_cover(pairwise(rows), radius, 20, labelled=20)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("radius_from", ["radius", "purity"])
def test_low_precision_decides_nothing(monkeypatch, dtype, radius_from):
    monkeypatch.setattr("minimax_al.acquisition.bounded_products.WORTHWHILE", 1)
    monkeypatch.setattr(
        "minimax_al.acquisition.bounded_products.multiplies_bfloat16", lambda _: dtype == torch.bfloat16
    )
    monkeypatch.setattr(module, "BLOCK_ROWS", 50)
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 2000)
    rows = blobs(200, 40, 6, 3)
    distances = pairwise(rows)
    if radius_from == "radius":
        radius = float(np.quantile(distances, 0.1))
        picks = probcover(rows, 30, generator=seeded(), radius=radius)
    else:
        clusters = k_means(rows, 6, generator=seeded()).assignments.numpy()
        radius = largest_pure_radius(distances, clusters, 0.9)
        picks = probcover(rows, 30, generator=seeded(), classes=6, purity=0.9)
    assert DistanceBlocks(rows).values.dtype == dtype
    assert picks.tolist() == greedy_cover(distances, radius, 30)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_the_error_bound_holds(monkeypatch, dtype, offset):
    monkeypatch.setattr("minimax_al.acquisition.bounded_products.WORTHWHILE", 1)
    monkeypatch.setattr(
        "minimax_al.acquisition.bounded_products.multiplies_bfloat16", lambda _: dtype == torch.bfloat16
    )
    rows = (
        offset * torch.randn(1, 200, generator=seeded(1)) + blobs(300, 200, 9, 4) * torch.logspace(-3, 0, 300)[:, None]
    )
    blocks = DistanceBlocks(rows)
    true = torch.from_numpy(pairwise(rows)).square() * blocks.unit
    off = (blocks.squared(slice(None), slice(None)).double() - true).abs()
    assert bool((off <= blocks.error[:, None]).all())
    assert bool((off <= blocks.error).all())


@settings(deadline=None, max_examples=25)
@given(
    count=st.integers(1, 30),
    share=st.floats(0, 1),
    known=st.integers(0, 6),
    values=st.integers(1, 3),
    classes=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_equal_rows_few_clusters_and_whole_pools(*, count, share, known, values, classes, seed):
    rows = torch.from_numpy(np.random.default_rng(seed).integers(0, values, (count + known, 2)).astype(np.float64))
    budget = max(1, round(share * count))
    picks = probcover(rows[:count], budget, generator=seeded(seed), classes=classes, labelled=rows[count:])
    clusters = k_means(rows, min(classes, len(rows)), generator=seeded(seed)).assignments.numpy()
    one = len(set(clusters.tolist())) == 1
    radius = np.inf if one else largest_pure_radius(pairwise(rows), clusters, 0.95)
    assert picks.tolist() == greedy_cover(pairwise(rows), radius, budget, labelled=known)


def test_a_large_pool_is_represented_by_a_drawn_part():
    rows = blobs(300, 4, 8, 1)
    part = torch.randperm(300, generator=seeded(5))[:100].sort().values
    picks = probcover(rows, 10, generator=seeded(5), radius=2.0, most_images=100)
    assert picks.tolist() == part[greedy_cover(pairwise(rows[part]), 2.0, 10)].tolist()


@pytest.mark.parametrize(
    ("features", "budget", "settings", "error", "match"),
    [
        (torch.zeros(4, 2), 5, {"radius": 1.0}, BudgetError, "a budget of 5 is outside 1 … 4"),
        (torch.zeros(4, 2), 1, {}, ConfigurationError, "needs classes, the number of classes, or the radius"),
        (torch.zeros(4, 2), 1, {"radius": 0.0}, ConfigurationError, "radius=0.0 must be above 0"),
        (torch.zeros(4, 2), 1, {"classes": 0}, ConfigurationError, "classes=0 must be 1 or more"),
        (torch.zeros(4, 2), 1, {"classes": 2, "purity": 1.5}, ConfigurationError, "purity=1.5 is not a share"),
        (torch.zeros(4), 1, {"radius": 1.0}, ShapeError, r"features must have the shape \(N, D\)"),
        (torch.zeros(4, 2), 1, {"radius": 1.0, "labelled": torch.zeros(1, 3)}, ShapeError, "labelled images have 3"),
        (torch.tensor([[torch.nan]]), 1, {"radius": 1.0}, NonFiniteScoreError, "features are NaN"),
    ],
)
def test_bad_input_is_refused(features, budget, settings, error, match):
    with pytest.raises(error, match=match):
        probcover(features, budget, generator=seeded(), **settings)
