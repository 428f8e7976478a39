"""PowerBALD: images drawn in proportion to a power of BALD's score."""

from typing import ClassVar

from pydantic import PositiveFloat

from minimax_al.acquisition import power_sample
from minimax_al.strategies.bald import Bald
from minimax_al.strategies.strategy import Query, picks
from minimax_al.training import Models, Round


class PowerBald(Bald):
    """Draws without replacement, proportional to a power of the mutual information (Kirsch et al. 2021).

    Attributes:
        power: Exponent β; a large one chooses as `bald`, a small one as `random`.
    """

    uses_randomness: ClassVar[bool] = True
    power: PositiveFloat = 1.0

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Draw `budget` images."""
        scores = self.informations(round_, models, self.masks(round_, models))
        generator = round_.generator("query")
        return picks(
            round_, power_sample(scores["mutual_information"], budget, generator=generator, power=self.power), scores
        )
