"""Random picks: the baseline of every strategy, and the control for the gain of the training alone."""

from typing import ClassVar

import torch
from pydantic import NonNegativeFloat

from minimax_al.strategies.strategy import Query, Strategy, picks
from minimax_al.training import MinimaxSettings, Models, Round


class Random(Strategy):
    """Unlabelled images drawn uniformly without replacement, without looking at them.

    Attributes:
        entropy_weight: λ of Algorithm 1 instead of the recipe's, under MAL's training. With 0 the networks take the
            same steps on labelled images alone: the control of equal work.
    """

    uses_randomness: ClassVar[bool] = True
    entropy_weight: NonNegativeFloat | None = None

    def minimax_settings(self, round_: Round) -> MinimaxSettings:
        """Return the settings of Algorithm 1; with λ = 0 no term on unlabelled images is left."""
        settings = super().minimax_settings(round_)
        if self.entropy_weight is None:
            return settings
        nothing = {"adversary_weight": 0.0, "consistency_weight": 0.0} if self.entropy_weight == 0 else {}
        return settings.changed({**nothing, "entropy_weight": self.entropy_weight})

    def query(self, round_: Round, models: Models, budget: int) -> Query:  # noqa: ARG002 - no model is asked
        """Draw `budget` unlabelled images."""
        positions = torch.randperm(len(round_.unlabelled), generator=round_.generator("query"))[:budget]
        return picks(round_, positions, {})
