"""BatchBALD: batches that are informative together (Kirsch et al. 2019).

BALD scores samples one by one, so that a batch may ask the same question many times. BatchBALD takes greedily
the sample that adds most to the mutual information of the joint prediction and the model,

    I[y₁ … y_b; ω] = H(y₁ … y_b) − Σ_i mean_t H(y_i | ω_t).

Given the picks so far, what a sample y adds is E_c[H(y | c)] − mean_t H(y | ω_t), where c runs over the joint
labels ("configurations") of the picks and p(y | c) = Σ_t p(t | c) p_t(y). While there are few configurations all of
them are listed and the value is exact. Later, c is drawn from p(c), and every draw is extended by a label of each
new pick.
"""

import torch
from torch import Tensor

from minimax_al.acquisition.checks import Array, as_dimensions, check_budget, check_finite
from minimax_al.acquisition.scores import entropy_unchecked
from minimax_al.errors import ConfigurationError

FLOAT64_BYTES = 8
CANDIDATES = 256
"""Most samples scored at a time: fewer leave more to be skipped."""
CACHE_BYTES = 1 << 21
"""Most bytes of joint probabilities at a time, so that their logarithms are taken in the cache."""
TOLERANCE = 1e-12
"""Scores in nats that differ by less are rounding apart, and go by index."""


def batchbald(
    logits: Array,
    budget: int,
    *,
    num_samples: int = 10_000,
    max_bytes: int = 1 << 30,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Greedy BatchBALD; each pick adds most to what the batch tells about the model.

    Exact as long as the picks have at most `num_samples` joint configurations, K^(b−1) for the last pick; from
    then on configurations are drawn. What a sample adds can only fall as the batch grows, so in the exact part
    only samples whose last score is high enough are scored again.

    Args:
        logits: shape (T, N, K), T passes with dropout or T ensemble members.
        budget: number of samples to choose, b.
        num_samples: most configurations that are listed or drawn.
        max_bytes: bound of the working memory beside O(N). Fewer configurations are used where it asks for it.
        generator: source of the draws; PyTorch's global one by default.

    Returns:
        Shape (b,), int64, in the order of picking, on the device of `logits`.

    Raises:
        BudgetError: a budget below 1 or above N.
        ConfigurationError: no configuration fits in `max_bytes`, or `num_samples` is below 1.
        ShapeError: another shape.
        NonFiniteScoreError: a logit is NaN or infinite.

    Example:
        >>> sure, unsure = [[9.0, 0.0], [9.0, 0.0]], [[9.0, 0.0], [0.0, 9.0]]
        >>> batchbald(torch.tensor([sure, unsure]).permute(1, 0, 2), 1)
        tensor([1])
    """
    logits_TNK = as_dimensions(logits, "TNK")
    passes, available, classes = logits_TNK.shape
    budget = check_budget(budget, available)
    check_finite(logits_TNK, "logits", sample_dimension=1)
    if num_samples < 1:
        raise ConfigurationError(f"num_samples={num_samples!r} must be 1 or more")
    # Per configuration: log p_t(c), p(t | c) and a new copy of either; and p(y | c) of one sample with its entropies.
    fitting = max_bytes // (FLOAT64_BYTES * (3 * passes + 3 * classes))
    if fitting < 1:
        raise ConfigurationError(
            f"max_bytes={max_bytes!r} is too little for {passes} passes and {classes} classes; "
            f"it must be {FLOAT64_BYTES * 3 * (passes + classes)} or more"
        )
    search = _GreedySearch(logits_TNK, min(num_samples, fitting), max_bytes, generator)
    return torch.tensor([search.pick() for _ in range(budget)], device=logits_TNK.device)


class _GreedySearch:
    """The picks' joint configurations, and the last score of every sample."""

    def __init__(self, logits: Tensor, most: int, max_bytes: int, generator: torch.Generator | None) -> None:
        self.logits, self.most, self.max_bytes = logits, most, max_bytes
        self.joint = _Configurations(len(logits), most, generator, logits.device)
        self.scores = logits.new_full((logits.shape[1],), torch.inf, dtype=torch.float64)

    def pick(self) -> int:
        """The sample that adds most; it joins the batch."""
        order = self.scores.argsort(descending=True, stable=True)
        order = order[self.scores[order] > -torch.inf]
        # What is not scored again does not compete.
        best, fresh = -torch.inf, torch.full_like(self.scores, -torch.inf)
        for samples in order.split(self.samples_at_a_time()):
            if self.joint.exact and float(self.scores[samples[0]]) < best - TOLERANCE:
                break
            fresh[samples] = self.added_information(samples)
            best = max(best, float(fresh[samples].max()))
            self.scores[samples] = fresh[samples]
        pick = int((fresh >= best - TOLERANCE).nonzero()[0])
        self.joint.extend(self.logits[:, pick].double().log_softmax(dim=1))
        self.scores[pick] = -torch.inf
        return pick

    def added_information(self, samples: Tensor) -> Tensor:
        logits_TnK = self.logits[:, samples].double()
        entropies_n = entropy_unchecked(logits_TnK.movedim(2, 1)).mean(dim=0)
        return self.joint.expected_entropy(logits_TnK.softmax(dim=2)) - entropies_n

    def samples_at_a_time(self) -> int:
        passes, _, classes = self.logits.shape
        configurations = len(self.joint.weights_C)
        free = self.max_bytes - FLOAT64_BYTES * 3 * passes * configurations
        fitting = free // (FLOAT64_BYTES * 3 * classes * (passes + configurations))
        return max(1, min(CANDIDATES, fitting, CACHE_BYTES // (FLOAT64_BYTES * classes * configurations)))


class _Configurations:
    """Joint labels c of the picks: all of them with their probabilities, or draws of equal weight.

    Attributes:
        exact: whether all configurations are listed.
        weights_C: probability of each configuration, or the same weight for each draw.
    """

    def __init__(self, passes: int, most: int, generator: torch.Generator | None, device: torch.device) -> None:
        self.most, self.generator, self.exact = most, generator, True
        self.log_probs_TC = torch.zeros(passes, 1, dtype=torch.float64, device=device)
        self.weights_C = torch.ones(1, dtype=torch.float64, device=device)
        self.posterior_TC = self.log_probs_TC.softmax(dim=0)

    def expected_entropy(self, probs_TnK: Tensor) -> Tensor:
        """E_c[H(y | c)] of some samples, shape (n,)."""
        passes, samples, classes = probs_TnK.shape
        probs_CnK = (self.posterior_TC.T @ probs_TnK.reshape(passes, -1)).reshape(-1, samples, classes)
        entropies_Cn = torch.special.entr(probs_CnK).sum(dim=2)
        return torch.mv(entropies_Cn.T, self.weights_C)

    def extend(self, log_probs_TK: Tensor) -> None:
        """Let every configuration go on with a label of a new pick."""
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
        """A label for every configuration, shape (C,)."""
        cumulative_CK = probs_CK.cumsum(dim=1)
        points_C1 = self._uniform(len(probs_CK))[:, None] * cumulative_CK[:, -1:]
        labels_C1 = torch.searchsorted(cumulative_CK, points_C1, right=True)
        return labels_C1.flatten().clamp_(max=probs_CK.shape[1] - 1)

    def _uniform(self, size: int) -> Tensor:
        device = "cpu" if self.generator is None else self.generator.device
        draws = torch.rand(size, dtype=torch.float64, generator=self.generator, device=device)
        return draws.to(self.weights_C.device)
