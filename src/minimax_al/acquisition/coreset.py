"""Core-set selection by the greedy k-center rule (Sener and Savarese 2018), exact and lazy.

The rule takes, again and again, the sample whose nearest centre is farthest away. Done naively every pick costs
a pass over the pool. Three facts make it cheap:

* The distance to the nearest centre only ever falls. A distance measured against a few centres is an upper bound
  of today's, so only samples with the largest bounds need a look at the centres that they have not seen (as in
  the lazy greedy of Minoux 1978). Here they are looked at in blocks, one matrix product a block.
* Some centres are near to many samples. Those that are nearest to a few samples give all others a first bound
  that is close to the truth.
* A product in low precision with a proven error bound tells which centre can be nearest (see `products`). Only
  for these few pairs is the distance computed in float64, as the sum of squared differences. So the picks are
  those of a greedy rule in float64, also where norms are huge beside distances, at the price of bfloat16.

Distances are squared throughout, of features multiplied by a power of two.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minimax_al.acquisition.bounded_products import (
    CENTERS_ALIGNMENT,
    CHUNK_ROWS,
    UNDERFLOW,
    Factors,
    Products,
    accumulating_in_float32,
)
from minimax_al.acquisition.checks import Array, as_dimensions, check_budget
from minimax_al.acquisition.rules import top_unchecked
from minimax_al.errors import ConfigurationError, ShapeError

WINDOW = 512
"""Centres looked at in one matrix product; a sample that falls behind drops out after each."""
WINDOW_SHARE = 32
"""Windows' factors are kept while they take less than this part of the features."""
FIRST_CENTERS = (64, 256)
"""Fewest and most centres that give every sample its first bound, in one pass over the pool."""
FIRST_SHARE = 64
"""Between these numbers, this part of all centres."""
PILOTS = 1024
"""Samples that show which centres are near to many."""
BLOCK_SIZES = (256, 4096)
"""The block size doubles and halves between these, so that a block holds enough samples worth picking from."""
ENOUGH = (128, 512)
"""Samples worth picking from: below the first number blocks grow, above the second they shrink."""
SHORTLIST = 4096
"""Fewest samples on the list from which blocks are taken; large pools have a longer one."""
MOST_AT_ONCE = (256, 768)
"""Fewest and most samples whose distances from one another are held at once."""
POOL_SHARE = 64
"""Blocks, short lists and samples held at once are at most this part of the pool, so that memory scales with it."""
PAIR_CHUNK = {"cpu": 128, "cuda": 4096}
"""Pairs of samples and centres whose distances are computed at a time, so that they stay in a CPU's cache."""
PATIENCE = (1 << 24, 64)
"""After so many products, low precision must have left less than this part of them to compute exactly."""


def k_center_greedy(features: Array, budget: int, centers: Array | None = None, *, first: int | None = None) -> Tensor:
    """Greedy k-center: each pick is the sample farthest from all centres and earlier picks (L2).

    Equal distances go to the lower index. Time: O(N·(L + b)·d) at worst, of which the bounds save most; beside
    the features, which are never copied or converted as a whole, memory of O(N).

    Args:
        features: shape (N, d), any floating dtype.
        budget: number of samples to choose, b.
        centers: shape (L, d), features of the samples that are labelled already.
        first: index of the first pick. By default the rule decides; without centers it is the sample nearest
            to the mean, the best single centre of the pool; of those that are as near up to the mean's rounding the
            one of lowest index.

    Returns:
        Shape (b,), int64, in the order of picking, on the device of `features`.

    Raises:
        BudgetError: a budget below 1 or above N.
        ShapeError: other shapes, or two widths.
        ConfigurationError: `first` is no index of the pool.
        NonFiniteScoreError: a feature is NaN or infinite.

    Example:
        >>> pool = torch.tensor([[0.0], [1.0], [10.0], [4.0]])
        >>> k_center_greedy(pool, 3, centers=torch.tensor([[0.0]]))
        tensor([2, 3, 1])
    """
    features_ND, centers_LD = checked_pool(features, centers)
    budget = check_budget(budget, len(features_ND))
    if first is not None and not 0 <= first < len(features_ND):
        raise ConfigurationError(f"first={first!r} is no index of a pool of {len(features_ND)} samples")
    greedy = LazyGreedy(features_ND, centers_LD)
    if first is None and len(centers_LD) == 0:
        first = greedy.nearest_to_mean()
    with accumulating_in_float32():
        return greedy.run(budget, first)


def checked_pool(features: Array, centers: Array | None) -> tuple[Tensor, Tensor]:
    """Features (N, d) and centres (L, d) as tensors on the features' device; no centres are L = 0.

    Raises:
        ShapeError: other shapes, or two widths.
    """
    features_ND = as_dimensions(features, "ND", "features")
    centers_LD = features_ND[:0] if centers is None else as_dimensions(centers, "ND", "centers")
    if centers_LD.shape[1] != features_ND.shape[1]:
        widths = centers_LD.shape[1], features_ND.shape[1]
        raise ShapeError(f"centers have {widths[0]} features each, the samples have {widths[1]}")
    return features_ND, centers_LD.to(features_ND.device)


class Place(NamedTuple):
    """A place in the order of picking: larger bounds first, then lower indices."""

    bound: float
    sample: int

    def precedes(self, other: "Place") -> bool:
        """Whether this place is picked before the other one."""
        return (-self.bound, self.sample) < (-other.bound, other.sample)


class _Window(NamedTuple):
    """Some successive centres.

    Attributes:
        end: number of centres up to and with these.
        factors: of these, and of fillers after them.
        source: where they are rows.
        places: which rows.
    """

    end: int
    factors: Factors
    source: Tensor
    places: Tensor


class LazyGreedy:
    """Bounds of all samples, and how many centres each has seen.

    Centres stand in one sequence: the given ones, then the picks. `bound[i]` is at least the distance from
    sample i to its nearest centre, and is that distance once sample i has seen all centres.
    """

    def __init__(self, features: Tensor, centers: Tensor) -> None:
        self.features, self.centers = features, centers
        self.products = Products(features, centers)
        self.picks: list[int] = []
        self.everyone = torch.arange(len(features), device=features.device)
        self.bound = torch.full((len(features),), torch.inf, dtype=torch.float64, device=features.device)
        self.seen = torch.zeros(len(features), dtype=torch.int32, device=features.device)
        self.windows: dict[int, _Window] = {}
        self.block_size = min(1024, share_of_pool(len(features), BLOCK_SIZES))
        self.looked, self.measured = 0, 0

    def run(self, budget: int, first: int | None) -> Tensor:
        """The picks in their order, (b,) int64; `first` is made before the rule decides."""
        if first is not None:
            self.take([first])
        self.bound_all(budget)
        while len(self.picks) < budget:
            # Most blocks come from this short list, which saves passes over the bounds of all.
            shortlist, outside = self.shortlist()
            while len(self.picks) < budget and self.pick_from(shortlist, outside, budget):
                pass
        return torch.tensor(self.picks, device=self.features.device)

    def take(self, picks: list[int]) -> None:
        """Count samples among the centres, and out of the game."""
        self.picks += picks
        self.bound[picks] = -torch.inf

    def nearest_to_mean(self) -> int:
        """The best single centre of the pool; of those that are as near up to rounding, the one of lowest index."""
        distances = self.distances_to(self.products.mean)
        uncertainty = self.products.uncertainty_of_mean(len(distances))
        return int((distances <= as_near(float(distances.min()), uncertainty)).nonzero()[0])

    def distances_to(self, place: Tensor) -> Tensor:
        """Squared distances of all samples to one place."""
        distances = torch.empty_like(self.bound)
        for rows, chunk in zip(self.everyone.split(CHUNK_ROWS), self.features.split(CHUNK_ROWS), strict=True):
            distances[rows] = self.products.distances(chunk, place)
        return distances

    def bound_all(self, budget: int) -> None:
        """Give every sample a first bound, from a few centres that still count as unseen."""
        centers, slack = self.products.prepare(self.first_centers(budget)), self.products.slack
        norms_C = (1 + slack) * centers.square().sum(dim=1)
        for rows, chunk in zip(self.everyone.split(CHUNK_ROWS), self.features.split(CHUNK_ROWS), strict=True):
            prepared = self.products.prepare(chunk)
            own = (1 + slack) * prepared.square().sum(dim=1).double() + UNDERFLOW
            self.bound[rows] = torch.addmm(norms_C, prepared, centers.T, alpha=-2).amin(dim=1) + own
        self.bound[self.picks] = -torch.inf

    def first_centers(self, budget: int) -> Tensor:
        """Some centres, those that are nearest to many samples if there is a choice."""
        given = len(self.centers)
        if given == 0:
            return self.features[self.picks]
        count = min(max(FIRST_CENTERS[0], (given + budget) // FIRST_SHARE), FIRST_CENTERS[1])
        if given <= count or len(self.everyone) == 0:
            return self.centers[:count]
        pilots = self.products.samples(self.features, self.everyone[:: -(-len(self.everyone) // PILOTS)])
        smallest = torch.full_like(pilots.norms, torch.inf)
        nearest = torch.zeros_like(smallest, dtype=torch.int64)
        everyone = self.everyone[: len(smallest)]
        for begin in range(0, given, WINDOW):
            entries, places = self.products.entries(pilots, everyone, self.window(begin, given).factors).min(dim=1)
            nearest = torch.where(entries < smallest, begin + places, nearest)
            smallest = torch.minimum(smallest, entries)
        return self.centers[top_unchecked(nearest.bincount(minlength=given), count)]

    def shortlist(self) -> tuple[Tensor, Place]:
        """The samples of the largest bounds, from which blocks are taken, and the first place outside of them."""
        return self.leaders(self.everyone, max(SHORTLIST, len(self.everyone) // POOL_SHARE))

    def leaders(self, rows: Tensor, size: int) -> tuple[Tensor, Place]:
        """The first `size` of `rows` in the order of picking, sorted by index, and the place of the next one."""
        if size >= len(rows):
            return rows, Place(-torch.inf, len(self.bound))
        places = top_unchecked(self.bound[rows], size + 1)
        following = int(rows[places[-1]])
        return rows[places[:-1].sort().values], Place(float(self.bound[following]), following)

    def pick_from(self, shortlist: Tensor, outside: Place, budget: int) -> bool:
        """Refresh the leaders of the short list and pick among them; whether the list is worth another try."""
        block, rival = self.leaders(shortlist, self.block_size)
        if outside.precedes(rival):
            rival = outside
        self.refresh(block, rival.bound)
        rows = block[self.bound[block] >= rival.bound]
        most = share_of_pool(len(self.bound), MOST_AT_ONCE)
        picked = self.pick_among(rows, rival, budget, most) if len(rows) else 0
        if len(rows) < ENOUGH[0]:
            self.block_size = min(2 * self.block_size, share_of_pool(len(self.bound), BLOCK_SIZES))
        elif len(rows) > ENOUGH[1]:
            self.block_size = max(self.block_size // 2, BLOCK_SIZES[0])
        return picked > 0 or rival is not outside

    def refresh(self, rows: Tensor, floor: float) -> None:
        """Let each of `rows` see the centres that it has not seen, until its bound falls below `floor`."""
        rows = rows[self.bound[rows] >= floor]
        samples = self.products.samples(self.features, rows)
        bound, seen = self.bound[rows], self.seen[rows]
        stop = len(self.centers) + len(self.picks)
        # A bound of zero is exact, whatever the sample has seen.
        while len(waiting := ((seen < stop) & (bound >= floor) & (bound > 0)).nonzero().flatten()):
            begin = int(seen[waiting].min())
            window = self.window(begin, stop)
            active = waiting[seen[waiting] < window.end]
            bound[active] = self.nearer(rows[active], samples, active, bound[active], window)
            seen[active] = window.end
        self.bound[rows], self.seen[rows] = bound, seen
        self.reconsider_precision()

    def window(self, begin: int, stop: int) -> _Window:
        """The centres from about `begin` to the end of its window."""
        given = len(self.centers)
        if begin < given:
            source, start = self.centers, begin - begin % WINDOW
            places = torch.arange(start, min(start + WINDOW, given), device=source.device)
        else:
            source, start = self.features, begin - (begin - given) % WINDOW
            picked = self.picks[start - given : min(start + WINDOW, stop) - given]
            places = torch.tensor(picked, device=source.device)
        window = self.windows.get(start)
        if window is None or len(window.places) < len(places):
            window = _Window(start + len(places), self.products.centers(source, places), source, places)
            if (len(self.windows) + 1) * window.factors.values.nbytes * WINDOW_SHARE < self.features.nbytes:
                self.windows[start] = window
        skipped = (begin - start) // CENTERS_ALIGNMENT * CENTERS_ALIGNMENT
        factors = window.factors._replace(values=window.factors.values[skipped:])
        return window._replace(factors=factors, places=window.places[skipped:])

    def nearer(self, rows: Tensor, samples: Factors, active: Tensor, bound: Tensor, window: _Window) -> Tensor:
        """The bounds of `rows` after a look at a window, exact where one of its centres is nearer.

        Their factors are those of `samples` at `active`.
        """
        entries = self.products.entries(samples, active, window.factors)
        self.looked += entries.numel()
        reach = self.products.reach(samples.without_values(active), window.factors, bound)
        near = (entries.amin(dim=1) <= reach).nonzero().flatten()
        entries, nearer, rows = entries[near], bound[near], rows[near]
        source, places = window.source, window.places
        likeliest = entries.argmin(dim=1)
        self.lower_to(nearer, rows, (source, places[likeliest]), self.everyone[: len(rows)])
        # Any other centre that may be nearer still.
        entries.scatter_(1, likeliest[:, None], torch.inf)
        reach = self.products.reach(samples.without_values(active[near]), window.factors, nearer).masked_fill_(
            nearer == 0, -torch.inf
        )
        others = (entries <= reach[:, None]).nonzero()
        self.lower_to(nearer, rows, (source, places[others[:, 1]]), others[:, 0])
        return bound.index_copy(0, near, nearer)

    def lower_to(self, bound: Tensor, rows: Tensor, centers: tuple[Tensor, Tensor], which: Tensor) -> None:
        """Lower `bound[which[k]]` to the exact distance of that row and the k-th centre, for all k."""
        source, places = centers
        self.measured += len(places)
        size = PAIR_CHUNK.get(which.device.type, PAIR_CHUNK["cpu"])
        for k, j in zip(which.split(size), places.split(size), strict=True):
            bound.scatter_reduce_(0, k, self.products.distances(self.features[rows[k]], source[j]), "amin")

    def reconsider_precision(self) -> None:
        """Go over to float32 where low precision tells too little apart."""
        if self.looked > PATIENCE[0] and self.measured * PATIENCE[1] > self.looked:
            self.products.dtype = torch.float32
            self.windows.clear()

    def pick_among(self, rows: Tensor, rival: Place, budget: int, most: int) -> int:
        """Pick from at most so many refreshed rows while their best precedes the rival; how many were picked."""
        rows, following = self.leaders(rows, most)
        rival = following if following.precedes(rival) else rival
        raw = self.features[rows]
        between = _Between(self.products.prepare(raw), self.products.slack)
        indices, exact = rows.tolist(), self.bound[rows].cpu().numpy()
        bound, settled = exact.copy(), np.ones(len(rows), dtype=bool)
        taken: list[int] = []
        while len(self.picks) + len(taken) < budget:
            best = int(bound.argmax())
            if not Place(bound[best], indices[best]).precedes(rival):
                break
            if not settled[best]:
                near = [taken[place] for place in np.flatnonzero(between.lower_of(taken, best) <= bound[best])]
                bound[best] = min(exact[best], float(self.products.distances(raw[near], raw[best]).min()))
                settled[best] = True
                continue
            taken.append(best)
            settled[(between.lower(best) <= bound) & (bound > 0)] = False
            np.minimum(bound, between.upper(best), out=bound, where=bound > 0)
            bound[best] = -np.inf
        # Rows that were not picked keep their count of seen centres: they have a bound against the new ones only.
        self.bound[rows] = torch.from_numpy(bound).to(rows.device)
        self.take([indices[place] for place in taken])
        return len(taken)


class _Between:
    """Bounds of the distances of a few rows from one another, in NumPy: they are asked for one by one."""

    def __init__(self, prepared: Tensor, slack: float) -> None:
        self.slack = slack
        self.norms: NDArray[np.float32] = prepared.square().sum(dim=1).cpu().numpy()
        self.products: NDArray[np.float32] = (prepared @ prepared.T).cpu().numpy()

    def lower(self, row: int) -> NDArray[np.float32]:
        bounds: NDArray[np.float32] = (1 - self.slack) * (self.norms[row] + self.norms) - 2 * self.products[row]
        return np.subtract(bounds, UNDERFLOW, out=bounds)

    def upper(self, row: int) -> NDArray[np.float32]:
        bounds: NDArray[np.float32] = (1 + self.slack) * (self.norms[row] + self.norms) - 2 * self.products[row]
        return np.add(bounds, UNDERFLOW, out=bounds)

    def lower_of(self, rows: list[int], other: int) -> NDArray[np.float32]:
        """What `lower(row)` says of `other`, for each of `rows`."""
        sums = self.norms[rows] + self.norms[other]
        bounds: NDArray[np.float32] = (1 - self.slack) * sums - 2 * self.products[rows, other]
        return np.subtract(bounds, UNDERFLOW, out=bounds)


def as_near(squared: float, uncertainty: float) -> float:
    """The largest squared distance to a place that may be as near to what the place is known to be only so well."""
    return (math.sqrt(squared) + 2 * uncertainty) ** 2


def share_of_pool(samples: int, limits: tuple[int, int]) -> int:
    """A part of so many samples, between limits."""
    return min(max(limits[0], samples // POOL_SHARE), limits[1])
