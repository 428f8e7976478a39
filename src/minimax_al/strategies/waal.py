"""WAAL: images that are uncertain and that a critic takes for unlabelled."""

from typing import ClassVar, Literal

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from minimax_al.acquisition import top
from minimax_al.networks import MISSING_LOGIT
from minimax_al.strategies.strategy import Query, Scores, Strategy, picks, score_pool
from minimax_al.training import Models, Outputs, Round
from minimax_al.training.fits.waal import WaalSettings, fit_waal
from minimax_al.vocabulary import Task


class Waal(Strategy):
    """Smallest bound on the loss less the critic's output (Shui, Zhou, Gagné and Wang 2020).

    Attributes:
        critic_weight: Weight of the critic's output, which is in (0, 1); the authors use 10 for ten classes. The other
            term grows with the number of classes.
        adversary: Settings of the adversarial training.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    training: Literal["supervised"] = "supervised"
    critic_weight: NonNegativeFloat = 10.0
    adversary: WaalSettings = Field(default_factory=WaalSettings)

    def fit(self, round_: Round) -> Models:
        """Train M against the critic."""
        return fit_waal(round_, self.adversary)

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose the `budget` smallest sums of both terms."""
        critic = models.others["critic"]

        def score(outputs: Outputs) -> Scores:
            unlabelledness = critic(outputs.features).sigmoid().to(outputs.logits.dtype)
            certainty = loss_bounds(outputs.logits)
            total = certainty - self.critic_weight * unlabelledness
            return {"total": total, "certainty": certainty, "unlabelledness": unlabelledness}

        scores = score_pool(round_, models, score)
        return picks(round_, top(scores["total"], budget, largest=False), scores)


def loss_bounds(logits: Tensor) -> Tensor:
    """Return the mean of the 2-norm and the 1-norm of −log p over the classes; small = uncertain.

    Args:
        logits: Logits, shape (B, K); classes that cannot be predicted do not count.
    """
    losses_BK = -torch.log_softmax(logits, dim=1).masked_fill(logits <= MISSING_LOGIT / 2, 0.0)
    bounds: Tensor = (losses_BK.norm(dim=1) + losses_BK.sum(dim=1)) / 2
    return bounds
