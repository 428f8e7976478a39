"""Learning loss: images whose loss a module of the task model predicts to be high."""

from typing import Literal

from pydantic import Field

from minimax_al.acquisition import top
from minimax_al.strategies.strategy import Query, Strategy, picks, score_pool
from minimax_al.training import Models, Round
from minimax_al.training.fits.learning_loss import LearningLossSettings, fit_learning_loss, predicted_losses


class LearningLoss(Strategy):
    """Highest predicted loss (Yoo and Kweon 2019).

    Attributes:
        module: Settings of the loss prediction module, which trains with the task model.
    """

    training: Literal["supervised"] = "supervised"
    module: LearningLossSettings = Field(default_factory=LearningLossSettings)

    def fit(self, round_: Round) -> Models:
        """Train M and the loss prediction module."""
        return fit_learning_loss(round_, self.module)

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose the `budget` highest predicted losses."""
        scores = score_pool(round_, models, lambda outputs: {"predicted_loss": predicted_losses(models, outputs)})
        return picks(round_, top(scores["predicted_loss"], budget), scores)
