"""Greedy k-center over a pool whose features are distributed over several ranks; only candidates are sent.

A rank is a process of a distributed run. Every rank keeps bounds for its part, as in `minimax_al.acquisition.coreset`.
In each step all ranks agree on the largest bound outside of their blocks, each refreshes its block, and the remaining
candidates are gathered: their indices, bounds and features. Among them every rank then makes the same picks. The
distances that decide are the same float64 sums as on one rank, in the same unit, so the picks are those of one rank.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, distributed

from minimax_al.acquisition.bounded_products import accumulating_in_float32
from minimax_al.acquisition.checks import Array, check_budget
from minimax_al.acquisition.coreset import (
    MOST_AT_ONCE,
    Candidate,
    LazyGreedy,
    checked_pool,
    k_center_greedy,
    share_of_pool,
    upper_bound_of_squared,
)
from minimax_al.acquisition.rows import FeatureMatrix, dtype_of
from minimax_al.errors import MinimaxALError, ShapeError


def k_center_greedy_sharded(
    features: FeatureMatrix, budget: int, centers: Array | None = None, *, group: distributed.ProcessGroup | None = None
) -> Tensor:
    """Return the picks of `k_center_greedy` over the features of all ranks; a collective with one result.

    Args:
        features: Features of this rank's part of the pool, shape (n, d), any floating dtype. The pool is the parts in
            rank order; a part may be empty.
        budget: Number of images to choose from the whole pool, b.
        centers: Features of the labelled images, shape (L, d); the same on every rank.
        group: Process group of the ranks; None for a single process.

    Returns:
        Shape (b,), int64, indices in the whole pool in order of choice, on the device of `features`.

    Raises:
        BudgetError: The budget is below 1 or above the size of the whole pool.
        ShapeError: The features are not matrices of one width and dtype on all ranks.
        NonFiniteScoreError: A feature is NaN or infinite; positions are in that rank's part.

    Example:
        >>> pool = torch.tensor([[0.0], [1.0], [10.0], [4.0]])
        >>> k_center_greedy_sharded(pool, 3, centers=torch.tensor([[0.0]]))
        tensor([2, 3, 1])
    """
    if group is None:
        return k_center_greedy(features, budget, centers)
    with accumulating_in_float32():
        return _ShardedGreedy(features, centers, budget, _Collectives(group)).run()


class _Collectives:
    """Messages between ranks; every method is a collective.

    Args:
        group: Process group of the ranks.
    """

    def __init__(self, group: distributed.ProcessGroup) -> None:
        self.group, self.ranks, self.rank = group, group.size(), group.rank()

    def numbers(self, *own: float) -> list[list[float]]:
        """Return all ranks' numbers, in rank order; whole numbers are exact below 2⁵³."""
        return self.rows(torch.tensor([own], dtype=torch.float64), [1] * self.ranks).tolist()

    def rows(self, own: Tensor, counts: Sequence[int]) -> Tensor:
        """Return all ranks' rows, in rank order, with `counts[r]` from rank r."""
        if max(counts) == 0:
            return own
        # Padded to one length, since every rank sends the same number of bytes.
        padded = own.new_zeros((max(counts), *own.shape[1:]))
        padded[: len(own)] = own
        received = [torch.empty_like(padded) for _ in counts]
        # As bytes: not every backend sends every dtype.
        as_bytes = [part.view(torch.uint8) for part in received]
        distributed.all_gather(as_bytes, padded.view(torch.uint8), group=self.group)
        return torch.cat([part[:count] for part, count in zip(received, counts, strict=True)])

    def agree(self, shape: "_Shape | MinimaxALError") -> "list[_Shape]":
        """Return all ranks' shapes; every rank raises the error of any rank, or the others would wait for it."""
        received: list[_Shape | MinimaxALError] = [shape] * self.ranks
        distributed.all_gather_object(received, shape, group=self.group)
        for found in (shape, *received):
            if isinstance(found, MinimaxALError):
                raise found
        return [found for found in received if isinstance(found, _Shape)]


class _Shape(NamedTuple):
    """Size of a rank's part, and the width, dtype and centres that all ranks share."""

    images: int
    width: int
    dtype: torch.dtype
    centers: int


class _ShardedGreedy:
    """Bounds of one rank, and its share in the picks of all.

    Given centres and the picks of any rank share one buffer; `greedy` itself never picks.
    """

    def __init__(self, features: FeatureMatrix, centers: Array | None, budget: int, collectives: _Collectives) -> None:
        self.collectives = collectives
        shapes = collectives.agree(self._prepare(features, centers))
        if len({shape[1:] for shape in shapes}) > 1:
            raise ShapeError(f"ranks must agree in width, dtype and centers, but hold {[tuple(s) for s in shapes]}")
        self.sizes = [shape.images for shape in shapes]
        self.budget = check_budget(budget, sum(self.sizes))
        self.offset = sum(self.sizes[: collectives.rank])
        self.picks: list[int] = []
        # The distances of all ranks are measured in one unit.
        products = self.greedy.products
        products.scale = min(scale for (scale,) in collectives.numbers(products.scale))
        given = self.greedy.centers
        dtype = torch.promote_types(dtype_of(self.greedy.features), given.dtype)
        self.centers = torch.empty((len(given) + self.budget, given.shape[1]), dtype=dtype, device=given.device)
        self.centers[: len(given)] = given

    def run(self) -> Tensor:
        """Return the picks in their order, (b,) int64."""
        if len(self.greedy.centers) == 0:
            self.take_nearest_to_mean()
        self.greedy.bound_all(self.budget)
        self.forget(self.picks)
        picked = 0
        shortlist, outside = self.greedy.shortlist()
        while len(self.picks) < self.budget:
            block, rival = self.greedy.leaders(shortlist, self.greedy.block_size)
            if outside.precedes(rival):
                rival = outside
            picked = self.pick_from(block, rival)
            if not picked and rival is outside:
                shortlist, outside = self.greedy.shortlist()
        return torch.tensor(self.picks, device=self.centers.device)

    def pick_from(self, block: Tensor, rival: Candidate) -> int:
        """Refresh the block, gather all ranks' candidates, pick among them; return the number of picks."""
        rival = self.first_of_all(rival)
        self.greedy.refresh(block, rival.bound)
        rows = block[self.greedy.bound[block] >= rival.bound]
        at_once = max(1, share_of_pool(sum(self.sizes), MOST_AT_ONCE) // self.collectives.ranks)
        rows, following = self.greedy.leaders(rows, at_once)
        counts = [int(count) for (count,) in self.collectives.numbers(len(rows))]
        following = self.first_of_all(following)
        rival = following if following.precedes(rival) else rival
        if sum(counts) == 0:
            return 0
        indices = self.collectives.rows(rows + self.offset, counts)
        bound = self.collectives.rows(self.greedy.bound[rows], counts)
        features = self.collectives.rows(self.greedy.features[rows], counts)
        candidates = LazyGreedy(features, features[:0])
        candidates.products.scale, candidates.bound = self.greedy.products.scale, bound
        # Among the gathered candidates, the rival has the index at which it would be inserted.
        inserted = Candidate(rival.bound, bisect_left(indices.tolist(), rival.image))
        candidates.pick_among(candidates.everyone, inserted, self.budget - len(self.picks), len(features))
        first = sum(counts[: self.collectives.rank])
        self.greedy.bound[rows] = candidates.bound[first : first + len(rows)]
        self.take(indices[candidates.picks].tolist(), features[candidates.picks])
        return len(candidates.picks)

    def take(self, indices: list[int], features: Tensor) -> None:
        """Add images of any rank to the centres."""
        count = len(self.greedy.centers)
        self.centers[count : count + len(indices)] = features.to(self.centers.dtype)
        self.greedy.centers = self.centers[: count + len(indices)]
        self.picks += indices
        self.forget(indices)

    def forget(self, indices: Sequence[int]) -> None:
        """Exclude this rank's images from later picks."""
        end = self.offset + len(self.greedy.bound)
        own = [index - self.offset for index in indices if self.offset <= index < end]
        self.greedy.bound[own] = -torch.inf

    def take_nearest_to_mean(self) -> None:
        """Pick the image nearest to the mean of the whole pool, without centres."""
        greedy = self.greedy
        total = (greedy.products.mean * len(greedy.features)).nan_to_num()
        mean = self.collectives.rows(total[None], [1] * self.collectives.ranks).sum(dim=0) / sum(self.sizes)
        distances = greedy.distances_to(mean)
        least = min(
            least for (least,) in self.collectives.numbers(float(distances.min()) if len(distances) else torch.inf)
        )
        # Several ranks add up the mean in another order than one, which must not separate equally near images.
        near = distances <= upper_bound_of_squared(least, greedy.products.uncertainty_of_mean(sum(self.sizes)))
        rows = near.nonzero().flatten()[:1]
        holders = [int(count) for (count,) in self.collectives.numbers(len(rows))]
        first = holders.index(1)
        rows = rows if first == self.collectives.rank else rows[:0]
        counts = [int(rank == first) for rank in range(self.collectives.ranks)]
        self.take(
            self.collectives.rows(rows + self.offset, counts).tolist(),
            self.collectives.rows(greedy.features[rows], counts),
        )

    def first_of_all(self, candidate: Candidate) -> Candidate:
        """Return the first of all ranks' candidates in the order of picking, with its index in the whole pool."""
        found = self.collectives.numbers(candidate.bound, candidate.image + self.offset)
        candidates = [Candidate(bound, int(index)) for bound, index in found]
        return min(candidates, key=lambda each: (-each.bound, each.image))

    def _prepare(self, features: FeatureMatrix, centers: Array | None) -> "_Shape | MinimaxALError":
        try:
            features_nD, centers_LD = checked_pool(features, centers)
            self.greedy = LazyGreedy(features_nD, centers_LD)
        except MinimaxALError as error:
            return error
        return _Shape(len(features_nD), features_nD.shape[1], dtype_of(features_nD), len(centers_LD))
