"""Strategies that reason about the last layer: BAIT by its Fisher information, ALFA-Mix by its decision boundaries."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from minimax_al.acquisition import alfa_mix, bait
from minimax_al.strategies.hybrid import Hybrid
from minimax_al.strategies.pool_features import last_layer_input, pool_features
from minimax_al.strategies.strategy import Query, Scores, picks
from minimax_al.training import Models, Outputs, Round


class Bait(Hybrid):
    """Batch that lowers the expected error bound of the last layer (Ash, Goel, Krishnamurthy and Kakade 2021).

    Attributes:
        fisher: Form of the Fisher information: `exact` is the paper's, `binary` that of the likeliest class against all
            others, `auto` is exact while the number of classes times that of features is at most 2,048.
        regularisation: Regularisation λ; None is the mean eigenvalue of the pool's Fisher information.
    """

    fisher: Literal["auto", "exact", "binary"] = "auto"
    regularisation: PositiveFloat | None = None

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose `budget` images by greedy additions and removals."""
        features, scores = pool_features(round_, models, last_layer_input, score=_logits)
        labelled, known = pool_features(round_, models, last_layer_input, round_.labelled, score=_logits)
        positions = bait(
            features,
            scores["logits"],
            budget,
            generator=round_.generator("query"),
            labelled=labelled,
            labelled_logits=known["logits"],
            fisher=self.fisher,
            regularisation=self.regularisation,
        )
        return picks(round_, positions, scores)


class AlfaMix(Hybrid):
    """Images whose predicted class changes when labelled features are mixed in (Parvaneh et al. 2022).

    Attributes:
        step: Step by which the mixing grows until more images change than the budget.
    """

    step: Annotated[float, Field(gt=0, le=1)] = 1 / 32

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose images of inconsistent prediction from different clusters."""
        features, scores = pool_features(round_, models, last_layer_input)
        labelled, _ = pool_features(round_, models, last_layer_input, round_.labelled)
        weight, bias = models.last_layer_parameters()
        positions = alfa_mix(
            features,
            weight.cpu(),
            bias.cpu(),
            budget,
            labelled=labelled,
            targets=round_.targets[round_.labelled],
            generator=round_.generator("query"),
            step=self.step,
            normalised=models.last_layer_normalises,
        )
        return picks(round_, positions, scores)


def _logits(outputs: Outputs) -> Scores:
    return {"logits": outputs.logits}
