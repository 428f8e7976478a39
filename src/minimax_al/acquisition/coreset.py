"""Core-set selection by the greedy k-center rule (Sener and Savarese 2018), exact and lazy.

The rule chooses, again and again, the image whose nearest centre is farthest away. Done naively, every pick costs a
pass over the pool. Three facts make it cheap:

* The distance to the nearest centre only falls. A distance measured against a few centres is therefore an upper bound
  of the current one, and only images with the largest bounds are measured against the centres that they have not seen
  (as in the lazy greedy of Minoux 1978). They are measured in blocks, one matrix product per block.
* Some centres are near to many images. Those that are nearest to a few pilot images give all images a first bound that
  is close to the distance.
* A product in low precision with a proven error bound decides which centre can be nearest (see `bounded_products`).
  Only for these few pairs is the distance computed in float64, as the sum of squared differences. So the picks are
  those of a greedy rule in float64, also where norms are huge compared with distances, at the price of bfloat16.

Distances are squared throughout, of features multiplied by a power of two.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
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
from minimax_al.acquisition.distance_bounds import DistanceBounds
from minimax_al.acquisition.rows import FeatureMatrix, Rows, as_rows, device_of, dtype_of, spans
from minimax_al.acquisition.rules import top_unchecked
from minimax_al.errors import ConfigurationError, ShapeError

WINDOW = 512
"""Centres in one matrix product; an image whose bound falls below the floor drops out after each."""
WINDOW_SHARE = 32
"""Factors of windows are kept while they are smaller than 1/32 of the features."""
FIRST_CENTERS = (64, 256)
"""Fewest and most centres that give every image its first bound, in one pass over the pool."""
FIRST_SHARE = 64
"""Between these numbers, 1/64 of all centres."""
PILOTS = 1024
"""Images that show which centres are near to many images."""
BLOCK_SIZES = (256, 4096)
"""Smallest and largest block; the size doubles and halves so that a block holds enough candidates."""
ENOUGH = (128, 512)
"""Candidates per block: below the first number blocks grow, above the second they shrink."""
SHORTLIST = 4096
"""Fewest images on the short list from which blocks come; large pools have a longer one."""
MOST_AT_ONCE = (256, 768)
"""Fewest and most candidates whose distances from one another are held at once."""
POOL_SHARE = 64
"""Blocks, short lists and candidates are at most 1/64 of the pool, so that memory scales with it."""
PAIR_CHUNK = {"cpu": 128, "cuda": 4096}
"""Pairs of images and centres whose distances are computed at a time, so that they stay in a CPU's cache."""
PATIENCE = (1 << 24, 64)
"""After 2²⁴ products, low precision must have left less than 1/64 of them to compute exactly."""


def k_center_greedy(
    features: FeatureMatrix, budget: int, centers: Array | None = None, *, first: int | None = None
) -> Tensor:
    """Return the exact greedy k-center picks: each is the image farthest from all centres and earlier picks (L2).

    Equal distances go to the lower index. Time O(N·(L + b)·d) at worst, of which the bounds save most; memory O(N) in
    addition to the features, which are never copied or converted as a whole.

    Args:
        features: Features of the unlabelled images, shape (N, d), any floating dtype; may stay on disk.
        budget: Number of images to choose, b.
        centers: Features of the labelled images, shape (L, d).
        first: Index of the first pick. By default the rule decides; without centers the first pick is the image nearest
            to the mean, which is the best single centre of the pool, and among those that are equally near up to the
            rounding of the mean the one of the lowest index.

    Returns:
        Shape (b,), int64, in order of choice, on the device of `features`.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ShapeError: The features are not matrices of one width.
        ConfigurationError: `first` is not an index of the pool.
        NonFiniteScoreError: A feature is NaN or infinite.

    Example:
        >>> pool = torch.tensor([[0.0], [1.0], [10.0], [4.0]])
        >>> k_center_greedy(pool, 3, centers=torch.tensor([[0.0]]))
        tensor([2, 3, 1])
    """
    features_ND, centers_LD = checked_pool(features, centers)
    budget = check_budget(budget, len(features_ND))
    if first is not None and not 0 <= first < len(features_ND):
        raise ConfigurationError(f"first={first!r} is not an index of a pool of {len(features_ND)} images")
    greedy = LazyGreedy(features_ND, centers_LD)
    if first is None and len(centers_LD) == 0:
        first = greedy.nearest_to_mean()
    with accumulating_in_float32():
        return greedy.run(budget, first)


def checked_pool(features: FeatureMatrix, centers: Array | None) -> tuple[Rows, Tensor]:
    """Return features (N, d) as rows and centres (L, d) on the same device; L = 0 without centres.

    Raises:
        ShapeError: The features are not matrices of one width.
    """
    features_ND = as_rows(features)
    if centers is None:
        centers_LD = torch.empty((0, features_ND.shape[1]), dtype=dtype_of(features_ND))
    else:
        centers_LD = as_dimensions(centers, "ND", "centers")
    if centers_LD.shape[1] != features_ND.shape[1]:
        widths = centers_LD.shape[1], features_ND.shape[1]
        raise ShapeError(f"centers have {widths[0]} features each, the images have {widths[1]}")
    return features_ND, centers_LD.to(device_of(features_ND))


class Candidate(NamedTuple):
    """Image with its bound, in the order of picking: larger bounds first, then lower indices.

    Attributes:
        bound: Upper bound of the squared distance to the nearest centre.
        image: Index of the image in the pool.
    """

    bound: float
    image: int

    def precedes(self, other: "Candidate") -> bool:
        """Return whether this candidate is picked before the other one."""
        return (-self.bound, self.image) < (-other.bound, other.image)


class _Window(NamedTuple):
    """Successive centres that are multiplied together.

    Attributes:
        end: Number of centres up to the end of the window.
        factors: Factors of these centres, and of fillers after them.
        source: Matrix of which the centres are rows.
        rows: Row of each centre in `source`, shape (w,) int64.
    """

    end: int
    factors: Factors
    source: Rows
    rows: Tensor


class LazyGreedy:
    """Greedy k-center with lazy bounds.

    Centres form one sequence: the given ones, then the picks. `seen[i]` is the number of centres that image i has been
    measured against. Invariant: min_{c} ‖x_i − c‖² ≤ bound[i], with equality once image i has seen all centres.

    Args:
        features: Features of the pool, shape (N, d).
        centers: Features of the given centres, shape (L, d).
    """

    def __init__(self, features: Rows, centers: Tensor) -> None:
        self.features, self.centers = features, centers
        self.products = Products(features, centers)
        self.picks: list[int] = []
        self.device = device_of(features)
        self.size = len(features) * features.shape[1] * dtype_of(features).itemsize
        self.everyone = torch.arange(len(features), device=self.device)
        self.bound = torch.full((len(features),), torch.inf, dtype=torch.float64, device=self.device)
        self.seen = torch.zeros(len(features), dtype=torch.int32, device=self.device)
        self.windows: dict[int, _Window] = {}
        self.block_size = min(1024, share_of_pool(len(features), BLOCK_SIZES))
        self.looked, self.measured = 0, 0

    def run(self, budget: int, first: int | None) -> Tensor:
        """Return the picks in their order, (b,) int64; `first` is picked before the rule decides."""
        if first is not None:
            self.take([first])
        self.bound_all(budget)
        while len(self.picks) < budget:
            # Most blocks come from this short list, which saves passes over all bounds.
            shortlist, outside = self.shortlist()
            while len(self.picks) < budget and self.pick_from(shortlist, outside, budget):
                pass
        return torch.tensor(self.picks, device=self.device)

    def take(self, picks: list[int]) -> None:
        """Add images to the centres and exclude them from later picks."""
        self.picks += picks
        self.bound[picks] = -torch.inf

    def nearest_to_mean(self) -> int:
        """Return the image nearest to the mean; of those equally near up to rounding, the lowest index."""
        distances = self.distances_to(self.products.mean)
        uncertainty = self.products.uncertainty_of_mean(len(distances))
        return int((distances <= upper_bound_of_squared(float(distances.min()), uncertainty)).nonzero()[0])

    def distances_to(self, point: Tensor) -> Tensor:
        """Return the squared distances of all images to one point, (N,) float64."""
        distances = torch.empty_like(self.bound)
        for span in spans(len(self.features), CHUNK_ROWS):
            distances[span] = self.products.distances(self.features[span], point)
        return distances

    def bound_all(self, budget: int) -> None:
        """Set every image's first bound from a few centres, which still count as unseen."""
        centers, slack = self.products.prepare(self.first_centers(budget)), self.products.slack
        # |computed − true| ≤ slack·(‖x‖² + ‖c‖²), so both norms are counted larger by that share.
        norms_C = (1 + slack) * centers.square().sum(dim=1)
        for span in spans(len(self.features), CHUNK_ROWS):
            prepared = self.products.prepare(self.features[span])
            own = (1 + slack) * prepared.square().sum(dim=1).double() + UNDERFLOW
            self.bound[span] = torch.addmm(norms_C, prepared, centers.T, alpha=-2).amin(dim=1) + own
        self.bound[self.picks] = -torch.inf

    def first_centers(self, budget: int) -> Tensor:
        """Return the features of a few centres that are nearest to many images, (c, d)."""
        given = len(self.centers)
        if given == 0:
            return self.features[torch.tensor(self.picks, dtype=torch.int64, device=self.device)]
        count = min(max(FIRST_CENTERS[0], (given + budget) // FIRST_SHARE), FIRST_CENTERS[1])
        if given <= count or len(self.everyone) == 0:
            return self.centers[:count]
        # Pilots are spread evenly over the pool; each votes for its nearest centre, as far as low precision tells.
        pilots = self.products.row_factors(self.features, self.everyone[:: -(-len(self.everyone) // PILOTS)])
        smallest = torch.full_like(pilots.norms, torch.inf)
        nearest = torch.zeros_like(smallest, dtype=torch.int64)
        everyone = self.everyone[: len(smallest)]
        for begin in range(0, given, WINDOW):
            entries, positions = self.products.entries(pilots, everyone, self.window(begin, given).factors).min(dim=1)
            nearest = torch.where(entries < smallest, begin + positions, nearest)
            smallest = torch.minimum(smallest, entries)
        return self.centers[top_unchecked(nearest.bincount(minlength=given), count)]

    def shortlist(self) -> tuple[Tensor, Candidate]:
        """Return the images of the largest bounds, and the first candidate that is not among them."""
        return self.leaders(self.everyone, max(SHORTLIST, len(self.everyone) // POOL_SHARE))

    def leaders(self, rows: Tensor, size: int) -> tuple[Tensor, Candidate]:
        """Return the first `size` of `rows` in the order of picking, sorted by index, and the next candidate."""
        if size >= len(rows):
            return rows, Candidate(-torch.inf, len(self.bound))
        positions = top_unchecked(self.bound[rows], size + 1)
        following = int(rows[positions[-1]])
        return rows[positions[:-1].sort().values], Candidate(float(self.bound[following]), following)

    def pick_from(self, shortlist: Tensor, outside: Candidate, budget: int) -> bool:
        """Refresh the leaders of the short list and pick among them; return whether to try the list again."""
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
        """Measure `rows` against the centres that they have not seen, until their bounds fall below `floor`."""
        rows = rows[self.bound[rows] >= floor]
        factors = self.products.row_factors(self.features, rows)
        bound, seen = self.bound[rows], self.seen[rows]
        stop = len(self.centers) + len(self.picks)
        # A bound of zero is exact, whatever the image has seen.
        while len(waiting := ((seen < stop) & (bound >= floor) & (bound > 0)).nonzero().flatten()):
            begin = int(seen[waiting].min())
            window = self.window(begin, stop)
            active = waiting[seen[waiting] < window.end]
            bound[active] = self.nearer(rows[active], factors, active, bound[active], window)
            seen[active] = window.end
        self.bound[rows], self.seen[rows] = bound, seen
        self.reconsider_precision()

    def window(self, begin: int, stop: int) -> _Window:
        """Return the centres from `begin`, rounded down to the alignment, to the end of its window."""
        given = len(self.centers)
        source: Rows
        if begin < given:
            source, start = self.centers, begin - begin % WINDOW
            rows = torch.arange(start, min(start + WINDOW, given), device=self.device)
        else:
            source, start = self.features, begin - (begin - given) % WINDOW
            picked = self.picks[start - given : min(start + WINDOW, stop) - given]
            rows = torch.tensor(picked, device=self.device)
        window = self.windows.get(start)
        if window is None or len(window.rows) < len(rows):
            window = _Window(start + len(rows), self.products.center_factors(source, rows), source, rows)
            if (len(self.windows) + 1) * window.factors.values.nbytes * WINDOW_SHARE < self.size:
                self.windows[start] = window
        skipped = (begin - start) // CENTERS_ALIGNMENT * CENTERS_ALIGNMENT
        factors = window.factors._replace(values=window.factors.values[skipped:])
        return window._replace(factors=factors, rows=window.rows[skipped:])

    def nearer(self, rows: Tensor, factors: Factors, active: Tensor, bound: Tensor, window: _Window) -> Tensor:
        """Return the bounds of `rows` after a look at a window; exact where one of its centres is nearer.

        Args:
            rows: Images to measure, shape (n,) int64.
            factors: Factors of a block of images.
            active: Position of each of `rows` in that block, shape (n,) int64.
            bound: Bounds of `rows`, shape (n,) float64.
            window: Centres to measure against.
        """
        entries = self.products.entries(factors, active, window.factors)
        self.looked += entries.numel()
        reach = self.products.reach(factors.without_values(active), window.factors, bound)
        # Only where the smallest entry is within reach can a centre of this window be nearer than the bound.
        near = (entries.amin(dim=1) <= reach).nonzero().flatten()
        entries, nearer, rows = entries[near], bound[near], rows[near]
        source, centers = window.source, window.rows
        # First the likeliest centre, whose exact distance shortens the reach of the others.
        likeliest = entries.argmin(dim=1)
        self.lower_to(nearer, rows, (source, centers[likeliest]), self.everyone[: len(rows)])
        # Then every other centre that may still be nearer.
        entries.scatter_(1, likeliest[:, None], torch.inf)
        reach = self.products.reach(factors.without_values(active[near]), window.factors, nearer).masked_fill_(
            nearer == 0, -torch.inf
        )
        others = (entries <= reach[:, None]).nonzero()
        self.lower_to(nearer, rows, (source, centers[others[:, 1]]), others[:, 0])
        return bound.index_copy(0, near, nearer)

    def lower_to(self, bound: Tensor, rows: Tensor, centers: tuple[Rows, Tensor], which: Tensor) -> None:
        """Lower `bound[which[k]]` to the exact distance of that row and the k-th centre, for all k."""
        source, center_rows = centers
        self.measured += len(center_rows)
        size = PAIR_CHUNK.get(which.device.type, PAIR_CHUNK["cpu"])
        for k, j in zip(which.split(size), center_rows.split(size), strict=True):
            bound.scatter_reduce_(0, k, self.products.distances(self.features[rows[k]], source[j]), "amin")

    def reconsider_precision(self) -> None:
        """Change to float32 where low precision separates too few distances."""
        if self.looked > PATIENCE[0] and self.measured * PATIENCE[1] > self.looked:
            self.products.dtype = torch.float32
            self.windows.clear()

    def pick_among(self, rows: Tensor, rival: Candidate, budget: int, most: int) -> int:
        """Pick among at most `most` refreshed rows while the best precedes the rival; return the number of picks."""
        rows, following = self.leaders(rows, most)
        rival = following if following.precedes(rival) else rival
        raw = self.features[rows]
        between = DistanceBounds(self.products.prepare(raw), self.products.slack)
        indices, exact = rows.tolist(), self.bound[rows].cpu().numpy()
        # settled[i]: bound[i] is the distance to all centres, those of this call included.
        bound, settled = exact.copy(), np.ones(len(rows), dtype=bool)
        taken: list[int] = []
        while len(self.picks) + len(taken) < budget:
            best = int(bound.argmax())
            if not Candidate(bound[best], indices[best]).precedes(rival):
                break
            if not settled[best]:
                near = [taken[position] for position in np.flatnonzero(between.lower_of(taken, best) <= bound[best])]
                bound[best] = min(exact[best], float(self.products.distances(raw[near], raw[best]).min()))
                settled[best] = True
                continue
            taken.append(best)
            # Rows that the new centre may be nearer to are measured when they come first; all get an upper bound now.
            settled[(between.lower(best) <= bound) & (bound > 0)] = False
            np.minimum(bound, between.upper(best), out=bound, where=bound > 0)
            bound[best] = -np.inf
        # Rows that were not picked keep their `seen`: against the new centres they have upper bounds only.
        self.bound[rows] = torch.from_numpy(bound).to(rows.device)
        self.take([indices[position] for position in taken])
        return len(taken)


def upper_bound_of_squared(squared: float, uncertainty: float) -> float:
    """Return the upper bound of a squared distance measured as `squared`, both ends known to ± `uncertainty`."""
    return (math.sqrt(squared) + 2 * uncertainty) ** 2


def share_of_pool(images: int, limits: tuple[int, int]) -> int:
    """Return 1/64 of a pool's size, clamped to the limits."""
    return min(max(limits[0], images // POOL_SHARE), limits[1])
