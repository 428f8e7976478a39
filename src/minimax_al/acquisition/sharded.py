"""Greedy k-center over a pool whose features lie on several ranks; only candidates travel.

Every rank keeps bounds for its part, as in `minimax_al.acquisition.coreset`. Round after round all agree on the largest
bound outside of their blocks, each refreshes its block, and the samples that are still worth picking from travel: their
indices, bounds and features. Among them every rank then makes the same picks. The distances that decide are the same
float64 sums as on one rank, in the same unit, so the picks are those of one rank.
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
    LazyGreedy,
    Place,
    as_near,
    checked_pool,
    k_center_greedy,
    share_of_pool,
)
from minimax_al.errors import MinimaxALError, ShapeError


def k_center_greedy_sharded(
    features: Array, budget: int, centers: Array | None = None, *, group: distributed.ProcessGroup | None = None
) -> Tensor:
    """`k_center_greedy` over all ranks' features together; every rank calls it and gets the same picks.

    Args:
        features: this rank's part of the pool, (n, d), floating point; parts stand in rank order and may be empty.
        budget: number of samples to choose from the whole pool, b.
        centers: features of the samples that are labelled already, (L, d); the same on every rank.
        group: of the ranks; None for one alone.

    Returns:
        Shape (b,), int64, positions in the whole pool in the order of picking, on the device of `features`.

    Raises:
        BudgetError: a budget below 1 or above the size of the whole pool.
        ShapeError: other shapes, or ranks whose features differ in width or dtype.
        NonFiniteScoreError: a feature is NaN or infinite; positions are in that rank's part.

    Example:
        >>> pool = torch.tensor([[0.0], [1.0], [10.0], [4.0]])
        >>> k_center_greedy_sharded(pool, 3, centers=torch.tensor([[0.0]]))
        tensor([2, 3, 1])
    """
    if group is None:
        return k_center_greedy(features, budget, centers)
    with accumulating_in_float32():
        return _ShardedGreedy(features, centers, budget, _Meeting(group)).run()


class _Meeting:
    """What ranks tell one another: every call is made by all of them."""

    def __init__(self, group: distributed.ProcessGroup) -> None:
        self.group, self.ranks, self.rank = group, group.size(), group.rank()

    def numbers(self, *own: float) -> list[list[float]]:
        """All ranks' numbers, in rank order; whole ones are exact below 2⁵³."""
        return self.rows(torch.tensor([own], dtype=torch.float64), [1] * self.ranks).tolist()

    def rows(self, own: Tensor, counts: Sequence[int]) -> Tensor:
        """All ranks' rows, of which there are `counts`; padded to one length, since all send equally much."""
        if max(counts) == 0:
            return own
        padded = own.new_zeros((max(counts), *own.shape[1:]))
        padded[: len(own)] = own
        received = [torch.empty_like(padded) for _ in counts]
        # As bytes: not every backend sends every type of number.
        as_bytes = [part.view(torch.uint8) for part in received]
        distributed.all_gather(as_bytes, padded.view(torch.uint8), group=self.group)
        return torch.cat([part[:count] for part, count in zip(received, counts, strict=True)])

    def agree(self, shape: "_Shape | MinimaxALError") -> "list[_Shape]":
        """All ranks' shapes; an error of one is raised by all, for otherwise they would wait for it."""
        told: list[_Shape | MinimaxALError] = [shape] * self.ranks
        distributed.all_gather_object(told, shape, group=self.group)
        for found in (shape, *told):
            if isinstance(found, MinimaxALError):
                raise found
        return [found for found in told if isinstance(found, _Shape)]


class _Shape(NamedTuple):
    """What ranks must know of a part, and what they must have in common."""

    samples: int
    width: int
    dtype: torch.dtype
    centers: int


class _ShardedGreedy:
    """One rank's bounds, and its share in the picks of all.

    Centres, given ones and picks of any rank, stand in one buffer; `greedy` itself never picks.
    """

    def __init__(self, features: Array, centers: Array | None, budget: int, meeting: _Meeting) -> None:
        self.meeting = meeting
        shapes = meeting.agree(self._prepare(features, centers))
        if len({shape[1:] for shape in shapes}) > 1:
            raise ShapeError(f"ranks must agree in width, dtype and centers, but hold {[tuple(s) for s in shapes]}")
        self.sizes = [shape.samples for shape in shapes]
        self.budget = check_budget(budget, sum(self.sizes))
        self.offset = sum(self.sizes[: meeting.rank])
        self.picks: list[int] = []
        # The distances of all ranks are measured in one unit.
        products = self.greedy.products
        products.scale = min(scale for (scale,) in meeting.numbers(products.scale))
        given = self.greedy.centers
        dtype = torch.promote_types(self.greedy.features.dtype, given.dtype)
        self.centers = torch.empty((len(given) + self.budget, given.shape[1]), dtype=dtype, device=given.device)
        self.centers[: len(given)] = given

    def run(self) -> Tensor:
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

    def pick_from(self, block: Tensor, rival: Place) -> int:
        """Refresh the block, let candidates travel, pick among all ranks' alike; how many were picked."""
        rival = self.first_of_all(rival)
        self.greedy.refresh(block, rival.bound)
        rows = block[self.greedy.bound[block] >= rival.bound]
        at_once = max(1, share_of_pool(sum(self.sizes), MOST_AT_ONCE) // self.meeting.ranks)
        rows, following = self.greedy.leaders(rows, at_once)
        counts = [int(count) for (count,) in self.meeting.numbers(len(rows))]
        following = self.first_of_all(following)
        rival = following if following.precedes(rival) else rival
        if sum(counts) == 0:
            return 0
        indices = self.meeting.rows(rows + self.offset, counts)
        bound = self.meeting.rows(self.greedy.bound[rows], counts)
        features = self.meeting.rows(self.greedy.features[rows], counts)
        candidates = LazyGreedy(features, features[:0])
        candidates.products.scale, candidates.bound = self.greedy.products.scale, bound
        # Among candidates, the rival stands where its index would be put.
        place = Place(rival.bound, bisect_left(indices.tolist(), rival.sample))
        candidates.pick_among(candidates.everyone, place, self.budget - len(self.picks), len(features))
        first = sum(counts[: self.meeting.rank])
        self.greedy.bound[rows] = candidates.bound[first : first + len(rows)]
        self.take(indices[candidates.picks].tolist(), features[candidates.picks])
        return len(candidates.picks)

    def take(self, indices: list[int], features: Tensor) -> None:
        """Count samples of any rank among the centres."""
        count = len(self.greedy.centers)
        self.centers[count : count + len(indices)] = features.to(self.centers.dtype)
        self.greedy.centers = self.centers[: count + len(indices)]
        self.picks += indices
        self.forget(indices)

    def forget(self, indices: Sequence[int]) -> None:
        """Take samples out of the game where they are this rank's."""
        end = self.offset + len(self.greedy.bound)
        own = [index - self.offset for index in indices if self.offset <= index < end]
        self.greedy.bound[own] = -torch.inf

    def take_nearest_to_mean(self) -> None:
        """The first pick where nothing is labelled: the best single centre of the pool."""
        greedy = self.greedy
        total = (greedy.products.mean * len(greedy.features)).nan_to_num()
        mean = self.meeting.rows(total[None], [1] * self.meeting.ranks).sum(dim=0) / sum(self.sizes)
        distances = greedy.distances_to(mean)
        least = min(least for (least,) in self.meeting.numbers(float(distances.min()) if len(distances) else torch.inf))
        # Ranks add the mean up in another order than one alone, which must not tell equally near ones apart.
        near = distances <= as_near(least, greedy.products.uncertainty_of_mean(sum(self.sizes)))
        rows = near.nonzero().flatten()[:1]
        holders = [int(count) for (count,) in self.meeting.numbers(len(rows))]
        first = holders.index(1)
        rows = rows if first == self.meeting.rank else rows[:0]
        counts = [int(rank == first) for rank in range(self.meeting.ranks)]
        self.take(
            self.meeting.rows(rows + self.offset, counts).tolist(), self.meeting.rows(greedy.features[rows], counts)
        )

    def first_of_all(self, place: Place) -> Place:
        """Of all ranks' places, the one that comes first in the order of picking, with its index in the whole pool."""
        places = [
            Place(bound, int(sample)) for bound, sample in self.meeting.numbers(place.bound, place.sample + self.offset)
        ]
        return min(places, key=lambda found: (-found.bound, found.sample))

    def _prepare(self, features: Array, centers: Array | None) -> "_Shape | MinimaxALError":
        try:
            features_nD, centers_LD = checked_pool(features, centers)
            self.greedy = LazyGreedy(features_nD, centers_LD)
        except MinimaxALError as error:
            return error
        return _Shape(len(features_nD), features_nD.shape[1], features_nD.dtype, len(centers_LD))
