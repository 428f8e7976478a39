"""Random picks: the baseline of every strategy, and the control for the gain of the training alone."""

from typing import ClassVar

import torch
from pydantic import NonNegativeFloat

from minimax_al.strategies.strategy import Query, Strategy, picks
from minimax_al.training import Models, Round, fit_minimax


class Random(Strategy):
    """Unlabelled images drawn uniformly without replacement, without looking at them.

    Attributes:
        entropy_weight: λ of Algorithm 1 instead of the recipe's, under MAL's training. With 0 the networks take the
            same steps on labelled images alone: the control of equal work.
    """

    uses_randomness: ClassVar[bool] = True
    entropy_weight: NonNegativeFloat | None = None

    def fit(self, round_: Round) -> Models:
        """Train this round's networks."""
        if self.training == "minimax" and self.entropy_weight is not None:
            settings = round_.minimax.model_copy(update={"entropy_weight": self.entropy_weight})
            return fit_minimax(round_, settings)
        return super().fit(round_)

    def query(self, round_: Round, models: Models, budget: int) -> Query:  # noqa: ARG002 - no model is asked
        """Draw `budget` unlabelled images."""
        positions = torch.randperm(len(round_.unlabelled), generator=round_.generator("query"))[:budget]
        return picks(round_, positions, {})
