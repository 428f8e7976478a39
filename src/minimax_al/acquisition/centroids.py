"""Centroids: the image nearest to every k-means centre, for a start without labels."""

import torch
from torch import Tensor

from minimax_al.acquisition.checks import check_budget
from minimax_al.acquisition.k_means import Clustering, k_means
from minimax_al.acquisition.rows import FeatureMatrix, as_rows, device_of
from minimax_al.acquisition.typiclust import with_labelled

MOST_CLUSTERS = 1000
"""Most clusters when images are labelled already; never fewer than the budget."""


def centroids(
    features: FeatureMatrix, budget: int, *, generator: torch.Generator, labelled: FeatureMatrix | None = None
) -> Tensor:
    """Return the image nearest to each k-means centre, largest clusters first.

    The number of clusters is the number of labels after the choice, at most 1,000 or the budget. Clusters without a
    label come first. Where clusters are fewer than the budget (equal images, many labels), each gives its next nearest
    image in turn. Time O(N·k·d) per pass of k-means; memory O(N) and about 600 MiB at most in addition to the features.

    Args:
        features: Features of the unlabelled images, shape (N, d), any real dtype; may stay on disk.
        budget: Number of images to choose, b.
        generator: CPU generator of k-means.
        labelled: Features of the labelled images, shape (L, d).

    Returns:
        Shape (b,), int64, in order of choice, on the device of `features`.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ShapeError: The features are not matrices of one width.
        NonFiniteScoreError: A feature is NaN or infinite.

    Example:
        >>> pool = torch.tensor([[0.0], [1.0], [2.0], [50.0], [51.0], [52.0], [53.0], [54.0]])
        >>> centroids(pool, 2, generator=torch.Generator().manual_seed(0))
        tensor([5, 1])
    """
    pool = as_rows(features)
    budget = check_budget(budget, len(pool))
    both = with_labelled(pool, labelled)
    clusters = min(len(both) - len(pool) + budget, max(budget, MOST_CLUSTERS))
    found = k_means(both, clusters, generator=generator)
    labels = torch.bincount(found.assignments[len(pool) :], minlength=len(found.centers))
    return nearest_to_centers(found, budget, len(pool), labels).to(device_of(pool))


def nearest_to_centers(found: Clustering, budget: int, pool: int, labels: Tensor | None = None) -> Tensor:
    """Return the images nearest to the centres: one per cluster, then the second nearest of each, and so on.

    Args:
        found: Clustering of the pool, and perhaps of labelled images after it.
        budget: Number of images to choose, at most `pool`.
        pool: Number of rows that are choices.
        labels: Number of labelled images in each cluster, shape (k,); clusters with few come first.
    """
    clusters, distances = found.assignments[:pool], found.distances[:pool]
    sizes = torch.bincount(found.assignments, minlength=len(found.centers))
    taken = torch.zeros_like(sizes) if labels is None else labels
    # Within a cluster: nearest first, equal distances by index.
    order = distances.argsort(stable=True)
    order = order[clusters[order].argsort(stable=True)]
    of = clusters[order]
    begins = torch.bincount(of, minlength=len(sizes)).cumsum(dim=0).roll(1)
    begins[0] = 0
    rank = torch.arange(pool, device=of.device) - begins[of]
    # Among clusters: fewest labels after the choice, then the largest, then the lowest number; as one whole number,
    # which is exact while N²·k is below 2⁶³.
    total = len(found.assignments) + 1
    key = ((taken[of] + rank) * total + (total - sizes[of])) * len(sizes) + of
    return order[key.argsort()[:budget]]
