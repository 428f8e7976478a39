"""CoreSet: pictures that cover the pool, so that none is far from a labelled one."""

from minimax_al.acquisition import k_center_greedy
from minimax_al.strategies.strategy import Query, Strategy, picks, score_pool
from minimax_al.training import Models, Round


class CoreSet(Strategy):
    """k-center greedy on penultimate features, seeded with the labelled pictures (Sener and Savarese 2018, Alg. 1)."""

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose `budget` pictures, each the farthest from all that are labelled or chosen before it."""
        scores = score_pool(round_, models, lambda outputs: {"features": outputs.picture_features()})
        labelled = score_pool(round_, models, lambda outputs: {"features": outputs.picture_features()}, round_.labelled)
        return picks(round_, k_center_greedy(scores["features"], budget, labelled["features"]), scores)
