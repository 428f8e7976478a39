"""Centroids, DropQuery and Cluster-Margin against their definitions written out."""

import importlib

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import average, fcluster
from scipy.spatial.distance import pdist
from scipy.stats import binom, chisquare

from minimax_al.acquisition import centroids, cluster_margin, dropquery, k_means, margin
from minimax_al.errors import (
    BudgetError,
    ConfigurationError,
    NonFiniteScoreError,
    ShapeError,
    UnknownNameError,
)

dropquery_module = importlib.import_module("minimax_al.acquisition.dropquery")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def blobs(sizes, width=6, seed=0):
    """Well separated clusters of these sizes, and the cluster of every row."""
    generator = seeded(seed)
    centers = 50 * torch.eye(len(sizes), max(width, len(sizes)))
    of = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return centers[of] + torch.randn(len(of), centers.shape[1], generator=generator), of


class OnDisk:
    """Rows in float16 that are only read by slices and indices."""

    def __init__(self, rows):
        self.stored, self.shape = rows.half(), tuple(rows.shape)

    def __len__(self):
        return len(self.stored)

    def __getitem__(self, which):
        return self.stored[which].float()


def nearest_to_mean(rows):
    rows = rows.double()
    return int((rows - rows.mean(dim=0)).square().sum(dim=1).argmin())


@pytest.mark.parametrize("seed", range(3))
def test_centroids_are_the_rows_nearest_to_the_means_the_largest_cluster_first(seed):
    features, of = blobs([20, 60, 40, 10], seed=seed)
    picks = centroids(features, 4, generator=seeded(seed))
    assert of[picks].tolist() == [1, 2, 0, 3]
    for pick in picks.tolist():
        rows = (of == of[pick]).nonzero().flatten()
        assert pick == rows[nearest_to_mean(features[rows])]


def test_clusters_with_a_label_come_last():
    features, of = blobs([40, 30, 20, 10])
    labelled = features[of == 0][:1]
    picks = centroids(features[of > 0], 3, generator=seeded(), labelled=labelled)
    assert of[of > 0][picks].tolist() == [1, 2, 3]
    crowded = features[of == 0]
    both = centroids(features, 5, generator=seeded(), labelled=crowded[:1])
    assert of[both][:3].tolist() == [1, 2, 3] or of[both][:4].tolist().count(0) <= 1


def test_more_picks_than_clusters_take_the_next_nearest_rows():
    features = torch.arange(4.0)[:, None].repeat(5, 1)
    picks = centroids(features, 20, generator=seeded())
    assert sorted(picks.tolist()) == list(range(20))
    for begin in range(0, 20, 4):
        assert sorted(features[picks[begin : begin + 4], 0].tolist()) == [0, 1, 2, 3]


def head(width, classes, seed=0):
    weights = torch.randn(width, classes, generator=seeded(seed))
    return lambda block: block @ weights


def reference_dropquery(features, logits_of, budget, *, passes, rate, generator):
    """The rule with the same masks, one image after the other."""
    masks = []
    for begin in range(0, len(features), dropquery_module.BLOCK_ROWS):
        block = features[begin : begin + dropquery_module.BLOCK_ROWS]
        masks.append(
            torch.stack(
                [dropquery_module.drop_out(torch.ones_like(block), round(rate * 256), generator) for _ in range(passes)]
            )
        )
    masks = torch.cat(masks, dim=1)
    changes = []
    for row, image in enumerate(features):
        plain = int(logits_of(image[None]).argmax())
        changes.append(
            sum(int(logits_of((image * mask)[None] / (1 - rate)).argmax()) != plain for mask in masks[:, row])
        )
    changes = np.array(changes)
    candidates = np.flatnonzero(changes > passes / 2)
    if len(candidates) < budget:
        order = np.lexsort((margin(logits_of(features)).numpy(), -changes))
        candidates = np.sort(order[:budget])
    found = k_means(features[candidates], budget, generator=generator)
    picks = []
    for cluster in range(len(found.centers)):
        rows = candidates[found.assignments.numpy() == cluster]
        picks.append(int(rows[(features[rows] - found.centers[cluster]).square().sum(dim=1).argmin()]))
    return picks


@pytest.mark.parametrize(("budget", "passes", "rate"), [(12, 3, 0.75), (5, 4, 0.5), (60, 3, 0.25)])
def test_dropquery_follows_its_definition(budget, passes, rate):
    features = torch.randn(300, 16, generator=seeded(1))
    logits_of = head(16, 5)
    picks = dropquery(features, logits_of, budget, generator=seeded(4), passes=passes, rate=rate)
    expected = reference_dropquery(features, logits_of, budget, passes=passes, rate=rate, generator=seeded(4))
    assert sorted(picks.tolist()) == sorted(expected)


def test_few_unstable_images_are_filled_up_with_the_least_sure():
    # Only the first feature matters, and its sign decides: dropout never turns a sign.
    features = torch.linspace(0.1, 2.0, 20)[:, None] * torch.ones(1, 3)
    picks = dropquery(features, lambda block: torch.stack([block[:, 0], -block[:, 0]], dim=1), 4, generator=seeded())
    assert sorted(picks.tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("dropped", [1, 64, 192, 255])
def test_dropout_keeps_each_number_independently_with_the_right_probability(dropped):
    block = dropquery_module.drop_out(torch.ones(500, 41), dropped, seeded(dropped))
    kept = block != 0
    assert bool((block[kept] == 1).all())
    share = 1 - dropped / 256
    assert binom.cdf(int(kept.sum()), kept.numel(), share) > 1e-4
    assert binom.sf(int(kept.sum()) - 1, kept.numel(), share) > 1e-4
    # Rows and columns are alike, and no mask repeats.
    expected = share * 41
    if 5 < expected < 36:
        assert chisquare(kept.sum(dim=1).numpy(), np.full(500, kept.sum().item() / 500)).pvalue > 1e-4
        assert len(kept.unique(dim=0)) == 500


def test_dropquery_reads_rows_on_disk_by_blocks(monkeypatch):
    monkeypatch.setattr(dropquery_module, "BLOCK_ROWS", 64)
    features = torch.randn(300, 16, generator=seeded(1)).half()
    logits_of = head(16, 5)
    expected = dropquery(features, logits_of, 9, generator=seeded(2))
    assert torch.equal(dropquery(OnDisk(features), logits_of, 9, generator=seeded(2)), expected)
    assert torch.equal(dropquery(features.numpy(), logits_of, 9, generator=seeded(2)), expected)


def round_robin_is_fair(clusters, picks):
    """Whether each visit goes through all clusters that have members left, the small ones first."""
    sizes = np.bincount(clusters)
    visits = np.zeros_like(sizes)
    previous = (0, 0)
    for pick in picks:
        step = (int(visits[clusters[pick]]), int(sizes[clusters[pick]]))
        if step < previous:
            return False
        previous = step
        visits[clusters[pick]] += 1
    return all(visits[k] >= min(sizes[k], visits.max() - 1) for k in range(len(sizes)))


@pytest.mark.parametrize("seed", range(4))
def test_cluster_margin_visits_clusters_in_ascending_size(seed):
    features, _ = blobs([30, 5, 12, 3, 50], seed=seed)
    margins = torch.rand(100, generator=seeded(seed))
    picks = cluster_margin(
        features, margins, 10, generator=seeded(seed), factor=5, clustering="average_linkage"
    ).numpy()
    candidates = margins.argsort(stable=True)[:50].numpy()
    assert set(picks) <= set(candidates)
    assert len(set(picks)) == 10
    tree = average(pdist(features[candidates].double().numpy()))
    clusters = np.full(100, -1)
    clusters[candidates] = fcluster(tree, 10, criterion="maxclust") - 1
    position = {row: place for place, row in enumerate(candidates)}
    assert round_robin_is_fair(clusters[candidates], [position[pick] for pick in picks])


def test_clusters_of_the_pool_are_used_where_they_are_given():
    clusters = torch.tensor([7, 7, 7, 7, 2, 2, 5])
    margins = torch.tensor([0.1, 0.2, 0.3, 0.9, 0.2, 0.3, 0.4])
    picks = cluster_margin(torch.zeros(7, 1), margins, 4, generator=seeded(), factor=1.5, clusters=clusters).tolist()
    assert picks[0] == 6
    assert picks[1] in {4, 5}
    assert picks[2] in {0, 1, 2}
    assert picks[3] in {4, 5}
    draws = [
        cluster_margin(torch.zeros(7, 1), margins, 3, generator=seeded(seed), factor=2, clusters=clusters).tolist()[2]
        for seed in range(60)
    ]
    assert set(draws) == {0, 1, 2}


def test_thinned_margins_are_the_candidates_nearest_to_their_means():
    features, of = blobs([30, 30, 30])
    margins = torch.rand(90, generator=seeded(1))
    margins[of == 2] += 1
    picks = cluster_margin(features, margins, 2, generator=seeded(), factor=20)
    assert sorted(of[picks].tolist()) == [0, 1]
    candidates = margins.argsort()[:40]
    for pick in picks.tolist():
        rows = candidates[of[candidates] == of[pick]]
        assert pick == rows[nearest_to_mean(features[rows])]
    everything = cluster_margin(features, margins, 90, generator=seeded())
    assert sorted(everything.tolist()) == list(range(90))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x, g: centroids(x, 5, generator=g), BudgetError, "a budget of 5 is outside 1 … 4"),
        (lambda x, g: centroids(x, 1, generator=g, labelled=x[:, :1]), ShapeError, "labelled images have 1 features"),
        (lambda x, g: dropquery(x, lambda b: b, 5, generator=g), BudgetError, "a budget of 5 is outside"),
        (lambda x, g: dropquery(x, lambda b: b, 1, generator=g, passes=0), ConfigurationError, "passes=0 must be 1"),
        (
            lambda x, g: dropquery(x, lambda b: b, 1, generator=g, rate=1.0),
            ConfigurationError,
            "rate=1.0 is not a share",
        ),
        (lambda x, g: dropquery(x, lambda b: b[:1], 1, generator=g), ShapeError, "logits for 1 images of a block of 4"),
        (lambda x, g: dropquery(x, lambda b: b[:, 0], 1, generator=g), ShapeError, r"must have the shape \(N, K\)"),
        (
            lambda x, g: dropquery(x / 0, lambda b: b, 1, generator=g),
            NonFiniteScoreError,
            "features are NaN or infinite",
        ),
        (lambda x, g: dropquery(x, lambda b: b / 0, 1, generator=g), NonFiniteScoreError, "logits of the images"),
        (lambda x, g: cluster_margin(x, x[:, 0], 5, generator=g), BudgetError, "a budget of 5 is outside"),
        (
            lambda x, g: cluster_margin(x, x[:2, 0], 1, generator=g),
            ShapeError,
            "margins are for 2 images, features for 4",
        ),
        (
            lambda x, g: cluster_margin(x, x[:, 0] / 0, 1, generator=g),
            NonFiniteScoreError,
            "margins are NaN or infinite",
        ),
        (
            lambda x, g: cluster_margin(x, x[:, 0], 1, generator=g, factor=0.5),
            ConfigurationError,
            "factor=0.5 must be 1",
        ),
        (
            lambda x, g: cluster_margin(x, x[:, 0], 1, generator=g, clustering="k_mean"),
            UnknownNameError,
            r"unknown clustering 'k_mean'.*k_means",
        ),
        (
            lambda x, g: cluster_margin(x, x[:, 0], 1, generator=g, clusters=torch.zeros(3)),
            ShapeError,
            "clusters are for 3",
        ),
    ],
)
def test_bad_input_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call(torch.ones(4, 2), seeded())


def test_too_many_candidates_for_average_linkage_are_refused(monkeypatch):
    monkeypatch.setattr(importlib.import_module("minimax_al.acquisition.cluster_margin"), "MOST_LINKED", 10)
    with pytest.raises(ConfigurationError, match=r"average linkage of 20 candidates .* at most 10 are allowed"):
        cluster_margin(
            torch.randn(30, 2), torch.rand(30), 2, generator=seeded(), clustering="average_linkage", factor=10
        )
