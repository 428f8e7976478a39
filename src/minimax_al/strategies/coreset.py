"""CoreSet: images that cover the pool, so that none is far from a labelled one."""

from minimax_al.acquisition import k_center_greedy, k_center_greedy_sharded
from minimax_al.data import Features
from minimax_al.strategies.pool_features import pool_features
from minimax_al.strategies.strategy import Query, Scores, Strategy, picks, score_pool
from minimax_al.training import Models, Outputs, Round


class CoreSet(Strategy):
    """k-center greedy on penultimate features, seeded with the labelled images (Sener and Savarese 2018, Alg. 1).

    Time O(N·(L + b)·d) at worst, for L labels; memory O(N), and the features of images that are not feature vectors.
    Exact, also on a pool on disk, which is then read once per block of picks.
    """

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose `budget` images, each the farthest from all that are labelled or chosen before it."""
        if round_.runtime.ranks.group is None and isinstance(round_.dataset.train, Features):
            # A large pool on disk is read block by block, and the picks are exact all the same.
            rows, scores = pool_features(round_, models)
            known, _ = pool_features(round_, models, indices=round_.labelled)
            return picks(round_, k_center_greedy(rows, budget, known[:]), scores)
        scores = score_pool(round_, models, _features, stays=["features"])
        labelled = score_pool(round_, models, _features, round_.labelled)
        group = round_.runtime.ranks.group
        positions = k_center_greedy_sharded(scores["features"], budget, labelled["features"], group=group)
        return picks(round_, positions, scores)


def _features(outputs: Outputs) -> Scores:
    return {"features": outputs.image_features()}
