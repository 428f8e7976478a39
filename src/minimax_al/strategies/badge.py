"""BADGE: pictures whose gradients would be large and different."""

from typing import ClassVar

from minimax_al.acquisition import badge
from minimax_al.networks import Task
from minimax_al.strategies.strategy import Query, Strategy, picks, score_pool
from minimax_al.training import Models, Round


class Badge(Strategy):
    """k-means++ on the gradients of the last layer at the predicted labels (Ash et al. 2020).

    Under MAL's training the gradient is taken at F's features, as if C had no bottleneck.
    """

    uses_randomness: ClassVar[bool] = True
    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Draw `budget` pictures by k-means++ seeding."""
        scores = score_pool(round_, models, lambda outputs: {"logits": outputs.logits, "features": outputs.features})
        positions = badge(scores["logits"], scores["features"], budget, generator=round_.generator("query"))
        return picks(round_, positions, scores)
