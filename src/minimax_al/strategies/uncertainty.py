"""Uncertainty sampling: entropy, margin, least confidence. In segmentation, the mean over pixels."""

from collections.abc import Callable

from torch import Tensor

from minimax_al.acquisition import least_confidence, margin, top
from minimax_al.strategies.strategy import Query, Strategy, picks, score_pool
from minimax_al.training import Models, Round


class Entropy(Strategy):
    """Highest predictive entropy H(p) = −Σ_k p_k log p_k (Shannon 1948; Wang and Shang 2014).

    Time O(N·d·K), one pass over the pool; memory O(N).
    """

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose the `budget` highest entropies."""
        scores = score_pool(round_, models, lambda outputs: {"entropy": outputs.entropy()})
        return picks(round_, top(scores["entropy"], budget), scores)


class Margin(Strategy):
    """Smallest p_(1) − p_(2), the gap between the two largest probabilities (Scheffer et al. 2001).

    Time O(N·d·K), one pass over the pool; memory O(N).
    """

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose the `budget` smallest margins."""
        scores = score_pool(round_, models, lambda outputs: {"margin": image_mean(margin, outputs.logits)})
        return picks(round_, top(scores["margin"], budget, largest=False), scores)


class LeastConfidence(Strategy):
    """Largest 1 − max_k p_k (Lewis and Gale 1994).

    Time O(N·d·K), one pass over the pool; memory O(N).
    """

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose the `budget` least confident predictions."""
        scores = score_pool(
            round_,
            models,
            lambda outputs: {"least_confidence": image_mean(least_confidence, outputs.logits)},
        )
        return picks(round_, top(scores["least_confidence"], budget), scores)


def as_samples(logits: Tensor) -> Tensor:
    """Return logits with one row per sample: (B, K) as they are; (B, K, H, W) as (B·H·W, K), image after image."""
    return logits if logits.ndim == 2 else logits.movedim(1, -1).flatten(0, -2)


def image_mean(score: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """Return a score of logits, averaged over the pixels of each image where there are pixels.

    Args:
        score: Function from logits (n, K) to values (n,).
        logits: Logits, shape (B, K) or (B, K, H, W).

    Returns:
        (B,).
    """
    return score(as_samples(logits)).view(len(logits), -1).mean(dim=1)
