"""Cluster-Margin: images of small margin, spread over clusters.

Citovsky, DeSalvo, Gentile, Karydas, Rajagopalan, Rostamizadeh and Kumar, "Batch Active Learning at Scale" (NeurIPS
2021, arXiv 2107.14263). The k_m images of the smallest margins are candidates. The paper clusters the whole pool once
by average linkage; each round then visits the candidates' clusters in ascending size, again and again, and takes a
random candidate of each. Two forms work on the candidates alone, whatever the size of the pool:

* "k_means": the candidates are clustered into b clusters, and the one nearest to each centre is chosen.
* "average_linkage": the candidates are clustered by average linkage into b clusters, and the paper's rule chooses.

Clusters of the whole pool that were computed before are used with the paper's rule too.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from minimax_al.acquisition.centroids import nearest_to_centers
from minimax_al.acquisition.checks import Array, as_dimensions, as_scores, check_budget, check_same_length
from minimax_al.acquisition.k_means import k_means
from minimax_al.acquisition.rows import Chosen, FeatureMatrix, as_rows, device_of
from minimax_al.acquisition.rules import top_unchecked
from minimax_al.errors import ConfigurationError, ShapeError, UnknownNameError

MOST_LINKED = 20_000
"""Most candidates for average linkage, which holds all pairs: 1.6 GB."""


def cluster_margin(
    features: FeatureMatrix,
    margins: Array,
    budget: int,
    *,
    generator: torch.Generator,
    factor: float = 10,
    clustering: Literal["k_means", "average_linkage"] = "k_means",
    clusters: Array | None = None,
) -> Tensor:
    """Return images of small margin from many clusters.

    Time O(N) for the candidates, then O(k_m·b·d) per step of k-means, or O(k_m²·d) for average linkage; memory O(N) and
    the candidates' features in float32, for average linkage also k_m² / 2 distances.

    Args:
        features: Features of the unlabelled images, shape (N, d), any real dtype; may stay on disk.
        margins: Difference of the two largest probabilities of each image, shape (N,); see `margin`.
        budget: Number of images to choose, b.
        generator: CPU generator of k-means, or of the draws among a cluster's candidates.
        factor: Candidates per chosen image, 1 or more: k_m = factor·b, at most N.
        clustering: Form of the rule.
        clusters: Cluster of each image of the pool, shape (N,) whole numbers, for the paper's rule; then `clustering`
            is not used.

    Returns:
        Shape (b,), int64, in order of choice, on the device of `features`.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ConfigurationError: `factor` is below 1, or average linkage has too many candidates.
        UnknownNameError: `clustering` is not one of the two forms.
        ShapeError: The features, margins and clusters do not have matching shapes.
        NonFiniteScoreError: A feature of a candidate or a margin is NaN or infinite.

    Example:
        >>> pool, margins = torch.tensor([[0.0], [0.1], [5.0], [9.0]]), torch.tensor([0.1, 0.2, 0.3, 0.9])
        >>> sorted(cluster_margin(pool, margins, 2, generator=torch.Generator().manual_seed(0), factor=1.5).tolist())
        [0, 2]
    """
    rows = as_rows(features)
    margins_N = as_scores(margins, "margins").to(device_of(rows))
    if len(margins_N) != len(rows):
        raise ShapeError(f"margins are for {len(margins_N)} images, features for {len(rows)}")
    budget = check_budget(budget, len(rows))
    if not 1 <= factor < math.inf:
        raise ConfigurationError(f"factor={factor!r} must be 1 or more")
    count = min(len(rows), math.ceil(factor * budget))
    candidates = top_unchecked(margins_N, count, largest=False)
    if clusters is not None:
        of = as_dimensions(clusters, "N", "clusters").to(margins_N.device)
        check_same_length(of, margins_N, ("clusters", "margins"))
        return candidates[_round_robin(of[candidates], budget, generator)]
    if clustering == "k_means":
        found = k_means(Chosen(rows, candidates), budget, generator=generator)
        return candidates[nearest_to_centers(found, budget, count)]
    if clustering == "average_linkage":
        return candidates[_round_robin(_linked(rows[candidates], budget), budget, generator)]
    raise UnknownNameError("clustering", clustering, ("k_means", "average_linkage"))


def _linked(features: Tensor, clusters: int) -> Tensor:
    """Return clusters by average linkage of Euclidean distances, (n,) int64."""
    if len(features) > MOST_LINKED:
        raise ConfigurationError(
            f"average linkage of {len(features)} candidates holds all pairs; at most {MOST_LINKED} are allowed: "
            "use clustering='k_means' or a smaller factor"
        )
    if len(features) == 1:
        return torch.zeros(1, dtype=torch.int64, device=features.device)
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 - SciPy is loaded when it is used

    tree = linkage(features.double().cpu().numpy(), method="average")
    return torch.from_numpy(fcluster(tree, clusters, criterion="maxclust")).long().to(features.device)


def _round_robin(clusters: Tensor, budget: int, generator: torch.Generator) -> Tensor:
    """Return positions by the paper's rule: clusters in ascending size, one random member at each visit."""
    _, of, sizes = clusters.unique(return_inverse=True, return_counts=True)
    shuffled = torch.randperm(len(of), generator=generator).to(of.device)
    shuffled = shuffled[of[shuffled].argsort(stable=True)]
    begins = sizes.cumsum(dim=0) - sizes
    # The number of the visit that chooses a member, then the size of its cluster. Stable sorts, the first key last.
    visit = torch.arange(len(of), device=of.device) - begins[of[shuffled]]
    by_size = sizes[of[shuffled]].argsort(stable=True)
    shuffled, visit = shuffled[by_size], visit[by_size]
    return shuffled[visit.argsort(stable=True)][:budget]
