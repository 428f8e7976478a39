"""Order of a few images by likeness: neighbours in the order are near in feature space."""

import numpy as np
from numpy.typing import NDArray


def order_by_likeness(units: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return an order of images in which similar ones follow one another.

    It is the order of the leaves of an average-linkage dendrogram, turned so that the sum of distances between
    neighbours is smallest (Bar-Joseph et al. 2001).

    Args:
        units: Unit vectors of the images, shape (N, d); zeros for images without features.

    Returns:
        Positions, shape (N,); images without features come last, in the given order.

    Example:
        >>> angles = np.array([0.0, 1.5, 0.1, 1.4], dtype=np.float32)
        >>> order = order_by_likeness(np.stack([np.cos(angles), np.sin(angles)], axis=1)).tolist()
        >>> order in ([0, 2, 3, 1], [1, 3, 2, 0])
        True
    """
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering  # noqa: PLC0415 - a slow import
    from scipy.spatial.distance import squareform  # noqa: PLC0415

    known = np.flatnonzero(units.any(axis=1))
    others = np.setdiff1d(np.arange(len(units)), known)
    if len(known) < 3:
        return np.concatenate([known, others])
    distances = 1 - units[known].astype(np.float64) @ units[known].T.astype(np.float64)
    np.fill_diagonal(distances, 0)
    pairs = squareform(np.maximum(distances, 0), checks=False)
    leaves = leaves_list(optimal_leaf_ordering(linkage(pairs, "average"), pairs))
    return np.concatenate([known[leaves], others]).astype(np.int64)
