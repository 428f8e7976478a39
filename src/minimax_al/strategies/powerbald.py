"""PowerBALD: images drawn in proportion to a power of BALD's score."""

from typing import ClassVar

from pydantic import PositiveFloat

from minimax_al.acquisition import power_sample
from minimax_al.strategies.bald import Bald, dropout_masks, dropout_passes, mutual_information
from minimax_al.strategies.strategy import Query, Scores, picks, score_pool
from minimax_al.training import Models, Outputs, Round


class PowerBald(Bald):
    """Draws without replacement, proportional to a power of the mutual information (Kirsch et al. 2021).

    Attributes:
        power: Exponent β; a large one chooses as `bald`, a small one as `random`.
    """

    uses_randomness: ClassVar[bool] = True
    power: PositiveFloat = 1.0

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Draw `budget` images."""
        masks_Td = dropout_masks(round_, models, self.passes, self.dropout)

        def score(outputs: Outputs) -> Scores:
            return {"mutual_information": mutual_information(dropout_passes(models, outputs.images, masks_Td))}

        scores = score_pool(round_, models, score)
        generator = round_.generator("query")
        return picks(
            round_, power_sample(scores["mutual_information"], budget, generator=generator, power=self.power), scores
        )
