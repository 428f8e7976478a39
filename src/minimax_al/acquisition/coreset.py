"""Core-set selection by the greedy k-center rule (Sener and Savarese 2018), exact and lazy.

The rule takes, again and again, the sample whose nearest centre is farthest away. Done naively every pick costs
a pass over the pool. Two facts make it cheap:

* The distance to the nearest centre only ever falls. A distance measured against the first few centres is an
  upper bound of today's, so only samples with the largest bounds need a look at the centres that they have not
  seen (as in the lazy greedy of Minoux 1978). Here they are looked at in blocks, one matrix product a block.
* A product in float32 with a proven error bound tells which centre can be nearest. Only for these few pairs
  is the distance computed in float64, as the sum of squared differences. So the picks are those of a greedy
  rule in float64, also where norms are huge beside distances, at about the price of float32.

Distances are squared throughout, of features multiplied by `scale`.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from minimax_al.acquisition.checks import Array, as_dimensions, check_budget, check_finite
from minimax_al.acquisition.rules import top_unchecked
from minimax_al.errors import ConfigurationError, ShapeError

WINDOW = 512
"""Centres looked at in one matrix product; a sample that falls behind drops out after each."""
FIRST_CENTERS = 64
"""Centres that give every sample its first bound, in one pass over the pool."""
BLOCK_SIZES = (256, 4096)
"""The block size doubles and halves between these, so that a block holds enough samples worth picking from."""
ENOUGH = (128, 512)
"""Samples worth picking from: below the first number blocks grow, above the second they shrink."""
SHORTLIST = 4096
"""Fewest samples on the list from which blocks are taken; large pools have a longer one."""
MOST_AT_ONCE = 1024
"""Samples whose distances from one another are held at once."""
CHUNK_ROWS = 1024
"""Features converted at a time, so that they stay in the cache."""
PAIR_CHUNK = 256
"""Pairs of samples and centres whose distances are computed at a time, for the same reason."""
UNDERFLOW = 1e-30
"""Far above what a squared distance in float32 can lose by underflow, since scaled features are below 1."""


def k_center_greedy(features: Array, budget: int, centers: Array | None = None, *, first: int | None = None) -> Tensor:
    """Greedy k-center: each pick is the sample farthest from all centres and earlier picks (L2).

    Equal distances go to the lower index. Time: O(N·(L + b)·d) at worst, of which the bounds save most; beside
    the features, which are never copied or converted as a whole, memory of O(N).

    Args:
        features: shape (N, d), any floating dtype.
        budget: number of samples to choose, b.
        centers: shape (L, d), features of the samples that are labelled already.
        first: index of the first pick. By default the rule decides; without centers it is the sample nearest
            to the mean, the best single centre of the pool.

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
    features_ND = as_dimensions(features, "ND", "features")
    centers_LD = features_ND[:0] if centers is None else as_dimensions(centers, "ND", "centers")
    if centers_LD.shape[1] != features_ND.shape[1]:
        widths = centers_LD.shape[1], features_ND.shape[1]
        raise ShapeError(f"centers have {widths[0]} features each, the samples have {widths[1]}")
    budget = check_budget(budget, len(features_ND))
    if first is not None and not 0 <= first < len(features_ND):
        raise ConfigurationError(f"first={first!r} is no index of a pool of {len(features_ND)} samples")
    greedy = _LazyGreedy(features_ND, centers_LD.to(features_ND.device))
    if first is None and len(centers_LD) == 0:
        first = greedy.nearest_to_mean()
    return greedy.run(budget, first)


class _Place(NamedTuple):
    """A place in the order of picking: larger bounds first, then lower indices."""

    bound: float
    sample: int

    def precedes(self, other: "_Place") -> bool:
        return (-self.bound, self.sample) < (-other.bound, other.sample)


class _LazyGreedy:
    """Bounds of all samples, and how many centres each has seen.

    Centres stand in one sequence: the given ones, then the picks. `bound[i]` is at least the distance from
    sample i to its nearest centre, and is that distance once sample i has seen all centres.
    """

    def __init__(self, features: Tensor, centers: Tensor) -> None:
        self.features, self.centers = features, centers
        self.picks: list[int] = []
        self.everyone = torch.arange(len(features), device=features.device)
        self.bound = torch.full((len(features),), torch.inf, dtype=torch.float64, device=features.device)
        self.seen = torch.zeros(len(features), dtype=torch.int32, device=features.device)
        self.mean, self.scale = _mean_and_scale(features, centers)
        self.slack = _relative_error(features.shape[1], features.device)
        # One type for all rows: the mean that is taken off must be the same number everywhere.
        self.working = torch.promote_types(torch.promote_types(features.dtype, centers.dtype), torch.float32)
        self.block_size = 1024

    def run(self, budget: int, first: int | None) -> Tensor:
        if first is not None:
            self.take([first])
        self.bound_all()
        while len(self.picks) < budget:
            # Most blocks come from this short list, which saves passes over the bounds of all.
            shortlist, outside = self.leaders(self.everyone, max(SHORTLIST, len(self.everyone) // 32))
            while len(self.picks) < budget and self.pick_from(shortlist, outside, budget):
                pass
        return torch.tensor(self.picks, device=self.features.device)

    def take(self, picks: list[int]) -> None:
        self.picks += picks
        self.bound[picks] = -torch.inf

    def nearest_to_mean(self) -> int:
        distances = [self.distances(chunk, self.mean) for chunk in self.features.split(CHUNK_ROWS)]
        return int(top_unchecked(torch.cat(distances), 1, largest=False))

    def bound_all(self) -> None:
        """Give every sample a first bound, from a few centres that still count as unseen."""
        centers = self.prepare(self.center_rows(0, min(len(self.centers) + len(self.picks), FIRST_CENTERS)))
        norms_C = (1 + self.slack) * centers.square().sum(dim=1)
        for rows, chunk in zip(self.everyone.split(CHUNK_ROWS), self.features.split(CHUNK_ROWS), strict=True):
            prepared = self.prepare(chunk)
            own = (1 + self.slack) * prepared.square().sum(dim=1).double() + UNDERFLOW
            self.bound[rows] = torch.addmm(norms_C, prepared, centers.T, alpha=-2).amin(dim=1) + own
        self.bound[self.picks] = -torch.inf

    def leaders(self, rows: Tensor, size: int) -> tuple[Tensor, _Place]:
        """The first `size` of `rows` in the order of picking, sorted by index, and the place of the next one."""
        if size >= len(rows):
            return rows, _Place(-torch.inf, len(self.bound))
        places = top_unchecked(self.bound[rows], size + 1)
        following = int(rows[places[-1]])
        return rows[places[:-1].sort().values], _Place(float(self.bound[following]), following)

    def pick_from(self, shortlist: Tensor, outside: _Place, budget: int) -> bool:
        """Refresh the leaders of the short list and pick among them; whether the list is worth another try."""
        block, rival = self.leaders(shortlist, self.block_size)
        if outside.precedes(rival):
            rival = outside
        self.refresh(block, rival.bound)
        rows = block[self.bound[block] >= rival.bound]
        picked = self.pick_among(rows, rival, budget) if len(rows) else 0
        if len(rows) < ENOUGH[0]:
            self.block_size = min(2 * self.block_size, BLOCK_SIZES[1], max(BLOCK_SIZES[0], len(self.bound) // 16))
        elif len(rows) > ENOUGH[1]:
            self.block_size = max(self.block_size // 2, BLOCK_SIZES[0])
        return picked > 0 or rival is not outside

    def refresh(self, rows: Tensor, floor: float) -> None:
        """Let each of `rows` see the centres that it has not seen, until its bound falls below `floor`."""
        rows = rows[self.bound[rows] >= floor]
        raw = self.features[rows]
        prepared = self.prepare(raw)
        bound, seen = self.bound[rows], self.seen[rows]
        stop = len(self.centers) + len(self.picks)
        # A bound of zero is exact, whatever the sample has seen.
        while len(waiting := ((seen < stop) & (bound >= floor) & (bound > 0)).nonzero().flatten()):
            begin = int(seen[waiting].min())
            end = min(begin + WINDOW, stop)
            active = waiting[seen[waiting] < end]
            bound[active] = self.nearer(raw, prepared, active, bound[active], self.center_rows(begin, end))
            seen[active] = end
        self.bound[rows], self.seen[rows] = bound, seen

    def nearer(self, raw: Tensor, prepared: Tensor, active: Tensor, bound: Tensor, centers: Tensor) -> Tensor:
        """The bounds of the active rows after a look at `centers`, exact where one of them is nearer."""
        if len(active) < len(raw):
            prepared = prepared[active]
        prepared_C = self.prepare(centers)
        # A lower bound of each distance, but for `own`, which depends on the sample alone.
        lower = torch.addmm((1 - self.slack) * prepared_C.square().sum(dim=1), prepared, prepared_C.T, alpha=-2)
        own = (1 - self.slack) * prepared.square().sum(dim=1).double() - UNDERFLOW
        rows = (lower.amin(dim=1) + own <= bound).nonzero().flatten()
        lower, own, nearer, near = lower[rows], own[rows], bound[rows], active[rows]
        likeliest = lower.argmin(dim=1)
        self.lower_to(nearer, raw, centers, (self.everyone[: len(rows)], near, likeliest))
        # Any other centre that may be nearer still.
        lower.scatter_(1, likeliest[:, None], torch.inf)
        others = (lower <= torch.where(nearer > 0, nearer - own, -torch.inf)[:, None]).nonzero()
        self.lower_to(nearer, raw, centers, (others[:, 0], near[others[:, 0]], others[:, 1]))
        bound[rows] = nearer
        return bound

    def lower_to(self, bound: Tensor, raw: Tensor, centers: Tensor, triples: tuple[Tensor, Tensor, Tensor]) -> None:
        """Lower `bound[k]` to the exact distance of `raw[i]` and `centers[j]`, for all triples (k, i, j)."""
        for k, i, j in zip(*(index.split(PAIR_CHUNK) for index in triples), strict=True):
            bound.scatter_reduce_(0, k, self.distances(raw[i], centers[j]), "amin")

    def pick_among(self, rows: Tensor, rival: _Place, budget: int) -> int:
        """Pick from refreshed rows while their best precedes the rival; how many were picked."""
        rows, following = self.leaders(rows, MOST_AT_ONCE)
        rival = following if following.precedes(rival) else rival
        raw = self.features[rows]
        prepared = self.prepare(raw)
        norms = prepared.square().sum(dim=1)
        sums, products = (norms[:, None] + norms).cpu().numpy(), (prepared @ prepared.T).cpu().numpy()
        lower = (1 - self.slack) * sums - 2 * products - UNDERFLOW
        upper = (1 + self.slack) * sums - 2 * products + UNDERFLOW
        indices, exact = rows.tolist(), self.bound[rows].cpu().numpy()
        bound, settled = exact.copy(), np.ones(len(rows), dtype=bool)
        taken: list[int] = []
        while len(self.picks) + len(taken) < budget:
            best = int(bound.argmax())
            if not _Place(bound[best], indices[best]).precedes(rival):
                break
            if not settled[best]:
                near = [pick for pick in taken if lower[pick, best] <= bound[best]]
                bound[best] = min(exact[best], float(self.distances(raw[near], raw[best]).min()))
                settled[best] = True
                continue
            taken.append(best)
            settled[(lower[best] <= bound) & (bound > 0)] = False
            np.minimum(bound, upper[best], out=bound, where=bound > 0)
            bound[best] = -np.inf
        # Rows that were not picked keep their count of seen centres: they have a bound against the new ones only.
        self.bound[rows] = torch.from_numpy(bound).to(rows.device)
        self.take([indices[place] for place in taken])
        return len(taken)

    def center_rows(self, begin: int, end: int) -> Tensor:
        given = self.centers[begin:end]
        offset = len(self.centers)
        picks = self.picks[max(0, begin - offset) : max(0, end - offset)]
        if not picks:
            return given
        picked = self.features[torch.tensor(picks, device=self.features.device)]
        return torch.cat([given, picked]) if len(given) else picked

    def prepare(self, rows: Tensor) -> Tensor:
        """Rows in float32, centred and scaled, so that products lose as little as they can."""
        return (rows.to(self.working) - self.mean.to(self.working)).mul_(self.scale).float()

    def distances(self, first: Tensor, second: Tensor) -> Tensor:
        """Squared distances of paired rows in float64, from the features as given."""
        return (first.double() - second.double()).mul_(self.scale).square_().sum(dim=1)


def _mean_and_scale(features: Tensor, centers: Tensor) -> tuple[Tensor, float]:
    """The mean of the features, and a power of two that brings all values below 1."""
    total = torch.zeros(features.shape[1], dtype=torch.float64, device=features.device)
    largest = 0.0
    for name, rows in (("features", features), ("centers", centers)):
        for chunk in rows.split(CHUNK_ROWS) if len(rows) else ():
            low, high = torch.aminmax(chunk)
            extent = max(-float(low), float(high))
            if not extent < math.inf:
                check_finite(rows, name)
            largest = max(largest, extent)
            if rows is features:
                total += chunk.sum(dim=0, dtype=torch.float64)
    # The scale itself must be a float32.
    return total / len(features), 2.0 ** -max(-120, math.frexp(largest)[1])


def _relative_error(width: int, device: torch.device) -> float:
    """ε with |computed − true| ≤ ε·(‖x‖² + ‖c‖²) for a squared distance from a float32 matrix product.

    The product errs by 2d·u·‖x‖‖c‖ whatever its order of summation, the rounded operands and the norms by a few
    u more. Where the user allows products of reduced precision, operands are rounded to that.
    """
    unit = torch.finfo(torch.float32).eps / 2
    operand = {"none": 0.0, "ieee": 0.0, "highest": 0.0, "tf32": 2.0**-10, "high": 2.0**-10}
    return (2 * width + 16) * unit + 3 * operand.get(_product_precision(device), 2.0**-7)


def _product_precision(device: torch.device) -> str:
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    setting = getattr(getattr(backend, "matmul", None), "fp32_precision", None)
    return str(setting) if setting is not None else torch.get_float32_matmul_precision()  # before PyTorch 2.9
