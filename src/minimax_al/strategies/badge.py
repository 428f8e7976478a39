"""BADGE: images whose gradients would be large and different."""

from typing import ClassVar

from minimax_al.acquisition import badge
from minimax_al.strategies.pool_features import is_large, last_layer_input, pool_features
from minimax_al.strategies.strategy import Query, Scores, Strategy, picks, score_pool
from minimax_al.training import Models, Outputs, Round
from minimax_al.vocabulary import Task


class Badge(Strategy):
    """k-means++ on the gradients of the last layer at the predicted labels (Ash et al. 2020).

    The last layer is M's; under MAL's training it is C's prototypes, whose input is normalised after the bottleneck.
    The factor 1/T in their gradient is the same for all images and does not change the choice.

    Time O(N·(K + d)) for the first bounds, then O(b·(K + d)) per measured image; memory O(N). Samples exactly, also
    from a pool on disk.
    """

    uses_randomness: ClassVar[bool] = True
    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Draw `budget` images by k-means++ seeding."""
        if is_large(round_):
            inputs, scores = pool_features(round_, models, last_layer_input)
            logits, _ = pool_features(round_, models, lambda outputs: outputs.logits)
            return picks(round_, badge(logits, inputs, budget, generator=round_.generator("query")), scores)
        scores = score_pool(round_, models, _factors)
        positions = badge(scores["logits"], scores["inputs"], budget, generator=round_.generator("query"))
        return picks(round_, positions, scores)


def _factors(outputs: Outputs) -> Scores:
    """Return the factors of the last layer's gradient, which is an outer product."""
    return {"logits": outputs.logits, "inputs": outputs.last_layer_input()}
