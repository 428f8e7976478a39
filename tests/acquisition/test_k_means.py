"""k-means against scikit-learn's, and its invariants in float64."""

import importlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from minimax_al.acquisition import k_means
from minimax_al.errors import BudgetError, NonFiniteScoreError, ShapeError

# The package gives this name to the function.
module = importlib.import_module("minimax_al.acquisition.k_means")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def twelve_kinds(seed, width):
    """Twelve kinds of unequal size and spread, as embeddings of photographs have them."""
    generator = seeded(seed)
    centers = torch.randn(12, width, generator=generator)
    of = torch.arange(12).repeat_interleave(torch.tensor([150, 90, 60, 50, 40, 30, 30, 20, 20, 10, 10, 10]))
    spread = (0.5 + torch.rand(12, 1, generator=generator)) * min(0.2, 0.5 / width**0.5)
    return centers[of] + spread[of] * torch.randn(len(of), width, generator=generator), of


class OnDisk:
    """Rows in float16 that are only read by slices and indices."""

    def __init__(self, rows):
        self.stored, self.shape, self.most = rows.half(), tuple(rows.shape), 0

    def __len__(self):
        return len(self.stored)

    def __getitem__(self, which):
        block = self.stored[which].float()
        self.most = max(self.most, len(block))
        return block


@pytest.mark.parametrize(("clusters", "width"), [(5, 6), (30, 6), (12, 400), (60, 400)])
def test_inertia_is_within_two_percent_of_scikit_learns(clusters, width):
    features = torch.randn(900, width, generator=seeded(3))
    other = np.mean([KMeans(clusters, n_init=1, random_state=seed).fit(features.numpy()).inertia_ for seed in range(3)])
    ours = np.mean([k_means(features, clusters, generator=seeded(seed)).inertia for seed in range(3)])
    assert ours <= 1.02 * other


def kinds_with_a_cluster(of, assignments):
    return len({int(torch.bincount(of[assignments == cluster]).argmax()) for cluster in assignments.unique()})


@pytest.mark.parametrize("width", [8, 300])
def test_clusters_cover_no_fewer_kinds_than_scikit_learns(width):
    ours, others = [], []
    for seed in range(4):
        features, of = twelve_kinds(seed, width)
        ours += [kinds_with_a_cluster(of, k_means(features, 12, generator=seeded(run)).assignments) for run in range(2)]
        labels = (KMeans(12, n_init=1, random_state=run).fit(features.numpy()).labels_ for run in range(2))
        others += [kinds_with_a_cluster(of, torch.from_numpy(found).long()) for found in labels]
    assert np.mean(ours) >= max(11.5 if width == 8 else 12, np.mean(others))


@pytest.mark.parametrize("part", [1 << 26, 2000])
@pytest.mark.parametrize(("size", "clusters", "width"), [(300, 7, 5), (500, 20, 300)])
def test_every_row_is_assigned_to_its_nearest_center(monkeypatch, size, clusters, width, part):
    monkeypatch.setattr(module, "PART_NUMBERS", part)
    monkeypatch.setattr(module, "BLOCK_ROWS", 64)
    features = 5 + torch.randn(size, width, generator=seeded(1))
    found = k_means(features, clusters, generator=seeded(2))
    squared = torch.cdist(features.double(), found.centers.double()).square()
    assert torch.equal(found.assignments, squared.argmin(dim=1))
    torch.testing.assert_close(found.distances, squared.amin(dim=1), rtol=1e-4, atol=1e-4)
    assert found.inertia == pytest.approx(float(found.distances.sum()))


def test_centers_are_means_of_their_clusters_and_a_local_optimum():
    features = torch.randn(400, 3, generator=seeded(5))
    found = k_means(features, 6, generator=seeded(0))
    means = torch.stack([features[found.assignments == cluster].double().mean(dim=0) for cluster in range(6)])
    # Lloyd's steps end when the inertia falls by less than a thousandth.
    total = (features.double() - means[found.assignments]).square().sum()
    assert float(total) <= found.inertia <= 1.002 * float(total)


def test_more_restarts_are_never_worse_on_average():
    features, _ = twelve_kinds(0, 8)
    one, four = (
        np.mean([k_means(features, 12, generator=seeded(seed), restarts=count).inertia for seed in range(8)])
        for count in (1, 4)
    )
    assert four <= one


@settings(deadline=None, max_examples=25)
@given(count=st.integers(1, 40), share=st.floats(0, 1), values=st.integers(1, 3), seed=st.integers(0, 99))
def test_equal_rows_share_a_cluster_and_clusters_are_at_most_the_distinct_rows(count, share, values, seed):
    rows = torch.from_numpy(np.random.default_rng(seed).integers(0, values, (count, 2)).astype(np.float32))
    clusters = max(1, round(share * count))
    found = k_means(rows, clusters, generator=seeded(seed))
    distinct, of = rows.unique(dim=0, return_inverse=True)
    assert len(found.centers) == min(clusters, len(distinct))
    for kind in range(len(distinct)):
        assert len(found.assignments[of == kind].unique()) == 1
    if clusters >= len(distinct):
        assert found.inertia == pytest.approx(0, abs=1e-9)


def test_rows_on_disk_and_arrays_give_the_same_clusters_as_tensors():
    features = torch.randn(700, 40, generator=seeded(0)).half()
    rows = OnDisk(features)
    expected = k_means(features, 9, generator=seeded(1))
    for given_as in (rows, features.numpy(), features.double().numpy()):
        found = k_means(given_as, 9, generator=seeded(1))
        assert torch.equal(found.assignments, expected.assignments)


def test_a_large_pool_is_read_by_blocks_only(monkeypatch):
    monkeypatch.setattr(module, "PART_NUMBERS", 10_000)
    monkeypatch.setattr(module, "BLOCK_ROWS", 100)
    rows = OnDisk(torch.randn(3000, 10, generator=seeded(0)))
    found = k_means(rows, 5, generator=seeded(0))
    assert rows.most <= 256
    whole = k_means(rows.stored, 5, generator=seeded(0), restarts=4)
    assert found.inertia <= 1.1 * whole.inertia


def test_a_pass_of_mini_batches_brings_the_centers_of_a_part_nearer_to_all_images(monkeypatch):
    monkeypatch.setattr(module, "PART_NUMBERS", 2_000)
    monkeypatch.setattr(module, "BLOCK_ROWS", 100)
    with_pass, without = [], []
    for seed in range(6):
        features = torch.randn(6000, 10, generator=seeded(seed)) * torch.linspace(0.2, 3, 10)
        with_pass.append(k_means(features, 12, generator=seeded(seed)).inertia)
        with monkeypatch.context() as patch:
            patch.setattr(module, "_streamed", lambda rows, frame, found: found.centers)
            without.append(k_means(features, 12, generator=seeded(seed)).inertia)
    assert all(now < before for now, before in zip(with_pass, without, strict=True))


@pytest.mark.parametrize("scale", [2.0**-80, 2.0**-20, 2.0**66, 2.0**120])
def test_assignments_do_not_depend_on_the_scale(scale):
    features = torch.randn(200, 4, generator=seeded(0))
    found, scaled = (k_means(rows, 6, generator=seeded(0)) for rows in (features, features * scale))
    assert torch.equal(found.assignments, scaled.assignments)
    assert math.log2(scaled.inertia / found.inertia) == pytest.approx(2 * math.log2(scale))


@pytest.mark.parametrize(
    ("features", "clusters", "error", "match"),
    [
        (torch.zeros(4, 2), 5, BudgetError, "a budget of 5 is outside 1 … 4"),
        (torch.zeros(4, 2), 0, BudgetError, "a budget of 0 is outside 1 … 4"),
        (torch.zeros(4), 1, ShapeError, r"features must have the shape \(N, D\), not \(4,\)"),
        (torch.tensor([[0.0], [torch.nan]]), 1, NonFiniteScoreError, "NaN or infinite for 1 of 2"),
        (OnDisk(torch.tensor([[0.0], [torch.inf]])), 1, NonFiniteScoreError, "at positions 1"),
        (OnDisk(torch.zeros(3)), 1, ShapeError, r"features must have the shape \(N, D\), not \(3,\)"),
    ],
)
def test_bad_input_is_refused(features, clusters, error, match):
    with pytest.raises(error, match=match):
        k_means(features, clusters, generator=seeded())


def test_a_bad_row_outside_the_part_is_refused(monkeypatch):
    monkeypatch.setattr(module, "PART_NUMBERS", 100)
    rows = torch.randn(4000, 2, generator=seeded(0))
    drawn = set(torch.randperm(4000, generator=seeded(7))[:50].tolist())
    rows[next(row for row in range(4000) if row not in drawn)] = torch.nan
    with pytest.raises(NonFiniteScoreError, match="features are NaN or infinite for 1 of 4000"):
        k_means(rows, 2, generator=seeded(7))
