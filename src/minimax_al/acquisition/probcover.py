"""ProbCover: balls of one radius that cover the most images.

Yehuda, Dekel, Hacohen and Weinshall, "Active Learning Through a Covering Lens" (NeurIPS 2022, arXiv 2205.11320). A ball
of radius δ around an image covers the images that are closer than δ. Each pick is the image whose ball covers most
images that no ball of a labelled or picked image covers yet: greedy maximum coverage.

The radius comes from purity. With k-means clusters as pseudo-labels, a ball is pure when all images in it share one
cluster. δ is the largest radius with which at least a share α of the balls is pure. The ball of image i is pure up to
m_i, the distance to the nearest image of another cluster; so δ is the largest number that a share α of the m_i reaches.

Pure balls stay within their cluster, so only pairs of one cluster, and pairs of two impure images, can be closer than
δ. Only these are looked at after the radius is known. Gains are counted once, and each newly covered image lowers the
gains of the images around it.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from minimax_al.acquisition.checks import check_budget
from minimax_al.acquisition.close_rows import BLOCK_NUMBERS, DistanceBlocks
from minimax_al.acquisition.k_means import k_means
from minimax_al.acquisition.rows import BLOCK_ROWS, Chosen, FeatureMatrix, Rows, as_rows, device_of, spans
from minimax_al.acquisition.typiclust import with_labelled
from minimax_al.errors import ConfigurationError

KEPT_PAIRS = 1 << 28
"""Most pairs, one byte each, that are kept."""
MOST_IMAGES = 30_000
"""Default number of images up to which the rule is exact; all pairs of them are looked at once."""


def probcover(
    features: FeatureMatrix,
    budget: int,
    *,
    generator: torch.Generator,
    classes: int | None = None,
    radius: float | None = None,
    labelled: FeatureMatrix | None = None,
    purity: float = 0.95,
    most_images: int = MOST_IMAGES,
) -> Tensor:
    """Return the images whose balls cover most of the pool, by greedy maximum coverage.

    Exact up to `most_images` images: distances are decided in float64, equal gains go to the lower index. A larger pool
    is represented by a uniformly drawn part of that size, from which the picks come. Once everything is covered, the
    remaining picks are the images of the lowest index.

    Time O(n²·d) for the radius, then O(n²·d / classes) for the gains; memory O(n·d) for n images.

    Args:
        features: Features of the unlabelled images, shape (N, d), any real dtype; may stay on disk.
        budget: Number of images to choose, b.
        generator: CPU generator of k-means and of the part of a large pool.
        classes: Number of classes, which is the number of clusters for the radius; not used with `radius`.
        radius: Radius δ of a ball in the features' unit; by default from the purity.
        labelled: Features of the labelled images, shape (L, d); what their balls cover counts as covered.
        purity: Least share of pure balls, α, between 0 and 1.
        most_images: Number of unlabelled images up to which the rule is exact.

    Returns:
        Shape (b,), int64, in order of choice, on the device of `features`.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ConfigurationError: Neither `classes` nor `radius` is given, or one of the settings is out of range.
        ShapeError: The features are not matrices of one width.
        NonFiniteScoreError: A feature is NaN or infinite.

    Example:
        >>> pool = torch.tensor([[0.0], [1.0], [2.0], [9.0], [10.0], [50.0]])
        >>> probcover(pool, 3, generator=torch.Generator().manual_seed(0), radius=1.5)
        tensor([1, 3, 5])
    """
    pool = as_rows(features)
    budget = check_budget(budget, len(pool))
    _check(classes, radius, purity)
    part = drawn_part(pool, max(most_images, budget), generator)
    rows = with_labelled(pool if part is None else Chosen(pool, part), labelled)
    choices = len(pool) if part is None else len(part)
    blocks = DistanceBlocks(rows)
    if radius is None:
        balls = _pure_balls(blocks, rows, min(int(classes or 1), len(rows)), purity, generator)
    else:
        everyone = torch.arange(len(rows), device=device_of(rows))
        balls = _Balls(radius**2 * blocks.unit, torch.zeros_like(everyone), everyone[:0])
    picks = _Coverage(blocks, balls, choices).run(budget)
    return picks if part is None else part[picks]


def covering_radius(
    features: FeatureMatrix, classes: int, *, generator: torch.Generator, purity: float = 0.95
) -> float:
    """Return the largest radius with which at least a share `purity` of all balls is pure.

    Args:
        features: Features of all images, shape (N, d), any real dtype.
        classes: Number of classes, which is the number of k-means clusters.
        generator: CPU generator of k-means.
        purity: Least share of pure balls, α, between 0 and 1.

    Returns:
        Radius δ in the features' unit; infinite where there is one cluster.

    Raises:
        ConfigurationError: `classes` is below 1, or `purity` is not a share.
        ShapeError: The features are not a matrix.
        NonFiniteScoreError: A feature is NaN or infinite.
    """
    rows = as_rows(features)
    check_budget(1, len(rows))
    _check(classes, None, purity)
    blocks = DistanceBlocks(rows)
    balls = _pure_balls(blocks, rows, min(classes, len(rows)), purity, generator)
    return math.sqrt(balls.squared / blocks.unit)


def drawn_part(pool: Rows, most: int, generator: torch.Generator) -> Tensor | None:
    """Return the sorted indices of a uniformly drawn part of a large pool; None where the pool is small enough."""
    if len(pool) <= most:
        return None
    return torch.randperm(len(pool), generator=generator)[:most].sort().values.to(device_of(pool))


def _check(classes: int | None, radius: float | None, purity: float) -> None:
    if radius is None and classes is None:
        raise ConfigurationError("probcover needs classes, the number of classes, or the radius of a ball")
    if radius is not None and not 0 < radius < math.inf:
        raise ConfigurationError(f"radius={radius!r} must be above 0")
    if classes is not None and classes < 1:
        raise ConfigurationError(f"classes={classes!r} must be 1 or more")
    if not 0 < purity <= 1:
        raise ConfigurationError(f"purity={purity!r} is not a share above 0 and up to 1")


class _Balls(NamedTuple):
    """Radius of the balls, and where close pairs can be.

    Attributes:
        squared: Squared radius in the blocks' unit.
        clusters: Cluster of every row, shape (n,) int64.
        impure: Rows whose ball reaches another cluster; pairs of two clusters are among these alone.
    """

    squared: float
    clusters: Tensor
    impure: Tensor


def _pure_balls(blocks: DistanceBlocks, rows: Rows, clusters: int, purity: float, generator: torch.Generator) -> _Balls:
    """Return the largest radius with which a share `purity` of the balls is pure."""
    of = k_means(rows, clusters, generator=generator).assignments
    nearest = _nearest_of_others(blocks, of)
    # The q-th smallest m² in ascending order is the largest radius that leaves at least purity·n balls pure.
    count = len(of)
    q = count - math.ceil(purity * count)
    below, above = nearest - blocks.error, nearest + blocks.error
    lowest, highest = float(below.kthvalue(q + 1).values), float(above.kthvalue(q + 1).values)
    if not highest < math.inf:
        return _Balls(math.inf, of, torch.empty(0, dtype=torch.int64, device=of.device))
    # Those whose m² may be on either side of the radius are measured in float64; the others need not be.
    unsure = ((below <= highest) & (above >= lowest)).nonzero().flatten()
    surely_smaller = above < lowest
    exact = _exact_nearest_of_others(blocks, of, unsure, above)
    squared = float(exact.sort().values[q - int(surely_smaller.sum())])
    impure = surely_smaller.clone()
    impure[unsure] = exact < squared
    return _Balls(squared, of, impure.nonzero().flatten())


def _nearest_of_others(blocks: DistanceBlocks, of: Tensor) -> Tensor:
    """Return each row's computed squared distance to the nearest row of another cluster, (n,) float32."""
    # In the order of clusters, so that equal clusters meet in few blocks; each pair of blocks is multiplied once.
    order = of.argsort(stable=True)
    nearest = torch.full((len(of),), torch.inf, device=of.device)
    parts = order.split(BLOCK_ROWS)
    for number, first in enumerate(parts):
        for second in parts[number:]:
            relative = blocks.relative(first, second)
            if of[first[-1]] >= of[second[0]]:
                relative.masked_fill_(of[first][:, None] == of[second], torch.inf)
            norms = blocks.norms[first]
            nearest[first] = torch.minimum(nearest[first], relative.amin(dim=1) + norms)
            nearest[second] = torch.minimum(nearest[second], relative.add_(norms[:, None]).amin(dim=0))
    return nearest


def _exact_nearest_of_others(blocks: DistanceBlocks, of: Tensor, rows: Tensor, above: Tensor) -> Tensor:
    """Return squared distances of some rows to the nearest row of another cluster, in float64.

    Args:
        blocks: Distances between rows.
        of: Cluster of every row, shape (n,).
        rows: Rows to measure, shape (m,).
        above: Upper bound of every row's result, shape (n,).
    """
    exact = torch.full((len(rows),), torch.inf, dtype=torch.float64, device=of.device)
    for span in spans(len(rows), max(1, BLOCK_NUMBERS // len(of))):
        part = rows[span]
        squared = blocks.squared(part, slice(None))
        # A row that is not nearer than the bound, even with its error, cannot be the nearest.
        reach = (above[part] + blocks.error[part])[:, None]
        i, j = ((squared <= reach) & (of[part][:, None] != of)).nonzero().unbind(dim=1)
        exact[span] = exact[span].scatter_reduce(0, i, blocks.exact(part[i], j), "amin")
    return exact


class _Coverage:
    """Greedy maximum coverage.

    `gain[i]` is the number of rows in the ball of i that no ball of a labelled or picked row covers. Rows after the
    first `choices` are labelled. Close pairs of a cluster are kept as a matrix of booleans while all of these are
    small, and found again otherwise.
    """

    def __init__(self, blocks: DistanceBlocks, balls: _Balls, choices: int) -> None:
        self.blocks, self.balls, self.choices = blocks, balls, choices
        count, device = len(balls.clusters), balls.clusters.device
        # Within these groups lie all close pairs: the clusters, and the impure rows, of which only pairs of two
        # clusters count.
        self.groups = [*_grouped(balls.clusters), balls.impure]
        self.kept: dict[int, Tensor] = {}
        self.keeps = sum(len(group) ** 2 for group in self.groups) <= KEPT_PAIRS
        self.place = torch.empty((2, count), dtype=torch.int64, device=device)
        for group in self.groups[:-1]:
            self.place[0, group] = torch.arange(len(group), device=device)
        self.place[1, balls.impure] = torch.arange(len(balls.impure), device=device)
        self.is_impure = torch.zeros(count, dtype=torch.bool, device=device)
        self.is_impure[balls.impure] = True
        self.covered = torch.zeros_like(self.is_impure)
        everyone = torch.arange(count, device=device)
        self.gain = torch.zeros(count, dtype=torch.int64, device=device)
        for rows, _, close in self.close_blocks(everyone):
            self.gain[rows] += close.sum(dim=1)
        self.gain[choices:] = -1
        self.cover(everyone[choices:])

    def run(self, budget: int) -> Tensor:
        """Return the picks in their order, (b,) int64."""
        picks = []
        for _ in range(budget):
            pick = (self.gain == self.gain.max()).nonzero()[0]  # the lowest index of equal gains
            picks.append(int(pick))
            self.gain[pick] = -1
            self.cover(pick)
        return torch.tensor(picks, device=device_of(self.blocks.rows))

    def cover(self, centers: Tensor) -> None:
        """Cover the balls of some rows, and lower the gains of the rows around those that are newly covered."""
        newly = torch.zeros_like(self.covered)
        for _, others, close in self.close_blocks(centers):
            newly[others] |= close.any(dim=0)
        newly &= ~self.covered
        self.covered |= newly
        chosen = self.gain < 0
        for _, others, close in self.close_blocks(newly.nonzero().flatten()):
            self.gain[others] -= close.sum(dim=0)
        self.gain[chosen] = -1

    def close_blocks(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield blocks (rows, others, which pairs are close); each close pair is in one of them."""
        for part in _grouped(self.balls.clusters[rows]):
            if len(part):
                yield from self._of_group(int(self.balls.clusters[rows[part[0]]]), rows[part])
        impure = rows[self.is_impure[rows]]
        if len(impure):
            yield from self._of_group(len(self.groups) - 1, impure)

    def _of_group(self, number: int, rows: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield blocks of some rows of a group and all of its rows."""
        group, among_impure = self.groups[number], number == len(self.groups) - 1
        if not self.keeps:
            for part in rows.split(max(1, BLOCK_NUMBERS // len(group))):
                yield part, group, self._close(part, group, among_impure)
            return
        if number not in self.kept:
            parts = group.split(max(1, BLOCK_NUMBERS // len(group)))
            self.kept[number] = torch.cat([self._close(part, group, among_impure) for part in parts])
        yield rows, group, self.kept[number][self.place[int(among_impure), rows]]

    def _close(self, first: Tensor, second: Tensor, among_impure: bool) -> Tensor:  # noqa: FBT001 - private
        close = self.blocks.closer(first, second, self.balls.squared)
        if among_impure:
            close &= self.balls.clusters[first][:, None] != self.balls.clusters[second]
        return close


def _grouped(clusters: Tensor) -> list[Tensor]:
    """Return the positions of each cluster's rows, by the cluster's number."""
    order = clusters.argsort(stable=True)
    return list(order.split(torch.bincount(clusters).tolist()))
