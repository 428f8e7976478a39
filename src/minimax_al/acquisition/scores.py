"""Uncertainty of single samples, from logits.

Every probability is taken relative to the largest one: with the shifted logits s = z − max z and
R = Σ exp(s) over all classes but the likeliest, p_max = 1 / (1 + R). Entropy, margin and least confidence are
then sums of terms of one sign, so that they keep their relative precision where 1 − p_max is far below the
rounding of 1, and are exactly 0, never NaN, where even that underflows. Half precision is computed in
float32.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from minimax_al.acquisition.checks import Array, as_dimensions, as_tensor, check_finite, refuse_samples
from minimax_al.errors import ShapeError

CHUNK_ELEMENTS = 1 << 20  # rows are scored in chunks that stay in the cache, whatever the size of the pool


def entropy(logits: Array) -> Tensor:
    """Entropy of the predicted distribution; large = uncertain.

    H = −Σ_k p_k ln p_k = ln(1 + R) − Σ_k p_k s_k.

    Args:
        logits: shape (N, K).

    Returns:
        Shape (N,), nats, in [0, ln K].

    Raises:
        ShapeError: another shape.
        NonFiniteScoreError: a logit is NaN or infinite.

    Example:
        >>> entropy(torch.tensor([[0.0, 0.0], [0.0, -1000.0]]))
        tensor([0.6931, 0.0000])
    """
    return _by_rows(entropy_unchecked, logits)


def margin(logits: Array) -> Tensor:
    """Difference of the two largest probabilities; small = uncertain (Scheffer et al. 2001).

    p₁ − p₂ = −expm1(s₂) / (1 + R). With a single class it is 1.

    Args:
        logits: shape (N, K).

    Returns:
        Shape (N,), in [0, 1].

    Raises:
        ShapeError: another shape.
        NonFiniteScoreError: a logit is NaN or infinite.

    Example:
        >>> margin(torch.tensor([[2.0, 2.0, 0.0], [math.log(3), 0.0, -1000.0]]))
        tensor([0.0000, 0.5000])
    """
    return _by_rows(_margin, logits)


def least_confidence(logits: Array) -> Tensor:
    """One minus the largest probability; large = uncertain (Lewis and Gale 1994).

    1 − p_max = R / (1 + R).

    Args:
        logits: shape (N, K).

    Returns:
        Shape (N,), in [0, 1 − 1/K].

    Raises:
        ShapeError: another shape.
        NonFiniteScoreError: a logit is NaN or infinite.

    Example:
        >>> least_confidence(torch.tensor([[math.log(3), 0.0]]))
        tensor([0.2500])
    """
    return _by_rows(_least_confidence, logits)


def pixel_entropy(logits: Array) -> Tensor:
    """Mean entropy of the pixels of each image; large = uncertain.

    Args:
        logits: shape (N, K, H, W).

    Returns:
        Shape (N,), nats.

    Raises:
        ShapeError: another shape.
        NonFiniteScoreError: a logit is NaN or infinite.
    """
    return _by_rows(lambda chunk: entropy_unchecked(chunk).mean(dim=(1, 2)), logits, "NKHW")


def variation_ratio(logits: Array) -> Tensor:
    """Share of the passes that do not vote for the commonest class; large = uncertain (Freeman 1965).

    Args:
        logits: shape (T, N, K), T passes or ensemble members.

    Returns:
        Shape (N,), in [0, 1 − 1/T].

    Raises:
        ShapeError: another shape.
        NonFiniteScoreError: a logit is NaN or infinite.
    """
    logits_TNK = as_dimensions(logits, "TNK")
    check_finite(logits_TNK, "logits", sample_dimension=1)
    votes_TN = logits_TNK.argmax(dim=2)
    agreeing = (votes_TN == votes_TN.mode(dim=0).values).sum(dim=0)
    return 1 - agreeing.to(_computing_dtype(logits_TNK)) / len(votes_TN)


def bald(logits: Array) -> Tensor:
    """Mutual information of prediction and model; large = the passes disagree (Houlsby et al. 2011).

    I[y; ω] = H(mean_t p_t) − mean_t H(p_t), the mean taken in log space.

    Args:
        logits: shape (T, N, K), T passes with dropout or T ensemble members. Where these do not fit in memory
            together, use `BaldAccumulator`.

    Returns:
        Shape (N,), nats, in [0, ln min(K, T)].

    Raises:
        ShapeError: another shape.
        NonFiniteScoreError: a logit is NaN or infinite.

    Example:
        >>> sure_but_split = torch.tensor([[[100.0, 0.0]], [[0.0, 100.0]]])
        >>> bald(sure_but_split)
        tensor([0.6931])
    """
    logits_TNK = as_dimensions(logits, "TNK")
    check_finite(logits_TNK, "logits", sample_dimension=1)
    passes, samples, classes = logits_TNK.shape
    scores = logits_TNK.new_empty(samples, dtype=_computing_dtype(logits_TNK))
    for rows in _chunks(samples, passes * classes):
        accumulator = BaldAccumulator()
        for logits_NK in logits_TNK[:, rows]:
            accumulator.update(logits_NK.double())
        scores[rows] = accumulator.result()
    return scores


class BaldAccumulator:
    """BALD from passes that come one by one, in O(N·K) memory instead of O(T·N·K).

    Keeps the running log Σ_t p_t and Σ_t H(p_t). No pass waits for the device: what is not finite is told by `result`.

    Example:
        >>> accumulator = BaldAccumulator()
        >>> for logits_NK in torch.tensor([[[100.0, 0.0]], [[0.0, 100.0]]]):
        ...     accumulator.update(logits_NK)
        >>> accumulator.result()
        tensor([0.6931])
    """

    def __init__(self) -> None:
        self.passes = 0
        self._finite_N = torch.ones(0, dtype=torch.bool)
        self._log_sum_probs_NK = torch.empty(0)
        self._sum_entropies_N = torch.empty(0)

    def update(self, logits: Array) -> None:
        """Add one pass over the same samples.

        Args:
            logits: shape (N, K), or (N, K, H, W).

        Raises:
            ShapeError: another shape than the first pass had.
        """
        logits_NK = as_tensor(logits, "logits")
        as_dimensions(logits_NK, "NKHW" if logits_NK.ndim == 4 else "NK")
        finite_N = logits_NK.isfinite().flatten(1).all(dim=1)
        logits_NK = logits_NK.to(_computing_dtype(logits_NK))
        log_probs_NK = logits_NK.log_softmax(dim=1)
        entropies_N = entropy_unchecked(logits_NK)
        if self.passes == 0:
            self._log_sum_probs_NK, self._sum_entropies_N, self._finite_N = log_probs_NK, entropies_N, finite_N
        elif logits_NK.shape != self._log_sum_probs_NK.shape:
            given, first = tuple(logits_NK.shape), tuple(self._log_sum_probs_NK.shape)
            raise ShapeError(f"a pass has logits of shape {given}, the first pass had {first}")
        else:
            torch.logaddexp(self._log_sum_probs_NK, log_probs_NK, out=self._log_sum_probs_NK)
            self._sum_entropies_N += entropies_N
            self._finite_N &= finite_N
        self.passes += 1

    def result(self) -> Tensor:
        """The mutual information so far.

        Returns:
            Shape (N,), or (N, H, W), nats.

        Raises:
            ShapeError: no pass was added.
            NonFiniteScoreError: a logit of a pass was NaN or infinite; says which samples.
        """
        if self.passes == 0:
            raise ShapeError("BALD needs at least one pass: call update(logits) first")
        refuse_samples(self._finite_N, "logits")
        # Entropy does not change with a shift of the logits, so log Σ serves as well as log mean.
        entropy_of_mean_N = entropy_unchecked(self._log_sum_probs_NK)
        # The difference cannot be negative; where the passes agree its rounding can.
        return (entropy_of_mean_N - self._sum_entropies_N / self.passes).clamp_(min=0)


def entropy_unchecked(logits: Tensor) -> Tensor:
    """Entropy along dimension 1, for callers that have checked their logits.

    Args:
        logits: shape (N, K, ...), float32 or float64; −inf stands for a probability of zero.

    Returns:
        Shape (N, ...), nats.
    """
    shifted, odds, _ = _relative_to_likeliest(logits)
    rest = odds.sum(dim=1)
    return rest.log1p() - odds.mul_(shifted).sum(dim=1) / (1 + rest)


def _margin(logits_NK: Tensor) -> Tensor:
    shifted, odds, likeliest = _relative_to_likeliest(logits_NK)
    runner_up = shifted.scatter_(1, likeliest, -torch.inf).amax(dim=1)
    return runner_up.expm1().abs() / (1 + odds.sum(dim=1))


def _least_confidence(logits_NK: Tensor) -> Tensor:
    rest = _relative_to_likeliest(logits_NK)[1].sum(dim=1)
    return rest / (1 + rest)


def _relative_to_likeliest(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shifted logits s, odds exp(s) against the likeliest class with its own set to 0, and that class."""
    largest, likeliest = logits.max(dim=1, keepdim=True)
    # The difference of finite logits can overflow; the clamp keeps 0 · s at 0.
    shifted = (logits - largest).clamp_(min=torch.finfo(logits.dtype).min)
    return shifted, shifted.exp().scatter_(1, likeliest, 0), likeliest


def _by_rows(score: Callable[[Tensor], Tensor], logits: Array, dimensions: str = "NK") -> Tensor:
    tensor = as_dimensions(logits, dimensions)
    dtype = _computing_dtype(tensor)
    scores = tensor.new_empty(len(tensor), dtype=dtype)
    for rows in _chunks(len(tensor), math.prod(tensor.shape[1:])):
        chunk = tensor[rows]
        # All positions are wanted in the message, so the whole pool is searched once a chunk is found bad.
        if not bool(chunk.sum(dtype=dtype).isfinite()):
            check_finite(tensor, "logits")
        scores[rows] = score(chunk.to(dtype))
    return scores


def _chunks(samples: int, elements_per_sample: int) -> list[slice]:
    size = max(1, CHUNK_ELEMENTS // elements_per_sample)
    return [slice(start, min(start + size, samples)) for start in range(0, samples, size)]


def _computing_dtype(logits: Tensor) -> torch.dtype:
    return torch.float64 if logits.dtype == torch.float64 else torch.float32
