"""TypiClust's picks against brute force on well separated clusters."""

import importlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimax_al.acquisition import typicality
from minimax_al.errors import BudgetError, NonFiniteScoreError, ShapeError

# The package gives this name to the function.
k_means_module = importlib.import_module("minimax_al.acquisition.k_means")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def blobs(sizes, d=8, seed=0):
    """Far apart, and each of its own size; also which one each sample is of."""
    centers = 100 * torch.eye(len(sizes), max(d, len(sizes)))
    of = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return centers[of] + torch.randn(len(of), centers.shape[1], generator=seeded(seed)), of


def most_typical(rows, neighbours):
    """By the definition, in float64: the smallest mean distance to the nearest neighbours."""
    distances = np.linalg.norm(rows.double().numpy()[:, None] - rows.double().numpy(), axis=2)
    nearest = np.sort(distances, axis=1)[:, 1 : 1 + min(neighbours, len(rows) - 1)]
    return int(nearest.mean(axis=1).argmin())


@pytest.mark.parametrize("neighbours", [3, 20])
@pytest.mark.parametrize("seed", range(3))
def test_each_cluster_gives_its_most_typical_sample_the_largest_first(seed, neighbours):
    sizes = [30, 50, 10, 40]
    features, of = blobs(sizes, seed=seed)
    picks = typicality(features, 4, seeded(seed), neighbours=neighbours)
    assert of[picks].tolist() == [1, 3, 0, 2]
    for pick in picks.tolist():
        rows = (of == of[pick]).nonzero().flatten()
        assert pick == rows[most_typical(features[rows], neighbours)]


def test_clusters_without_labels_come_first():
    features, of = blobs([30, 30, 30, 30, 30])
    labelled = (of == 1) | (of == 3)
    labelled &= torch.arange(len(of)) % 15 == 0
    pool, known = features[~labelled], features[labelled]
    picks = typicality(pool, 3, seeded(), known, most_clusters=5)
    assert sorted(of[~labelled][picks].tolist()) == [0, 2, 4]
    labels = np.bincount(of[~labelled][typicality(pool, 8, seeded(), known, most_clusters=5)], minlength=5)
    assert sorted(labels + np.array([0, 2, 0, 2, 0])) == [2, 2, 2, 3, 3]


def test_a_few_outliers_wait_until_the_rest_is_covered():
    features, of = blobs([40, 3, 40])
    assert set(of[typicality(features, 3, seeded(), most_clusters=3)].tolist()) == {0, 2}


@settings(deadline=None, max_examples=25)
@given(
    count=st.integers(1, 40),
    share=st.floats(0, 1),
    known=st.integers(0, 9),
    values=st.integers(1, 4),
    cap=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_whatever_the_pool_the_picks_are_distinct_and_the_seed_decides(*, count, share, known, values, cap, seed):
    """Few values: many samples are equal, and there are fewer clusters than requested."""
    generator = np.random.default_rng(seed)
    pool, labelled = (generator.integers(0, values, (n, 2)).astype(np.float64) for n in (count, known))
    budget = max(1, round(share * count))
    picks = typicality(pool, budget, seeded(seed), labelled, most_clusters=cap)
    assert len(set(picks.tolist())) == len(picks) == budget
    assert all(0 <= pick < count for pick in picks.tolist())
    assert torch.equal(
        picks, typicality(torch.from_numpy(pool).half(), budget, seeded(seed), labelled, most_clusters=cap)
    )


def test_blocks_do_not_change_picks(monkeypatch):
    features, _ = blobs([60, 50, 40])
    expected = typicality(features, 9, seeded())
    monkeypatch.setattr(k_means_module, "BLOCK_ROWS", 7)
    monkeypatch.setattr("minimax_al.acquisition.typiclust.CHUNK_DISTANCES", 100)
    assert torch.equal(typicality(features, 9, seeded()), expected)


@pytest.mark.parametrize(
    ("features", "budget", "labelled", "error", "match"),
    [
        (torch.zeros(4, 2), 5, None, BudgetError, "a budget of 5 is outside 1 … 4"),
        (torch.zeros(4), 1, None, ShapeError, r"features must have the shape \(N, D\)"),
        (torch.zeros(4, 2), 1, torch.zeros(3, 3), ShapeError, "labelled images have 3 features each, the pool has 2"),
        (torch.tensor([[0.0], [torch.nan]]), 1, None, NonFiniteScoreError, "features are NaN or infinite"),
        (torch.zeros(2, 1), 1, torch.tensor([[torch.inf]]), NonFiniteScoreError, "labelled are NaN or infinite"),
    ],
)
def test_bad_input_is_refused(features, budget, labelled, error, match):
    with pytest.raises(error, match=match):
        typicality(features, budget, seeded(), labelled)


@pytest.mark.parametrize("scale", [2.0**-80, 2.0**-20, 1.0, 2.0**66, 2.0**120])
def test_picks_do_not_depend_on_the_scale(scale):
    samples = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    picks = [typicality(x, 5, torch.Generator().manual_seed(0)).tolist() for x in (samples, samples * scale)]
    assert picks[0] == picks[1]


def test_tight_clusters_far_apart_are_told_apart_inside():
    cluster = 0.1 * torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    pool = torch.cat([cluster + 1000, cluster - 1000])
    typical = []
    for half in pool.double().split(60):
        distances = torch.cdist(half, half, compute_mode="donot_use_mm_for_euclid_dist")
        typical.append(int(distances.topk(21, largest=False).values.sum(dim=1).argmin()))
    assert sorted(typicality(pool, 2, torch.Generator().manual_seed(0)).tolist()) == [typical[0], 60 + typical[1]]
