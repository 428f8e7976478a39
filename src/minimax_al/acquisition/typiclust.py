"""TypiClust: typical images of clusters that have no label yet; for the first labels.

Hacohen, Dekel and Weinshall, "Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets" (ICML 2022).
A model that was trained on few labels has no informative uncertainty. The images are clustered; the number of clusters
is the number of labels after the choice. The largest cluster without a label gives its most typical image, which is the
one with the smallest mean distance to its nearest neighbours within the cluster; then the next cluster follows.
"""

import heapq

import torch
from torch import Tensor

from minimax_al.acquisition.checks import check_budget
from minimax_al.acquisition.k_means import k_means
from minimax_al.acquisition.rows import (
    FeatureMatrix,
    Joined,
    Rows,
    as_rows,
    check_finite_rows,
    check_same_width,
    device_of,
)

SMALLEST_CLUSTER = 5
"""Clusters of fewer images are chosen from last: they are outliers rather than kinds."""
CHUNK_DISTANCES = 1 << 22
"""Distances within a cluster that are held at once."""


def typicality(
    features: FeatureMatrix,
    budget: int,
    generator: torch.Generator,
    labelled: FeatureMatrix | None = None,
    *,
    neighbours: int = 20,
    most_clusters: int = 500,
) -> Tensor:
    """Return typical images of the largest clusters that have no label.

    Time O((N + L)·(clusters·d + largest cluster·d)); memory O(N + L) and about 600 MiB at most in addition to the
    features.

    Args:
        features: Features of the unlabelled images, shape (N, d), any real dtype; may stay on disk.
        budget: Number of images to choose, b.
        generator: CPU generator; decides the clusters' first centres.
        labelled: Features of the labelled images, shape (L, d).
        neighbours: Number of nearest neighbours in the cluster that define typicality.
        most_clusters: Cap on the number of clusters, which is L + b otherwise.

    Returns:
        Shape (b,), int64, in order of choice, on the device of `features`.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ShapeError: The features are not matrices of one width.
        NonFiniteScoreError: A feature is NaN or infinite.

    Example:
        >>> pool = torch.tensor([[0.0], [1.0], [2.0], [50.0], [51.0], [52.0]])
        >>> sorted(typicality(pool, 2, torch.Generator().manual_seed(0)).tolist())
        [1, 4]
    """
    pool = as_rows(features)
    budget = check_budget(budget, len(pool))
    both = with_labelled(pool, labelled)
    clusters = k_means(both, min(len(both) - len(pool) + budget, most_clusters, len(both)), generator=generator)
    return _pick(both, clusters.assignments, len(pool), budget, neighbours)


def with_labelled(pool: Rows, labelled: FeatureMatrix | None) -> Rows:
    """Return the pool followed by the labelled images.

    Raises:
        ShapeError: The widths differ.
        NonFiniteScoreError: A feature of a labelled image is NaN or infinite.
    """
    if labelled is None:
        return pool
    known = as_rows(labelled, "labelled")
    check_same_width(pool, known)
    check_finite_rows(known, "labelled")
    return Joined(pool, known) if len(known) else pool


def _pick(rows: Rows, clusters: Tensor, pool: int, budget: int, neighbours: int) -> Tensor:
    """Choose from the largest of the clusters with fewest labels, again and again.

    Only the first `pool` rows are choices; the others are labelled.
    """
    order = torch.argsort(clusters, stable=True)
    members = [found.tolist() for found in order.split(torch.bincount(clusters).tolist())]
    labels = [sum(row >= pool for row in found) for found in members]
    waiting: dict[int, list[int]] = {}  # pool rows of the clusters seen so far, the most typical last
    # Outliers last, then fewest labels, then the largest, then the lowest number.
    queue = [
        (len(found) < SMALLEST_CLUSTER, labels[index], -len(found), index)
        for index, found in enumerate(members)
        if len(found) > labels[index]
    ]
    heapq.heapify(queue)
    picks: list[int] = []
    while len(picks) < budget:
        small, known, size, best = heapq.heappop(queue)
        if best not in waiting:
            cluster = torch.tensor(members[best], device=clusters.device)
            atypical = torch.argsort(_mean_distances(rows[cluster], neighbours), descending=True, stable=True)
            waiting[best] = [row for row in cluster[atypical].tolist() if row < pool]
        picks.append(waiting[best].pop())
        if waiting[best]:
            heapq.heappush(queue, (small, known + 1, size, best))
    return torch.tensor(picks, device=device_of(rows))


def _mean_distances(features: Tensor, neighbours: int) -> Tensor:
    """Return the mean distance of each row to its nearest neighbours, (n,) float64; 0 for a row alone.

    Typicality is the inverse of this distance.
    """
    size = len(features)
    count = min(neighbours, size - 1)
    if count == 0:
        return torch.zeros(size, dtype=torch.float64, device=features.device)
    means = []
    # Around their own mean and in float64: otherwise rounding hides the distances in a tight cluster far out.
    features = features.double() - features.double().mean(dim=0)
    for chunk in features.split(max(1, CHUNK_DISTANCES // size)):
        nearest = torch.cdist(chunk, features).topk(count + 1, dim=1, largest=False, sorted=True).values
        means.append(nearest[:, 1:].mean(dim=1))  # the nearest is the row itself
    return torch.cat(means)
