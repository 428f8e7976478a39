"""k-means with good first centres, for pools of any size.

First centres: greedy k-means++ (Arthur and Vassilvitskii 2007; Grunau et al. 2023). Each centre is the best of
2 + ln k candidates that are drawn with probabilities proportional to the squared distance to the nearest centre.

Wide features are first multiplied by a random Gaussian matrix with 128 columns, which nearly preserves the inertia of
every clustering (Makarychev, Makarychev and Razenshteyn 2019). First centres, restarts and most of Lloyd's steps are
computed there; the best clustering is then improved on the features themselves. A pool that is too large is
represented by a uniformly drawn part at first. Then its centres see every image: one pass of mini-batches moves each
centre to the running mean of the images assigned to it (Sculley 2010), and a last pass assigns every image. Both read
the pool from front to back.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from minimax_al.acquisition.bounded_products import CHUNK_ROWS, multiplies_bfloat16
from minimax_al.acquisition.checks import check_budget
from minimax_al.acquisition.rows import (
    BLOCK_ROWS,
    Chosen,
    FeatureMatrix,
    Rows,
    as_rows,
    check_finite_rows,
    device_of,
    spans,
)

PROJECTED_WIDTH = 128
"""Columns of the random projection."""
SEEDING_ROWS = 12_000
"""Fewest rows among which first centres are drawn; at least ten per cluster."""
PART_NUMBERS = 1 << 26
"""Numbers in the part of a pool that Lloyd's steps see: 256 MiB in float32."""
TOLERANCE = 1e-3
"""Relative fall of the inertia below which Lloyd's steps end."""
ITERATIONS = (30, 8)
"""Most of Lloyd's steps on projected features, and on the features themselves."""
RESTARTS = {32: 8, 128: 3}
"""Number of clusterings to compare, up to these numbers of clusters; with more clusters they hardly differ."""


class Clustering(NamedTuple):
    """Result of k-means.

    Attributes:
        centers: Cluster centres, shape (k, d) float32. Fewer than requested where fewer rows are distinct.
        assignments: Cluster of every row, shape (N,) int64.
        distances: Squared distance of every row to its centre, shape (N,) float64.
    """

    centers: Tensor
    assignments: Tensor
    distances: Tensor

    @property
    def inertia(self) -> float:
        """Return the sum of squared distances to the centres."""
        return float(self.distances.sum())


def k_means(
    features: FeatureMatrix, clusters: int, *, generator: torch.Generator, restarts: int | None = None
) -> Clustering:
    """Cluster the features; the same seed gives the same clusters.

    Time O(N·k·d) per pass, two passes over a pool that is represented by a part at first; memory O(N + k·d) and about
    600 MiB at most in addition to the features.

    Args:
        features: Feature matrix, shape (N, d), any real dtype; may stay on disk.
        clusters: Number of clusters k, 1 … N.
        generator: CPU generator of the first centres, the projection and the part of a large pool.
        restarts: Number of clusterings of which the best is kept; by default 8 up to 32 clusters, 3 up to
            128, then 1.

    Raises:
        BudgetError: `clusters` is below 1 or above N.
        ShapeError: The features are not a matrix.
        NonFiniteScoreError: A feature is NaN or infinite.

    Example:
        >>> pool = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> found = k_means(pool, 2, generator=torch.Generator().manual_seed(0))
        >>> sorted(found.centers.flatten().tolist()), found.inertia
        ([0.5, 10.5], 1.0)
    """
    rows = as_rows(features)
    clusters = check_budget(clusters, len(rows))
    part = _part(rows, clusters, generator)
    frame = _Frame(part)
    prepared = torch.cat([frame.prepare(part[span]) for span in spans(len(part), BLOCK_ROWS)])
    if restarts is None:
        restarts = next((count for most, count in RESTARTS.items() if clusters <= most), 1)
    found = _best_clustering(prepared, clusters, generator, restarts)
    if part is rows:
        assignments = found.assignments
        distances = torch.cat([_distances(prepared[span], found, span) for span in spans(len(rows), BLOCK_ROWS)])
    else:
        found = found._replace(centers=_streamed(rows, frame, found))
        assignments, distances = _assign_all(rows, frame, found.centers)
    # Back to the features' own place and unit.
    original = (found.centers.double() / frame.scale + frame.mean).float()
    return Clustering(original, assignments, distances.double() / frame.scale**2)


class _Frame:
    """Origin and unit of the clustering: squares of prepared rows neither overflow nor vanish.

    Equal numbers give equal rows, whatever the dtype in which they arrive.

    Args:
        rows: Matrix that is clustered, shape (n, d).

    Attributes:
        mean: Mean of the rows, shape (d,) float64.
        scale: Power of two that brings all values below 1.
    """

    def __init__(self, rows: Rows) -> None:
        self.mean = torch.zeros(rows.shape[1], dtype=torch.float64, device=device_of(rows))
        largest = 0.0
        for span in spans(len(rows), CHUNK_ROWS):
            chunk = rows[span]
            low, high = torch.aminmax(chunk)
            extent = max(-float(low), float(high))
            if not extent < math.inf:
                check_finite_rows(rows)
            largest = max(largest, extent)
            # A sum of large values can overflow, a sum of their shares cannot.
            self.mean += (chunk.double() / len(rows)).sum(dim=0)
        self.scale = 2.0 ** -max(-1000, math.frexp(largest)[1])

    def prepare(self, rows: Tensor) -> Tensor:
        """Return rows around the origin and below 2 in size, float32."""
        return (rows.double() * self.scale - self.mean * self.scale).float()


def _part(rows: Rows, clusters: int, generator: torch.Generator) -> Rows:
    """Return the rows that Lloyd's steps see: all, or a uniformly drawn part of a large pool."""
    size = max(PART_NUMBERS // rows.shape[1], 10 * clusters)
    if len(rows) <= size:
        return rows
    # Sorted, so that a pool on disk is read from front to back.
    drawn = torch.randperm(len(rows), generator=generator)[:size].sort().values
    return Chosen(rows, drawn.to(device_of(rows)))


def _best_clustering(points: Tensor, clusters: int, generator: torch.Generator, restarts: int) -> Clustering:
    """Return the best of several clusterings, improved on the points themselves."""
    projected = _projected(points, generator)
    best = min(
        (_clustered(projected, clusters, generator) for _ in range(max(1, restarts))), key=lambda found: found.inertia
    )
    if projected is points:
        return best
    means, _ = _means(points, best.assignments, best.centers.new_zeros(len(best.centers), points.shape[1]))
    return _lloyd(points, means, ITERATIONS[1])


def _projected(points: Tensor, generator: torch.Generator) -> Tensor:
    """Return wide points times a Gaussian matrix that keeps expected squared lengths; narrow ones as they are."""
    width = points.shape[1]
    if width <= 2 * PROJECTED_WIDTH:
        return points
    directions = torch.randn(width, PROJECTED_WIDTH, generator=generator) / math.sqrt(PROJECTED_WIDTH)
    return points @ directions.to(points.device)


def _clustered(points: Tensor, clusters: int, generator: torch.Generator) -> Clustering:
    """Return one clustering: greedy k-means++ on some of the points, then Lloyd's steps on all."""
    size = max(SEEDING_ROWS, 10 * clusters)
    some = points
    if len(points) > size:
        some = points[torch.randperm(len(points), generator=generator)[:size].sort().values.to(points.device)]
    return _lloyd(points, first_centers(some, clusters, generator), ITERATIONS[0])


def first_centers(points: Tensor, clusters: int, generator: torch.Generator) -> Tensor:
    """Return centres by greedy k-means++; fewer where fewer points are distinct.

    Args:
        points: Shape (n, d), float32.
        clusters: Number of centres, at most n.
        generator: CPU generator of the draws.

    Returns:
        Shape (k, d), float32, in order of choice.
    """
    # In float64 the distance of equal points is below the threshold of _squared, and tight clusters stay apart.
    exact = points.double()
    norms = exact.square().sum(dim=1)
    candidates = 2 + int(math.log(clusters))
    chosen = [int(torch.randint(len(points), (), generator=generator))]
    nearest = _squared(exact, norms, torch.tensor(chosen, device=points.device))[0]
    while len(chosen) < clusters:
        cumulative = nearest.cumsum(dim=0)
        if cumulative[-1] == 0:  # every point equals a centre
            break
        uniform = torch.rand(candidates, dtype=torch.float64, generator=generator).to(points.device)
        drawn = torch.searchsorted(cumulative, uniform * cumulative[-1], right=True).clamp_(max=len(points) - 1)
        # Of the drawn candidates, the one that leaves the least inertia becomes a centre.
        left = torch.minimum(_squared(exact, norms, drawn), nearest)
        best = int(left.sum(dim=1).argmin())
        nearest = left[best]
        chosen.append(int(drawn[best]))
    return points[chosen]


def _squared(points: Tensor, norms: Tensor, rows: Tensor) -> Tensor:
    """Return squared distances of some rows to all points, (rows, n) float64; below rounding they are zero."""
    sums = norms[rows][:, None] + norms
    squared = torch.addmm(sums, points[rows], points.T, alpha=-2)
    return squared.masked_fill_(squared <= 1e-13 * sums, 0)


def _lloyd(points: Tensor, centers: Tensor, steps: int) -> Clustering:
    """Return the clustering after Lloyd's steps; the last assignment is computed in float32.

    The steps before multiply in bfloat16 where the device has units for it: a point between two nearly equally near
    centres may then go to either, which changes the inertia by less than the rounding of a product.
    """
    norms = points.square().sum(dim=1)
    rough = points.bfloat16() if points.numel() >= 1 << 22 and multiplies_bfloat16(points.device) else points
    before = math.inf
    for _ in range(steps):
        assignments, distances = _nearest(rough, norms, centers)
        centers, sizes = _means(points, assignments, centers)
        _fill_empty(centers, sizes, points, distances)
        inertia = float(distances.sum(dtype=torch.float64))
        if inertia >= (1 - TOLERANCE) * before:
            break
        before = inertia
    return Clustering(centers, *_nearest(points, norms, centers))


def _nearest(points: Tensor, norms: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Return every point's nearest centre and the squared distance to it, float32."""
    center_norms = centers.square().sum(dim=1)
    factors = centers.to(points.dtype).T
    assignments = torch.empty(len(points), dtype=torch.int64, device=points.device)
    distances = torch.empty_like(norms)
    for span in spans(len(points), BLOCK_ROWS):
        # ‖x − c‖² − ‖x‖² = ‖c‖² − 2⟨x, c⟩
        relative = torch.sub(center_norms, (points[span] @ factors).float(), alpha=2)
        smallest, assignments[span] = relative.min(dim=1)
        distances[span] = smallest + norms[span]
    return assignments, distances.clamp_(min=0)


def _means(points: Tensor, assignments: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of every cluster and its size; an empty cluster keeps its centre."""
    sizes = torch.bincount(assignments, minlength=len(centers))
    sums = torch.zeros_like(centers).index_add_(0, assignments, points)
    return torch.where((sizes > 0)[:, None], sums / sizes.clamp(min=1)[:, None], centers), sizes


def _fill_empty(centers: Tensor, sizes: Tensor, points: Tensor, distances: Tensor) -> None:
    """Move the centres of empty clusters to the points farthest from their own centres."""
    empty = (sizes == 0).nonzero().flatten()
    if len(empty):
        farthest = distances.topk(min(len(empty), len(points)))
        empty = empty[: len(farthest.values)][farthest.values > 0]
        centers[empty] = points[farthest.indices[: len(empty)]]


def _streamed(rows: Rows, frame: _Frame, found: Clustering) -> Tensor:
    """Return the centres after one pass of mini-batches over all rows; reads all rows once.

    A centre is the mean of its images in the part and of all images that were assigned to it since.
    """
    centers = found.centers.clone()
    counts = torch.bincount(found.assignments, minlength=len(centers)).to(centers.dtype)
    for span in spans(len(rows), BLOCK_ROWS):
        points = frame.prepare(rows[span])
        assignments, _ = _nearest(points, points.square().sum(dim=1), centers)
        sizes = torch.bincount(assignments, minlength=len(centers)).to(centers.dtype)
        sums = torch.zeros_like(centers).index_add_(0, assignments, points)
        counts += sizes
        # c ← c + (Σx − n·c) / (total count): the learning rate of a centre falls with its number of images.
        centers += (sums - sizes[:, None] * centers) / counts.clamp(min=1)[:, None]
    return centers


def _assign_all(rows: Rows, frame: _Frame, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Return every row's nearest centre and the squared distance to it; reads all rows once."""
    found = Clustering(
        centers,
        torch.empty(len(rows), dtype=torch.int64, device=centers.device),
        torch.empty(len(rows), device=centers.device),
    )
    for span in spans(len(rows), BLOCK_ROWS):
        points = frame.prepare(rows[span])
        found.assignments[span], _ = _nearest(points, points.square().sum(dim=1), centers)
        found.distances[span] = _distances(points, found, span)
    if not bool(found.distances.isfinite().all()):
        check_finite_rows(rows)
    return found.assignments, found.distances


def _distances(points: Tensor, found: Clustering, span: slice) -> Tensor:
    """Return squared distances of a span of points to their centres, by differences.

    The rounding of the products in `_nearest` would count as inertia of tight clusters.
    """
    return (points - found.centers[found.assignments[span]]).square_().sum(dim=1)
