"""Least confidence: the images whose most probable class is least probable."""

from minimax_al.acquisition import least_confidence, top
from minimax_al.strategies.pixels import image_mean
from minimax_al.strategies.strategy import Query, Strategy, picks, score_pool
from minimax_al.training import Models, Round


class LeastConfidence(Strategy):
    """Largest 1 − max_k p_k (Lewis and Gale 1994). In segmentation, the mean over pixels."""

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose the `budget` least confident predictions."""
        scores = score_pool(
            round_,
            models,
            lambda outputs: {"least_confidence": image_mean(least_confidence, outputs.logits)},
        )
        return picks(round_, top(scores["least_confidence"], budget), scores)
