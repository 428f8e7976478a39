"""Entropy sampling: the images on which the prediction is most spread out."""

from minimax_al.acquisition import top
from minimax_al.strategies.strategy import Query, Strategy, picks, score_pool
from minimax_al.training import Models, Round


class Entropy(Strategy):
    """Highest predictive entropy H(p) = −Σ_k p_k log p_k (Shannon 1948; Wang and Shang 2014).

    In segmentation, the mean over pixels.
    """

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose the `budget` highest entropies."""
        scores = score_pool(round_, models, lambda outputs: {"entropy": outputs.entropy()})
        return picks(round_, top(scores["entropy"], budget), scores)
