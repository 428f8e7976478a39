"""BatchBALD: batches that are informative together (Kirsch et al. 2019).

BALD scores images one by one, so that a batch can hold the same information many times. BatchBALD greedily chooses the
image that adds most to the mutual information of the joint prediction and the model,

    I[y₁ … y_b; ω] = H(y₁ … y_b) − Σ_i mean_t H(y_i | ω_t).

Given the picks so far, the gain of an image y is E_c[H(y | c)] − mean_t H(y | ω_t), where c runs over the joint
labels ("configurations") of the picks and p(y | c) = Σ_t p(t | c) p_t(y). While there are few configurations, all of
them are enumerated and the value is exact. Later, c is drawn from p(c), and every draw is extended by a label of each
new pick.

Most images need not be scored over all configurations, because bounds exclude them:

* While all configurations are enumerated, the gain of an image only falls as the batch grows, so its last score is an
  upper bound (as in the lazy greedy of Minoux 1978). Draws do not have this property.
* Entropy is concave. So E_c[H(y | c)] is at most Σ_g p(g) H(y | g) over groups g of configurations (enumerated or
  drawn), and close to it where the posteriors p(t | c) of a group are alike.
* Scores in float32 with an error bound leave few images that are scored in float64, and these decide.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from minimax_al.acquisition.bounded_products import operand_error, summation_error
from minimax_al.acquisition.checks import Array, as_dimensions, check_budget, check_finite
from minimax_al.acquisition.scores import entropy_unchecked
from minimax_al.errors import ConfigurationError

FLOAT64_BYTES = 8
CANDIDATES = 64
"""Most images scored at a time; with fewer, more images are skipped."""
GROUPING = (6, 16)
"""Halvings of the configurations into groups, and the fewest configurations per group for it to pay."""
SUMMED_AT_ONCE = 64
"""Configurations that are summed in the dtype of their posterior; these sums are added in float64."""
CACHE_BYTES = 1 << 20
"""Most bytes of joint probabilities at a time, so that their logarithms are computed in the cache."""
TOLERANCE = 1e-12
"""Scores in nats that differ by less are equal up to rounding; the lower index goes first."""


def batchbald(
    logits: Array,
    budget: int,
    *,
    num_samples: int = 10_000,
    max_bytes: int = 1 << 30,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the greedy BatchBALD picks: each adds most mutual information of the batch and the model.

    Exact while the picks have at most `num_samples` joint configurations, K^(b−1) for the last pick; from then on
    configurations are drawn. Given these, every pick is the one that scoring all images would make.

    Args:
        logits: Logits of T passes with dropout or T ensemble members, shape (T, N, K), any real dtype.
        budget: Number of images to choose, b.
        num_samples: Most configurations that are enumerated or drawn.
        max_bytes: Bound of the working memory in bytes, in addition to O(N). Fewer configurations are used where they
            would need more.
        generator: Source of the draws; PyTorch's global one by default.

    Returns:
        Shape (b,), int64, in order of choice, on the device of `logits`.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ConfigurationError: `max_bytes` is too small for one configuration, or `num_samples` is below 1.
        ShapeError: The logits do not have this shape.
        NonFiniteScoreError: A logit is NaN or infinite.

    Example:
        >>> sure, unsure = [[9.0, 0.0], [9.0, 0.0]], [[9.0, 0.0], [0.0, 9.0]]
        >>> batchbald(torch.tensor([sure, unsure]).permute(1, 0, 2), 1)
        tensor([1])
    """
    logits_TNK = as_dimensions(logits, "TNK")
    passes, available, classes = logits_TNK.shape
    budget = check_budget(budget, available)
    check_finite(logits_TNK, "logits", image_dimension=1)
    if num_samples < 1:
        raise ConfigurationError(f"num_samples={num_samples!r} must be 1 or more")
    # Per configuration: log p_t(c), p(t | c) and a new copy of each; float32 copies while they are grouped; and
    # p(y | c) of one image with its entropies.
    fitting = max_bytes // (FLOAT64_BYTES * (5 * passes + 3 * classes))
    if fitting < 1:
        raise ConfigurationError(
            f"max_bytes={max_bytes!r} is too little for {passes} passes and {classes} classes; "
            f"it must be {FLOAT64_BYTES * (5 * passes + 3 * classes)} or more"
        )
    search = _GreedySearch(logits_TNK, min(num_samples, fitting), max_bytes, generator)
    return torch.tensor([search.pick() for _ in range(budget)], device=logits_TNK.device)


@dataclass(frozen=True)
class _Mixture:
    """Weighted distributions over passes: one per configuration, or one per group of configurations.

    Attributes:
        posterior: Posterior p(t | c), shape (T, C), float32 or float64.
        weights: Probability p(c), shape (C,), float64.
    """

    posterior: Tensor
    weights: Tensor

    def expected_entropy(self, probs_TnK: Tensor, cache_bytes: int = CACHE_BYTES) -> Tensor:
        """Return E_c[H(y | c)] of some images in nats, (n,) float64."""
        dtype = self.posterior.dtype
        probs_TX = probs_TnK.to(dtype).reshape(len(probs_TnK), -1)
        size = max(1, min(SUMMED_AT_ONCE, cache_bytes // (FLOAT64_BYTES * probs_TX.shape[1])))
        sums_X = torch.zeros(probs_TX.shape[1], dtype=torch.float64, device=probs_TX.device)
        blocks = zip(self.posterior.split(size, dim=1), self.weights.to(dtype).split(size), strict=True)
        for posterior_Tc, weights_c in blocks:
            probs_cX = posterior_Tc.T @ probs_TX
            # p ln p is 0 at p = 0; with the clamp all of it is vectorised.
            sums_X -= weights_c @ probs_cX.clamp(min=torch.finfo(dtype).tiny).log_().mul_(probs_cX)
        return sums_X.view(probs_TnK.shape[1:]).sum(dim=1)

    def float(self) -> "_Mixture":
        """Return the mixture with its posterior in float32."""
        return _Mixture(self.posterior.float(), self.weights)

    def grouped(self, depth: int) -> "_Mixture":
        """Return 2^depth groups of equal size, halved repeatedly along the pass in which a group differs most."""
        count, groups = self.posterior.shape[1], 1 << depth
        order = torch.arange(-(-count // groups) * groups, device=self.weights.device)
        weights = torch.where(order < count, self.weights[order.clamp(max=count - 1)], 0)
        posterior = self.posterior[:, order.clamp_(max=count - 1)]
        for level in range(depth):
            shape = 1 << level, -1
            parts, shares = posterior.view(len(posterior), *shape), weights.view(shape)
            place = _spread(parts, shares).argmax(dim=0)
            keys = parts.take_along_dim(place[None, :, None], dim=0)[0]
            order = keys.argsort(dim=1) + torch.arange(0, len(order), keys.shape[1], device=order.device)[:, None]
            order = order.flatten()
            posterior, weights = posterior[:, order], weights[order]
        shares = weights.view(groups, -1)
        sums = (posterior.double() * weights).view(len(posterior), groups, -1).sum(dim=2)
        totals = shares.sum(dim=1)
        return _Mixture((sums / totals.clamp(min=torch.finfo(torch.float64).tiny)).to(posterior.dtype), totals)


def _spread(parts_TGn: Tensor, shares_Gn: Tensor) -> Tensor:
    """Return the weighted variance of the posteriors within each group, per pass, (T, G)."""
    shares_Gn = shares_Gn.to(parts_TGn.dtype)
    totals_G = shares_Gn.sum(dim=1).clamp(min=torch.finfo(parts_TGn.dtype).tiny)
    means_TG = (parts_TGn * shares_Gn).sum(dim=2) / totals_G
    return (parts_TGn - means_TG[:, :, None]).square_().mul_(shares_Gn).sum(dim=2)


class _GreedySearch:
    """Greedy search with the picks' joint configurations and a score of every image.

    `scores` are upper bounds of the gains while the configurations are enumerated; later they only order the search.
    """

    def __init__(self, logits: Tensor, most: int, max_bytes: int, generator: torch.Generator | None) -> None:
        self.logits, self.most, self.max_bytes = logits, most, max_bytes
        self.joint = _Configurations(len(logits), most, generator, logits.device)
        self.scores = logits.new_full((logits.shape[1],), torch.inf, dtype=torch.float64)
        # mean_t H(y | ω_t) of all images.
        chunks = [entropy_unchecked(chunk.double().movedim(2, 1)) for chunk in logits.split(CANDIDATES, dim=1)]
        self.conditional = torch.cat([chunk.mean(dim=0) for chunk in chunks])
        passes, _, classes = logits.shape
        # Terms have one sign in p = Σ_t p(t | c) p_t(y) and in each sum of p ln p, so their relative errors are at most
        # T + 2 and terms + 2 roundings; logarithms err by a few. In both products either factor may be rounded.
        terms = passes + SUMMED_AT_ONCE + 16
        relative = summation_error(terms, logits.device) + 4 * operand_error(logits.device)
        self.rounding = 2 * relative * (math.log(classes) + 1)

    def pick(self) -> int:
        """Return the image of the largest gain, and add it to the batch."""
        contenders = self.contenders()
        added = self.added_information(contenders, self.joint.mixture)
        pick = int(contenders[added >= added.max() - TOLERANCE].min())
        self.joint.extend(self.logits[:, pick].double().log_softmax(dim=1))
        self.scores[pick] = -torch.inf
        return pick

    def contenders(self) -> Tensor:
        """Return the images that can have the largest gain, up to the error of float32."""
        order = self.scores.argsort(descending=True, stable=True)
        order = order[self.scores[order] > -torch.inf]
        best, looked = -torch.inf, []
        levels = self.levels()
        for images in order.split(CANDIDATES):
            if self.joint.exact and float(self.scores[images[0]]) < best:
                break
            remaining = images
            for level in levels:
                upper = self.added_information(remaining, level) + self.rounding
                self.scores[remaining] = torch.minimum(upper, self.scores[remaining]) if self.joint.exact else upper
                remaining, upper = remaining[upper >= best], upper[upper >= best]
                if len(remaining) == 0:
                    break
            else:
                best = max(best, float(upper.max()) - 2 * self.rounding - 2 * TOLERANCE)
                looked.append(remaining)
        found = torch.cat(looked)
        return found[self.scores[found] >= best]

    def levels(self) -> list[_Mixture]:
        """Return mixtures from coarse to fine: groups of configurations, then all of them, in float32."""
        configurations, (depth, least) = self.joint.mixture.float(), GROUPING
        if len(configurations.weights) < least << depth:
            return [configurations]
        return [configurations.grouped(depth), configurations]

    def added_information(self, images: Tensor, mixture: _Mixture) -> Tensor:
        """Return the gains of some images, (n,) float64; upper bounds where the mixture consists of groups."""
        free = self.max_bytes - FLOAT64_BYTES * 5 * len(self.logits) * len(self.joint.weights_C)
        passes, _, classes = self.logits.shape
        fitting = max(1, min(CANDIDATES, free // (6 * FLOAT64_BYTES * passes * classes)))
        entropies = [
            mixture.expected_entropy(self.logits[:, part].double().softmax(dim=2), min(CACHE_BYTES, free // 8))
            for part in images.split(fitting)
        ]
        return torch.cat(entropies) - self.conditional[images]


class _Configurations:
    """Joint labels c of the picks: all of them with their probabilities, or draws of equal weight.

    Attributes:
        exact: Whether all configurations are enumerated.
        weights_C: Probability of each configuration, or the same weight for each draw, shape (C,) float64.
    """

    def __init__(self, passes: int, most: int, generator: torch.Generator | None, device: torch.device) -> None:
        self.most, self.generator, self.exact = most, generator, True
        self.log_probs_TC = torch.zeros(passes, 1, dtype=torch.float64, device=device)
        self.weights_C = torch.ones(1, dtype=torch.float64, device=device)
        self.posterior_TC = self.log_probs_TC.softmax(dim=0)

    @property
    def mixture(self) -> _Mixture:
        """Return the posterior of the passes given each configuration."""
        return _Mixture(self.posterior_TC, self.weights_C)

    def extend(self, log_probs_TK: Tensor) -> None:
        """Extend every configuration by a label of a new pick."""
        passes, classes = log_probs_TK.shape
        if self.exact and len(self.weights_C) * classes <= self.most:
            self.log_probs_TC = (self.log_probs_TC[:, :, None] + log_probs_TK[:, None]).reshape(passes, -1)
            self.weights_C = self.log_probs_TC.exp().mean(dim=0)
        else:
            if self.exact:
                self._start_drawing()
            labels_C = self._draw_labels(self.posterior_TC.T @ log_probs_TK.exp())
            self.log_probs_TC += log_probs_TK[:, labels_C]
        self.posterior_TC = self.log_probs_TC.softmax(dim=0)

    def _start_drawing(self) -> None:
        cumulative = self.weights_C.cumsum(dim=0)
        drawn = torch.searchsorted(cumulative, self._uniform(self.most) * cumulative[-1], right=True)
        drawn.clamp_(max=len(cumulative) - 1)
        self.exact = False
        self.log_probs_TC, self.posterior_TC = self.log_probs_TC[:, drawn], self.posterior_TC[:, drawn]
        self.weights_C = torch.full_like(drawn, 1 / self.most, dtype=torch.float64)

    def _draw_labels(self, probs_CK: Tensor) -> Tensor:
        """Draw a label for every configuration, (C,) int64."""
        cumulative_CK = probs_CK.cumsum(dim=1)
        points_C1 = self._uniform(len(probs_CK))[:, None] * cumulative_CK[:, -1:]
        labels_C1 = torch.searchsorted(cumulative_CK, points_C1, right=True)
        return labels_C1.flatten().clamp_(max=probs_CK.shape[1] - 1)

    def _uniform(self, size: int) -> Tensor:
        device = "cpu" if self.generator is None else self.generator.device
        draws = torch.rand(size, dtype=torch.float64, generator=self.generator, device=device)
        return draws.to(self.weights_C.device)
