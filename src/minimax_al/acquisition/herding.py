"""MaxHerding and UHerding: greedy coverage of the pool by a Gaussian kernel.

Bae, Noh and Sutherland, "Generalized Coverage for More Robust Low-Budget Active Learning" (ECCV 2024, arXiv
2407.12212): with k(x, y) = exp(−‖x − y‖² / σ²) on features of length 1, each pick raises C(S) = Σ_i max_{s ∈ S}
k(x_i, s) most, where S holds the labelled and the picked images.

Bae, Oliveira and Sutherland, "Uncertainty Herding: One Active Learning Method for All Label Budgets" (ICLR 2025, arXiv
2412.20644): each image counts with its uncertainty, C(S) = Σ_i u_i·max_{s ∈ S} k(x_i, s), and σ is the smallest
distance between two labelled images, so it falls as labels become dense.

A gain only falls as S grows, so an old gain is an upper bound (Minoux 1978), and each pick measures few images again.
The first bounds come from a product in bfloat16 where the device has units for it, and hold whatever that rounds.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from minimax_al.acquisition.bounded_products import summation_error
from minimax_al.acquisition.checks import Array, as_scores, check_budget, refuse_negative
from minimax_al.acquisition.close_rows import DistanceBlocks
from minimax_al.acquisition.probcover import drawn_part
from minimax_al.acquisition.rows import (
    BLOCK_ROWS,
    Chosen,
    FeatureMatrix,
    Rows,
    as_rows,
    check_finite_rows,
    check_same_width,
    device_of,
    spans,
)
from minimax_al.acquisition.rules import top_unchecked
from minimax_al.errors import ConfigurationError, ShapeError

MOST_IMAGES = 35_000
"""Default number of images up to which the rule looks at the whole pool, as in the authors' experiments."""
KEPT_NUMBERS = 1 << 26
"""Kernels that are kept: 256 MiB."""
MEASURED = 32
"""Images whose gains are measured at once."""


def maxherding(
    features: FeatureMatrix,
    budget: int,
    *,
    generator: torch.Generator,
    labelled: FeatureMatrix | None = None,
    bandwidth: float = 1.0,
    most_images: int = MOST_IMAGES,
) -> Tensor:
    """Return the images that raise the kernel coverage of the pool most, one after the other.

    Greedy over all images up to `most_images`; gains are those of float32, equal ones go to the lower index. A larger
    pool is represented by a uniformly drawn part of that size, from which the picks come. Time O(n²·d) for the first
    bounds, then O(n·d) per measured gain; memory O(n·d) for n images.

    Args:
        features: Features of the unlabelled images, shape (N, d), any real dtype; scaled to length 1 here.
        budget: Number of images to choose, b.
        generator: CPU generator of the part of a large pool.
        labelled: Features of the labelled images, shape (L, d).
        bandwidth: Bandwidth σ of the kernel, for features of length 1.
        most_images: Number of unlabelled images up to which the rule sees all of them.

    Returns:
        Shape (b,), int64, in order of choice, on the device of `features`.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ConfigurationError: The bandwidth is not above 0.
        ShapeError: The features are not matrices of one width.
        NonFiniteScoreError: A feature is NaN or infinite.

    Example:
        >>> angles = torch.tensor([0.0, 0.1, 0.2, 1.4, 1.5, 1.6])
        >>> pool = torch.stack([angles.cos(), angles.sin()], dim=1)
        >>> maxherding(pool, 2, generator=torch.Generator(), bandwidth=0.2)
        tensor([1, 4])
    """
    pool = as_rows(features)
    budget = check_budget(budget, len(pool))
    part = drawn_part(pool, max(most_images, budget), generator)
    points = _unit_rows(pool if part is None else Chosen(pool, part))
    known = _known(pool, labelled, points)
    weights = torch.ones(len(points), dtype=torch.float64, device=points.device)
    picks = _Herding(points, weights, known, _checked_bandwidth(bandwidth)).run(budget)
    return picks if part is None else part[picks]


def uherding(
    features: FeatureMatrix,
    uncertainty: Array,
    budget: int,
    *,
    generator: torch.Generator,
    labelled: FeatureMatrix | None = None,
    bandwidth: float | None = None,
    most_images: int = MOST_IMAGES,
) -> Tensor:
    """Return the images that raise the uncertainty coverage of the pool most, one after the other.

    As `maxherding`, with a weight for every image. Of a larger pool, images are drawn by their uncertainty; each counts
    by it over its probability of being drawn (Duffield, Lund and Thorup 2007), so that the sum is unbiased.

    Args:
        features: Features of the unlabelled images, shape (N, d), any real dtype; scaled to length 1 here.
        uncertainty: Uncertainty of every image, shape (N,), 0 or more; the paper takes 1 − margin of the calibrated
            prediction.
        budget: Number of images to choose, b.
        generator: CPU generator of the part of a large pool.
        labelled: Features of the labelled images, shape (L, d).
        bandwidth: Bandwidth σ of the kernel; by default the smallest distance above 0 between two labelled images, and
            1 where there are fewer than two.
        most_images: Number of unlabelled images up to which the rule sees all of them.

    Returns:
        Shape (b,), int64, in order of choice, on the device of `features`.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ConfigurationError: The bandwidth is not above 0, or an uncertainty is below 0.
        ShapeError: The features and uncertainties do not have matching shapes.
        NonFiniteScoreError: A feature or an uncertainty is NaN or infinite.

    Example:
        >>> pool = torch.eye(3)
        >>> uherding(pool, torch.tensor([0.1, 0.9, 0.5]), 2, generator=torch.Generator())
        tensor([1, 2])
    """
    pool = as_rows(features)
    budget = check_budget(budget, len(pool))
    weights = _checked_uncertainty(uncertainty, len(pool)).to(device_of(pool))
    part, weights = _drawn_by(weights, max(most_images, budget), generator)
    points = _unit_rows(pool if part is None else Chosen(pool, part))
    known = _known(pool, labelled, points)
    sigma = _smallest_distance(known) if bandwidth is None else _checked_bandwidth(bandwidth)
    picks = _Herding(points, weights, known, sigma).run(budget)
    return picks if part is None else part[picks]


def _checked_bandwidth(bandwidth: float) -> float:
    if not 0 < bandwidth < math.inf:
        raise ConfigurationError(f"bandwidth={bandwidth!r} must be above 0")
    return bandwidth


def _checked_uncertainty(uncertainty: Array, count: int) -> Tensor:
    values = as_scores(uncertainty, "uncertainties").double()
    if len(values) != count:
        raise ShapeError(f"uncertainties are for {len(values)} images, features for {count}")
    refuse_negative(values, "uncertainties")
    return values


def _drawn_by(weights: Tensor, most: int, generator: torch.Generator) -> tuple[Tensor | None, Tensor]:
    """Return the indices of images drawn by weight without replacement, and weights that make their sums unbiased.

    Sums of these weights times any values have the expectation of Σ_i u_i·value_i over all images (priority sampling:
    Duffield, Lund and Thorup 2007, by Gumbel noise as in Kool, van Hoof and Welling 2019).

    Args:
        weights: Weights u of all images, shape (N,), float64, 0 or more.
        most: Number of images to draw.
        generator: CPU generator of the noise.

    Returns:
        Sorted indices, shape (most,), int64, or None where all images fit; and the weights of these images.
    """
    if len(weights) <= most:
        return None, weights
    # The largest of log u + Gumbel noise are a draw without replacement (Efraimidis and Spirakis 2006).
    uniform = torch.rand(len(weights), dtype=torch.float64, generator=generator).to(weights.device)
    keys = weights.log() - (-uniform.log()).log()
    highest = top_unchecked(keys, most + 1)
    part = highest[:most].sort().values
    # Given the first key that is left out, each image is drawn by itself with the probability that its key is above.
    drawn = weights[part]
    probability = -torch.expm1(-(drawn.log() - keys[highest[most]]).exp())
    return part, torch.where(drawn > 0, drawn / probability, 0)


def _unit_rows(rows: Rows) -> Tensor:
    """Return rows of length 1 in float32; a row of zeros stays."""
    check_finite_rows(rows)
    blocks = []
    for span in spans(len(rows), BLOCK_ROWS):
        block = rows[span].double()
        # By the largest value first, so that the square of a huge or tiny row neither overflows nor vanishes.
        block /= block.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
        blocks.append(F.normalize(block).float())
    return torch.cat(blocks)


def _known(pool: Rows, labelled: FeatureMatrix | None, points: Tensor) -> Tensor:
    """Return the labelled images' rows of length 1, (L, d); L = 0 without labelled images."""
    if labelled is None:
        return points[:0]
    rows = as_rows(labelled, "labelled")
    check_same_width(pool, rows)
    return _unit_rows(rows).to(points.device) if len(rows) else points[:0]


def _smallest_distance(points: Tensor) -> float:
    """Return the smallest distance above 0 between two points; 1 where all are equal."""
    smallest = math.inf
    exact = points.double()
    for span in spans(len(points), BLOCK_ROWS // 4):
        distances = torch.cdist(exact[span], exact, compute_mode="donot_use_mm_for_euclid_dist")
        smallest = min(smallest, float(distances.masked_fill_(distances < 1e-6, torch.inf).min()))
    return smallest if smallest < math.inf else 1.0


class _Herding:
    """Greedy coverage with lazy gains.

    `bound[i]` is at least the gain of image i; it is the gain when `fresh[i]`. `best[i]` is max_{s ∈ S} k(x_i, s).
    """

    def __init__(self, points: Tensor, weights: Tensor, known: Tensor, bandwidth: float) -> None:
        self.points, self.weights, self.precision = points, weights, 1 / bandwidth**2
        self.norms = points.square().sum(dim=1)
        # What float32 can change in the squared distance of two points of length 1.
        self.slack = 4 * summation_error(points.shape[1] + 16, points.device)
        self.best = torch.zeros(len(points), device=points.device)
        for span in spans(len(known), MEASURED):
            self.best = torch.maximum(self.best, self.kernel(known[span]).amax(dim=0))
        self.bound = self.first_bounds()
        self.kernels = _KeptKernels(self.kernel, points)

    def kernel(self, rows: Tensor) -> Tensor:
        """Return k of some rows and all points, (rows, n) float32; for lengths of 1 or 0."""
        squared = torch.addmm(self.norms, rows, self.points.T, alpha=-2).add_(rows.square().sum(dim=1)[:, None])
        return squared.clamp_(min=0).mul_(-self.precision).exp_()

    def first_bounds(self) -> Tensor:
        """Return an upper bound of every image's gain, (n,) float64, from products that may be rounded."""
        blocks = DistanceBlocks(self.points)
        bound = torch.zeros(len(self.points), dtype=torch.float64, device=self.points.device)
        for span in spans(len(self.points), BLOCK_ROWS):
            for other in spans(len(self.points), BLOCK_ROWS):
                # The least that the distance can be gives the most that the kernel can be.
                least = (blocks.squared(span, other) - blocks.error[span][:, None]) / blocks.unit - self.slack
                added = least.clamp_(min=0).mul_(-self.precision).exp_().sub_(self.best[other]).clamp_(min=0)
                bound[span] += added.double() @ self.weights[other]
        return bound * (1 + 1e-6)  # for the rounding of exp

    def run(self, budget: int) -> Tensor:
        """Return the picks in their order, (b,) int64."""
        picks: list[int] = []
        fresh = torch.zeros_like(self.bound, dtype=torch.bool)
        while len(picks) < budget:
            leaders = top_unchecked(self.bound, min(MEASURED, len(self.bound)))
            if bool(fresh[leaders[0]]):
                picks.append(int(leaders[0]))
                self.best = torch.maximum(self.best, self.kernels.of(leaders[:1])[0])
                self.bound[leaders[0]] = -torch.inf
                fresh.zero_()
                continue
            stale = leaders[~fresh[leaders] & (self.bound[leaders] > -torch.inf)]
            self.bound[stale] = (self.kernels.of(stale) - self.best).clamp_(min=0).double() @ self.weights
            fresh[stale] = True
        return torch.tensor(picks, device=self.points.device)


class _KeptKernels:
    """Kernels of candidates and all points; the last used ones are kept, since candidates come back.

    Args:
        kernel: Function from rows (m, d) to kernels (m, n).
        points: All points, shape (n, d).
    """

    def __init__(self, kernel: Callable[[Tensor], Tensor], points: Tensor) -> None:
        self.kernel, self.points = kernel, points
        size = min(len(points), max(2 * MEASURED, KEPT_NUMBERS // len(points)))
        self.kept = points.new_empty((size, len(points)))
        self.owner = torch.full((size,), -1, dtype=torch.int64, device=points.device)
        self.place = torch.full((len(points),), -1, dtype=torch.int64, device=points.device)
        self.next = 0

    def of(self, rows: Tensor) -> Tensor:
        """Return the kernels of some points, given by index, and all points, (m, n)."""
        missing = rows[self.place[rows] < 0]
        if len(missing):
            places = (self.next + torch.arange(len(missing), device=rows.device)) % len(self.kept)
            held = torch.isin(self.owner[places], rows)
            if bool(held.any()):  # those would be overwritten now
                return self.kernel(self.points[rows])
            former = self.owner[places]
            self.place[former[former >= 0]] = -1
            self.owner[places], self.place[missing] = missing, places
            self.kept[places] = self.kernel(self.points[missing])
            self.next = int(places[-1] + 1) % len(self.kept)
        return self.kept[self.place[rows]]
