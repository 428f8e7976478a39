"""Origin of the directions and prior of the classes: what prototypes need where classes are uneven.

Prototypes compare the directions of features from an origin. The mean of the pool is near the mean of a class that
holds most of the pool, so that the directions of its images are arbitrary. The mean of the class means,

    c = mean_k (Σ_{i: y_i = k} x_i + Σ_u q_k(u) u) / (n_k + Σ_u q_k(u)),   q(u) = softmax(M (u − c₀) / (T ‖u − c₀‖)),

is between the classes. Unlabelled features u join the means as in soft k-means, because a few labels estimate c badly;
c₀ and M are the same mean and the class directions of the labels alone. The prior of a class is its share of the pool,

    log π_k + const,   π_k = (1 + Σ_u p_k(u)) / (U + P),

one step of expectation maximisation from equal shares (Saerens, Latinne and Decaestecker 2002). It reads the unlabelled
features, not the label counts: labels that a strategy chose are not a random sample of the pool.
"""

import torch
from torch import Tensor

from minimax_al.networks import l2_normalise


def mean_of_class_means(features: Tensor, classes: Tensor, temperature: float, pool: Tensor | None) -> Tensor:
    """Return the mean of the class means c.

    Args:
        features: Labelled features, shape (L, d).
        classes: Their classes as 0..P−1, each with at least one label, shape (L,) int64.
        temperature: Temperature T of the assignment of unlabelled features.
        pool: Unlabelled features, shape (U, d), or None for c₀.

    Returns:
        c, shape (d,), in the dtype of the features.
    """
    count = int(classes.max()) + 1
    # Sums in float64: the order of the labels must not show in the means.
    sums = torch.zeros(count, features.shape[1], dtype=torch.float64).index_add_(0, classes, features.double())
    sizes = torch.bincount(classes, minlength=count).double()[:, None]
    origin = (sums / sizes).mean(dim=0).to(features.dtype)
    if pool is None:
        return origin
    unit = l2_normalise(features - origin).double()
    directions = l2_normalise(torch.zeros_like(sums).index_add_(0, classes, unit)).to(features.dtype)
    shares = torch.softmax(l2_normalise(pool - origin) @ directions.T / temperature, dim=1)
    means = (sums + shares.T @ pool) / (sizes + shares.sum(dim=0)[:, None])
    return means.mean(dim=0).to(features.dtype)


def log_shares(logits: Tensor) -> Tensor:
    """Return the log share of each class in the pool, less the mean of the logs.

    Args:
        logits: Logits of unlabelled features under equal priors, shape (U, P).

    Returns:
        Log prior, shape (P,), of mean 0.
    """
    shares = torch.softmax(logits, dim=1).sum(dim=0) + 1  # one image more per class: no share is 0
    logs = shares.log()
    return logs - logs.mean()
