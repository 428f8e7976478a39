"""Margin sampling: the images on which the two most probable classes are closest."""

from minimax_al.acquisition import margin, top
from minimax_al.strategies.pixels import image_mean
from minimax_al.strategies.strategy import Query, Strategy, picks, score_pool
from minimax_al.training import Models, Round


class Margin(Strategy):
    """Smallest p_(1) − p_(2), the gap between the two largest probabilities (Scheffer et al. 2001).

    In segmentation, the mean over pixels.
    """

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose the `budget` smallest margins."""
        scores = score_pool(round_, models, lambda outputs: {"margin": image_mean(margin, outputs.logits)})
        return picks(round_, top(scores["margin"], budget, largest=False), scores)
