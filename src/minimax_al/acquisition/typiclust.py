"""TypiClust: typical samples of clusters that have no label yet; for the first labels of all.

Hacohen, Dekel and Weinshall, "Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets" (ICML 2022).
With few labels a model's uncertainty says little. The samples are clustered into as many clusters as there will be
labels; the largest cluster without a label gives its most typical sample, the one with the smallest mean distance
to its nearest neighbours within the cluster, and so on.
"""

import math

import torch
from torch import Tensor

from minimax_al.acquisition.checks import Array, as_dimensions, check_budget, check_finite
from minimax_al.errors import ShapeError

SMALLEST_CLUSTER = 5
"""Clusters of fewer samples give none as long as others can: rather outliers than kinds."""
ITERATIONS = 25
"""Most steps of k-means; its clusters hardly move any more by then."""
SEEDING_SAMPLES = 20_000
"""Samples among which k-means finds its first centres; drawn from larger pools."""
CHUNK = 4096
"""Samples whose distances to the centres are held at once."""
CHUNK_DISTANCES = 1 << 22
"""Distances within a cluster that are held at once."""


def typicality(
    features: Array,
    budget: int,
    generator: torch.Generator,
    labelled: Array | None = None,
    *,
    neighbours: int = 20,
    most_clusters: int = 500,
) -> Tensor:
    """Typical samples of the largest clusters that have no label.

    Time: O((N + L)·(clusters·d·iterations + largest cluster·d)); memory O((N + L)·d).

    Args:
        features: shape (N, d), of the unlabelled samples.
        budget: number of samples to choose, b.
        generator: a CPU generator; decides the clusters' first centres.
        labelled: shape (L, d), features of the samples that are labelled already.
        neighbours: how many nearest ones in its cluster make a sample typical.
        most_clusters: cap on the number of clusters, which else is L + b.

    Returns:
        Shape (b,), int64, in the order of picking, on the device of `features`.

    Raises:
        BudgetError: a budget below 1 or above N.
        ShapeError: other shapes, or two widths.
        NonFiniteScoreError: a feature is NaN or infinite.

    Example:
        >>> pool = torch.tensor([[0.0], [1.0], [2.0], [50.0], [51.0], [52.0]])
        >>> sorted(typicality(pool, 2, torch.Generator().manual_seed(0)).tolist())
        [1, 4]
    """
    samples_ND = as_dimensions(features, "ND", "features")
    known_LD = samples_ND[:0] if labelled is None else as_dimensions(labelled, "ND", "labelled")
    if known_LD.shape[1] != samples_ND.shape[1]:
        raise ShapeError(f"labelled samples have {known_LD.shape[1]} features each, the others {samples_ND.shape[1]}")
    budget = check_budget(budget, len(samples_ND))
    for name, rows in (("features", samples_ND), ("labelled", known_LD)):
        check_finite(rows, name)
    both_MD = _centred(torch.cat([samples_ND, known_LD.to(samples_ND.device)]))
    count = min(len(known_LD) + budget, most_clusters, len(both_MD))
    clusters_M = k_means(both_MD, count, generator)
    return _pick(both_MD, clusters_M, len(samples_ND), budget, neighbours)


def _centred(rows: Tensor) -> Tensor:
    """Rows around the origin, at most 1 in size, in float32: their squares neither overflow nor vanish."""
    scaled = rows.double() * _power_below_one(rows)
    scaled -= scaled.mean(dim=0)
    return (scaled * _power_below_one(scaled)).float()


def _power_below_one(rows: Tensor) -> float:
    """A power of two that brings all values below 1."""
    return 2.0 ** min(-math.frexp(float(rows.abs().max()))[1], 1000)


def k_means(features: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """The cluster of every sample by Lloyd's rule, from centres that k-means++ finds in a part of the samples.

    Args:
        features: shape (N, d), float32, best around the origin.
        count: number of clusters, at most N; fewer where there are fewer distinct samples.
        generator: a CPU generator.

    Returns:
        Shape (N,), int64.
    """
    part = features
    if len(features) > SEEDING_SAMPLES:
        drawn = torch.randperm(len(features), generator=generator)[: max(SEEDING_SAMPLES, count)]
        part = features[drawn.to(features.device)]
    centers = _first_centers(part, count, generator)
    clusters = _nearest(features, centers)
    for _ in range(ITERATIONS):
        sizes = torch.bincount(clusters, minlength=len(centers))
        sums = torch.zeros_like(centers).index_add_(0, clusters, features)
        moved = sums / sizes.clamp(min=1)[:, None]
        centers = torch.where((sizes > 0)[:, None], moved, centers)
        before, clusters = clusters, _nearest(features, centers)
        if torch.equal(before, clusters):
            break
    return clusters


def _first_centers(features: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """k-means++ (Arthur and Vassilvitskii 2007): each centre drawn by its squared distance to those before."""
    chosen = [int(torch.randint(len(features), (1,), generator=generator))]
    distance = torch.full((len(features),), torch.inf, device=features.device)
    while True:
        distance = torch.minimum(distance, (features - features[chosen[-1]]).square().sum(dim=1))
        total = distance.double().cumsum(dim=0)
        if len(chosen) == count or total[-1] == 0:  # no other sample differs from all centres
            return features[chosen]
        drawn = float(torch.rand((), generator=generator, dtype=torch.float64)) * total[-1]
        place = int(torch.searchsorted(total, drawn, right=True))
        chosen.append(min(place, len(features) - 1))


def _nearest(features: Tensor, centers: Tensor) -> Tensor:
    norms = centers.square().sum(dim=1)
    return torch.cat([torch.addmm(norms, chunk, centers.T, alpha=-2).argmin(dim=1) for chunk in features.split(CHUNK)])


def _pick(features: Tensor, clusters: Tensor, pool: int, budget: int, neighbours: int) -> Tensor:
    """From the largest of the clusters with fewest labels, the most typical of the first `pool` samples; and again."""
    order = torch.argsort(clusters, stable=True)
    members = [rows.tolist() for rows in order.split(torch.bincount(clusters).tolist())]
    labels = [sum(row >= pool for row in rows) for rows in members]
    waiting: dict[int, list[int]] = {}  # samples of the clusters seen so far, the most typical last
    open_clusters = {index for index, rows in enumerate(members) if len(rows) > labels[index]}
    picks: list[int] = []
    while len(picks) < budget:
        best = min(
            open_clusters,
            key=lambda index: (len(members[index]) < SMALLEST_CLUSTER, labels[index], -len(members[index]), index),
        )
        if best not in waiting:
            rows = torch.tensor(members[best], device=features.device)
            atypical = torch.argsort(_mean_distances(features[rows], neighbours), descending=True, stable=True)
            waiting[best] = [row for row in rows[atypical].tolist() if row < pool]
        picks.append(waiting[best].pop())
        labels[best] += 1
        if not waiting[best]:
            open_clusters.remove(best)
    return torch.tensor(picks, device=features.device)


def _mean_distances(features: Tensor, neighbours: int) -> Tensor:
    """Mean distance of each sample to its nearest neighbours, the inverse of its typicality; 0 for one alone."""
    size = len(features)
    count = min(neighbours, size - 1)
    if count == 0:
        return torch.zeros(size, device=features.device)
    means = []
    # Around their own mean and in float64: a tight cluster far out would else be told apart by rounding.
    features = features.double() - features.double().mean(dim=0)
    for chunk in features.split(max(1, CHUNK_DISTANCES // size)):
        nearest = torch.cdist(chunk, features).topk(count + 1, dim=1, largest=False, sorted=True).values
        means.append(nearest[:, 1:].mean(dim=1))  # the nearest is the sample itself
    return torch.cat(means)
