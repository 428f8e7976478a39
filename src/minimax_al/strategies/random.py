"""Random picks: the baseline that every strategy has to beat, and the control for what the training alone gives."""

from typing import ClassVar

import torch

from minimax_al.strategies.strategy import Query, Strategy, picks
from minimax_al.training import Models, Round


class Random(Strategy):
    """Unlabelled images drawn uniformly without replacement; looks at none of them."""

    uses_randomness: ClassVar[bool] = True

    def query(self, round_: Round, models: Models, budget: int) -> Query:  # noqa: ARG002 - no model is asked
        """Draw `budget` unlabelled images."""
        positions = torch.randperm(len(round_.unlabelled), generator=round_.generator("query"))[:budget]
        return picks(round_, positions, {})
