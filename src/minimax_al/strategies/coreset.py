"""CoreSet: images that cover the pool, so that none is far from a labelled one."""

from minimax_al.acquisition import k_center_greedy_sharded
from minimax_al.strategies.strategy import Query, Scores, Strategy, picks, score_pool
from minimax_al.training import Models, Outputs, Round


class CoreSet(Strategy):
    """k-center greedy on penultimate features, seeded with the labelled images (Sener and Savarese 2018, Alg. 1)."""

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose `budget` images, each the farthest from all that are labelled or chosen before it."""
        scores = score_pool(round_, models, _features, stays=["features"])
        labelled = score_pool(round_, models, _features, round_.labelled)
        group = round_.runtime.ranks.group
        positions = k_center_greedy_sharded(scores["features"], budget, labelled["features"], group=group)
        return picks(round_, positions, scores)


def _features(outputs: Outputs) -> Scores:
    return {"features": outputs.image_features()}
