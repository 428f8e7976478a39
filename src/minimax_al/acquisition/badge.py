"""BADGE: diverse and uncertain batches from gradient embeddings (Ash et al. 2020).

The gradient embedding of an image is the gradient of its loss with respect to the last layer, were the predicted class
ŷ right: the outer product g = (p − e_ŷ) ⊗ φ of a vector of K and one of d numbers. Outer products need not be formed:
⟨a ⊗ φ, a' ⊗ φ'⟩ = ⟨a, a'⟩·⟨φ, φ'⟩, so squared distances of the K·d-dimensional embeddings come from their factors.

BADGE draws its batch by k-means++ (Arthur and Vassilvitskii 2007): each pick with a probability proportional to
the squared distance to the nearest earlier pick. That distance only falls, so an old value is an upper bound.
Rejection sampling from the bounds, with acceptance probability true / bound, has exactly this distribution, and only
the drawn images have to be measured. Draws and measurements are made in batches.
"""

import numpy as np
import torch
from torch import Tensor

from minimax_al.acquisition.checks import check_budget, check_same_length
from minimax_al.acquisition.rows import (
    BLOCK_ROWS,
    FeatureMatrix,
    Rows,
    as_rows,
    check_finite_rows,
    device_of,
    spans,
)

DRAWS = (32, 256)
"""Fewest and most candidates drawn from the bounds at a time."""
PATIENCE = 0.25
"""Rejected draws, as a share of the pool, after which all bounds are made true."""
WINDOW = 256
"""Picks that candidates are measured against at a time."""
CHUNK_ROWS = 256
"""Images of the pool that are converted at a time, so that they stay in the cache."""


def badge(
    logits: FeatureMatrix, features: FeatureMatrix, budget: int, generator: torch.Generator | None = None
) -> Tensor:
    """Draw a batch by k-means++ on the gradient embeddings of the last layer; no image is drawn twice.

    The first pick is drawn with a probability proportional to ‖g‖², as if the origin were a centre, the later
    ones to the squared distance to the nearest pick. Once that is zero for all images (fewer distinct
    embeddings than the budget), the others are equally likely. Distances are computed in float64. Time O(N·(K + d)) for
    the first bounds, then O(b·(K + d)) per measured image; memory O(N) in addition to the input.

    Args:
        logits: Logits of the layer whose input `features` are, shape (N, K).
        features: Features of the images, shape (N, d), any real dtype; may stay on disk.
        budget: Number of images to choose, b.
        generator: Source of the random draws; PyTorch's global one by default.

    Returns:
        Shape (b,), int64, in order of choice, on the device of `features`.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ShapeError: Logits and features are not matrices of one length.
        NonFiniteScoreError: A logit or a feature is NaN or infinite.

    Example:
        >>> logits, features = torch.tensor([[9.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0], [2.0]])
        >>> badge(logits, features, 1, torch.Generator().manual_seed(0))
        tensor([1])
    """
    features_ND = as_rows(features)
    logits_NK = as_rows(logits, "logits", "NK")
    if isinstance(logits_NK, Tensor):
        logits_NK = logits_NK.to(device_of(features_ND))
    check_same_length(logits_NK, features_ND, ("logits", "features"))
    budget = check_budget(budget, len(features_ND))
    check_finite_rows(logits_NK, "logits")
    check_finite_rows(features_ND, "features")
    return _LazyKMeansPlusPlus(logits_NK, features_ND, generator).run(budget)


class _LazyKMeansPlusPlus:
    """Lazy k-means++ on gradient embeddings.

    `bound[i]` is at least the squared distance of image i to the nearest pick, and is that distance when `seen[i]` is
    the number of picks.
    """

    def __init__(self, logits: Rows, features: Rows, generator: torch.Generator | None) -> None:
        self.logits, self.features, self.generator = logits, features, generator
        self.device = device_of(features)
        self.picks: list[int] = []
        # Scaled to at most 1, so that products of four lengths stay far from overflow.
        self.scale = 1 / max(_largest_size(features), torch.finfo(torch.float32).tiny)
        # A distance below this share of its terms is rounding.
        self.rounding = 4 * (logits.shape[1] + features.shape[1]) * torch.finfo(torch.float64).eps
        self.everyone = torch.arange(len(features), device=self.device)
        self.seen = torch.zeros_like(self.everyone)
        self.bound = torch.empty(len(features), dtype=torch.float64, device=self.device)
        for rows in self.everyone.split(CHUNK_ROWS):
            self.bound[rows] = _squared_norms(*self.factors(rows))

    def run(self, budget: int) -> Tensor:
        """Return the picks in their order, (b,) int64."""
        if float(self.bound.sum()) > 0:
            self.picks = self.draw(1).tolist()
            self.bound.fill_(torch.inf)
            self.measure_all()
        rejected, size = 0, DRAWS[0]
        while len(self.picks) < budget and float(self.bound.sum()) > 0:
            accepted, drawn = self.pick_among(self.draw(size), budget)
            rejected += drawn - accepted
            # Enough draws for the remaining picks, at the acceptance rate so far.
            wanted = (budget - len(self.picks)) * drawn // max(1, accepted)
            size = max(DRAWS[0], min(wanted, 2 * size, DRAWS[1]))
            # A rejected draw costs a measurement. Once these add up to a good part of measuring the whole pool, that
            # is cheaper.
            if rejected > PATIENCE * len(self.bound):
                self.measure_all()
                rejected = 0
        return torch.tensor(self.picks + self.draw_unused(budget - len(self.picks)), device=self.device)

    def uniform(self, size: int) -> Tensor:
        """Draw uniform numbers in [0, 1), (size,) float64."""
        device = "cpu" if self.generator is None else self.generator.device
        return torch.rand(size, dtype=torch.float64, generator=self.generator, device=device).to(self.device)

    def draw(self, size: int) -> Tensor:
        """Draw images with probabilities proportional to their bounds, with replacement."""
        # On the CPU, where the order of summation is fixed and one seed gives one batch on any device.
        cumulative = self.bound.cpu().cumsum(dim=0)
        drawn = torch.searchsorted(cumulative, self.uniform(size).cpu() * cumulative[-1], right=True)
        return drawn.clamp_(max=len(cumulative) - 1).to(self.device)

    def draw_unused(self, size: int) -> list[int]:
        """Draw images that are not picks, all equally likely, without replacement."""
        unused = torch.ones(len(self.bound), dtype=torch.bool, device=self.device)
        unused[self.picks] = False
        rows = unused.nonzero().flatten()
        chosen: list[int] = rows[self.uniform(len(rows)).argsort()[:size]].tolist()
        return chosen

    def pick_among(self, candidates: Tensor, budget: int) -> tuple[int, int]:
        """Accept or reject candidates that were drawn from the bounds, one after the other.

        Returns:
            Number of accepted candidates, and number of candidates looked at before the budget was met.
        """
        rows, place = candidates.unique(return_inverse=True)
        needed = (self.uniform(len(candidates)) * self.bound[candidates]).tolist()
        self.measure(rows)
        factors = self.factors(rows)
        between = self.squared_distances(factors, factors).cpu().numpy()
        true = self.bound[rows].cpu().numpy()
        before, drawn, indices = len(self.picks), 0, rows.tolist()
        for candidate, least in zip(place.tolist(), needed, strict=True):
            if len(self.picks) == budget:
                break
            drawn += 1
            # A pick is at distance 0 from itself, so it is never accepted again.
            if least < true[candidate]:
                self.picks.append(indices[candidate])
                true = np.minimum(true, between[candidate])
                true[candidate] = 0
        self.bound[rows], self.seen[rows] = torch.from_numpy(true).to(self.device), len(self.picks)
        return len(self.picks) - before, drawn

    def measure_all(self) -> None:
        """Make all bounds true."""
        for rows in self.everyone.split(CHUNK_ROWS):
            self.measure(rows)

    def measure(self, rows: Tensor) -> None:
        """Make the bounds of `rows` true: measure each against the picks that it has not seen."""
        factors = self.factors(rows)
        bound, seen = self.bound[rows], self.seen[rows]
        for begin in range(int(seen.min()), len(self.picks), WINDOW):
            picks = torch.tensor(self.picks[begin : begin + WINDOW], device=self.device)
            waiting = (seen < begin + len(picks)).nonzero().flatten()
            distances = self.squared_distances((factors[0][waiting], factors[1][waiting]), self.factors(picks))
            bound[waiting] = torch.minimum(bound[waiting], distances.amin(dim=1))
        self.bound[rows], self.seen[rows] = bound, len(self.picks)

    def factors(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return p − e_ŷ and φ of some images, in float64.

        The component of ŷ is computed as −Σ of the others: p_ŷ − 1 rounds to 0 for a sure prediction.
        """
        probs_NK = self.logits[rows].double().softmax(dim=1)
        likeliest = probs_NK.argmax(dim=1, keepdim=True)
        probs_NK.scatter_(1, likeliest, 0)
        errors_NK = probs_NK.scatter_(1, likeliest, -probs_NK.sum(dim=1, keepdim=True))
        return errors_NK, self.features[rows].double() * self.scale

    def squared_distances(self, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
        """Return ‖g − g'‖² of all pairs; below the rounding of its terms it is zero."""
        sums = _squared_norms(*first)[:, None] + _squared_norms(*second)
        distances = sums - 2 * (first[0] @ second[0].T) * (first[1] @ second[1].T)
        return distances.masked_fill_(distances <= self.rounding * sums, 0)


def _squared_norms(errors: Tensor, features: Tensor) -> Tensor:
    """Return ‖a ⊗ φ‖² = ‖a‖²·‖φ‖² of each row."""
    return errors.square().sum(dim=1) * features.square().sum(dim=1)


def _largest_size(features: Rows) -> float:
    """Return the largest absolute value of the features."""
    largest = 0.0
    for span in spans(len(features), BLOCK_ROWS):
        low, high = torch.aminmax(features[span])
        largest = max(largest, -float(low), float(high))
    return largest
