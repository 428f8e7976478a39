"""Uncertainty of single images, from logits.

Every probability is computed relative to the largest one: with the shifted logits s = z − max z and
R = Σ exp(s) over all classes but the likeliest, p_max = 1 / (1 + R). Entropy, margin and least confidence are
then sums of terms of one sign, so that they keep their relative precision where 1 − p_max is far below the
rounding of 1, and are exactly 0, never NaN, where even that underflows. Half precision is computed in
float32.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from minimax_al.acquisition.checks import Array, as_dimensions, as_tensor, check_finite, refuse_images
from minimax_al.errors import ShapeError

CHUNK_ELEMENTS = 1 << 20
"""Logits that are scored at a time, so that they stay in the cache."""


def entropy(logits: Array) -> Tensor:
    """Return the entropy of the predicted distribution; large = uncertain.

    H = −Σ_k p_k ln p_k = ln(1 + R) − Σ_k p_k s_k.

    Args:
        logits: Logits, shape (N, K), any real dtype.

    Returns:
        Shape (N,), nats, in [0, ln K].

    Raises:
        ShapeError: The logits do not have this shape.
        NonFiniteScoreError: A logit is NaN or infinite.

    Example:
        >>> entropy(torch.tensor([[0.0, 0.0], [0.0, -1000.0]]))
        tensor([0.6931, 0.0000])
    """
    return _by_rows(entropy_unchecked, logits)


def margin(logits: Array) -> Tensor:
    """Return the difference of the two largest probabilities; small = uncertain (Scheffer et al. 2001).

    p₁ − p₂ = −expm1(s₂) / (1 + R). With a single class it is 1.

    Args:
        logits: Logits, shape (N, K), any real dtype.

    Returns:
        Shape (N,), in [0, 1].

    Raises:
        ShapeError: The logits do not have this shape.
        NonFiniteScoreError: A logit is NaN or infinite.

    Example:
        >>> margin(torch.tensor([[2.0, 2.0, 0.0], [math.log(3), 0.0, -1000.0]]))
        tensor([0.0000, 0.5000])
    """
    return _by_rows(_margin, logits)


def least_confidence(logits: Array) -> Tensor:
    """Return one minus the largest probability; large = uncertain (Lewis and Gale 1994).

    1 − p_max = R / (1 + R).

    Args:
        logits: Logits, shape (N, K), any real dtype.

    Returns:
        Shape (N,), in [0, 1 − 1/K].

    Raises:
        ShapeError: The logits do not have this shape.
        NonFiniteScoreError: A logit is NaN or infinite.

    Example:
        >>> least_confidence(torch.tensor([[math.log(3), 0.0]]))
        tensor([0.2500])
    """
    return _by_rows(_least_confidence, logits)


def pixel_entropy(logits: Array) -> Tensor:
    """Return the mean entropy of the pixels of each image; large = uncertain.

    Args:
        logits: Logits, shape (N, K, H, W), any real dtype.

    Returns:
        Shape (N,), nats.

    Raises:
        ShapeError: The logits do not have this shape.
        NonFiniteScoreError: A logit is NaN or infinite.
    """
    return _by_rows(lambda chunk: entropy_unchecked(chunk).mean(dim=(1, 2)), logits, "NKHW")


def variation_ratio(logits: Array) -> Tensor:
    """Return the share of passes that do not vote for the commonest class (Freeman 1965).

    Large = uncertain.

    Args:
        logits: Logits of T passes or ensemble members, shape (T, N, K), any real dtype.

    Returns:
        Shape (N,), in [0, 1 − 1/T].

    Raises:
        ShapeError: The logits do not have this shape.
        NonFiniteScoreError: A logit is NaN or infinite.
    """
    logits_TNK = as_dimensions(logits, "TNK")
    check_finite(logits_TNK, "logits", image_dimension=1)
    votes_TN = logits_TNK.argmax(dim=2)
    agreeing = (votes_TN == votes_TN.mode(dim=0).values).sum(dim=0)
    return 1 - agreeing.to(_computing_dtype(logits_TNK)) / len(votes_TN)


def bald(logits: Array) -> Tensor:
    """Return the mutual information of prediction and model (Houlsby et al. 2011).

    Large = the passes disagree.

    I[y; ω] = H(mean_t p_t) − mean_t H(p_t), with the mean computed in log space.

    Args:
        logits: Logits of T passes with dropout or T ensemble members, shape (T, N, K), any real dtype. Where these
            do not fit in memory together, use `BaldAccumulator`.

    Returns:
        Shape (N,), nats, in [0, ln min(K, T)].

    Raises:
        ShapeError: The logits do not have this shape.
        NonFiniteScoreError: A logit is NaN or infinite.

    Example:
        >>> sure_but_split = torch.tensor([[[100.0, 0.0]], [[0.0, 100.0]]])
        >>> bald(sure_but_split)
        tensor([0.6931])
    """
    logits_TNK = as_dimensions(logits, "TNK")
    check_finite(logits_TNK, "logits", image_dimension=1)
    passes, images, classes = logits_TNK.shape
    scores = logits_TNK.new_empty(images, dtype=_computing_dtype(logits_TNK))
    for rows in _chunks(images, passes * classes):
        accumulator = BaldAccumulator()
        for logits_NK in logits_TNK[:, rows]:
            accumulator.update(logits_NK.double())
        scores[rows] = accumulator.result()
    return scores


class BaldAccumulator:
    """Accumulator of BALD over passes that come one by one, in O(N·K) memory instead of O(T·N·K).

    Keeps log Σ_t p_t and Σ_t H(p_t) over the passes t so far. No pass waits for the device: `result` reports values
    that are not finite.

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
            logits: Logits, shape (N, K) or (N, K, H, W), any real dtype.

        Raises:
            ShapeError: The shape differs from that of the first pass.
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
        """Return the mutual information of the passes so far.

        Returns:
            Shape (N,), or (N, H, W), nats.

        Raises:
            ShapeError: No pass was added.
            NonFiniteScoreError: A logit of a pass was NaN or infinite; has the positions of the first such images.
        """
        if self.passes == 0:
            raise ShapeError("BALD needs at least one pass: call update(logits) first")
        refuse_images(self._finite_N, "logits")
        # H is invariant to a shift of the logits, so log Σ_t p_t has the entropy of log mean_t p_t.
        entropy_of_mean_N = entropy_unchecked(self._log_sum_probs_NK)
        # By Jensen's inequality the difference is 0 or more; where the passes agree, rounding can make it negative.
        return (entropy_of_mean_N - self._sum_entropies_N / self.passes).clamp_(min=0)


def entropy_unchecked(logits: Tensor) -> Tensor:
    """Return the entropy along dimension 1, for callers that have checked their logits.

    Args:
        logits: Logits, shape (N, K, ...), float32 or float64; −inf is a probability of 0.

    Returns:
        Shape (N, ...), nats.
    """
    shifted, odds, _ = _relative_to_likeliest(logits)
    # H = ln(1 + R) − Σ_k exp(s_k)·s_k / (1 + R), where every term of the sum is 0 or negative.
    rest = odds.sum(dim=1)
    return rest.log1p() - odds.mul_(shifted).sum(dim=1) / (1 + rest)


def _margin(logits_NK: Tensor) -> Tensor:
    # p₁ − p₂ = (1 − exp s₂) / (1 + R)
    shifted, odds, likeliest = _relative_to_likeliest(logits_NK)
    runner_up = shifted.scatter_(1, likeliest, -torch.inf).amax(dim=1)
    return runner_up.expm1().abs() / (1 + odds.sum(dim=1))


def _least_confidence(logits_NK: Tensor) -> Tensor:
    # 1 − p_max = R / (1 + R)
    rest = _relative_to_likeliest(logits_NK)[1].sum(dim=1)
    return rest / (1 + rest)


def _relative_to_likeliest(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the shifted logits s, the odds exp(s) with that of the likeliest class set to 0, and this class."""
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
        # The message has the positions of all bad images, so the whole pool is checked once a chunk is bad.
        if not bool(chunk.sum(dtype=dtype).isfinite()):
            check_finite(tensor, "logits")
        scores[rows] = score(chunk.to(dtype))
    return scores


def _chunks(images: int, elements_per_image: int) -> list[slice]:
    size = max(1, CHUNK_ELEMENTS // elements_per_image)
    return [slice(start, min(start + size, images)) for start in range(0, images, size)]


def _computing_dtype(logits: Tensor) -> torch.dtype:
    return torch.float64 if logits.dtype == torch.float64 else torch.float32
