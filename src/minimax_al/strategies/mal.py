"""Minimax Active Learning (Ebrahimi, Gan, Salahi, Darrell 2020): uncertain, and unlike the labelled images."""

from typing import Literal

from pydantic import NonNegativeFloat, PositiveInt, model_validator
from torch import Tensor

from minimax_al.acquisition import choose_by_rule, ranks
from minimax_al.errors import ConfigurationError
from minimax_al.strategies.strategy import Query, Scores, Strategy, picks, score_pool
from minimax_al.training import Models, Outputs, Round, fit_minimax

Rule = Literal["intersection", "threshold", "filter", "product", "entropy", "diversity"]


class MAL(Strategy):
    """Algorithm 1 trains, Algorithm 2 chooses, Algorithm 3 trains the task model.

    Attributes:
        rule: Reading of Algorithm 2, "the top b samples that meet both conditions".
        filter_factor: Factor k of the rule `filter`, which keeps the k·b images that look least labelled.
        entropy_weight: Weight λ instead of the recipe's; 0 is the ablation without minimax entropy.
        discriminator: Whether D is trained, instead of the recipe's; without it only the rule `entropy` is left.
    """

    training: Literal["minimax"] = "minimax"
    rule: Rule = "intersection"
    filter_factor: PositiveInt = 10
    entropy_weight: NonNegativeFloat | None = None
    discriminator: bool | None = None

    @model_validator(mode="after")
    def _rule_has_what_it_needs(self) -> "MAL":
        self._check_rule(discriminator=self.discriminator is not False)
        return self

    def fit(self, round_: Round) -> Models:
        """Train F, C and D, then M from F.

        Raises:
            ConfigurationError: the recipe wants no discriminator, and the rule asks it.
        """
        own = {"entropy_weight": self.entropy_weight, "discriminator": self.discriminator}
        changes = {name: value for name, value in own.items() if value is not None}
        settings = round_.minimax.model_copy(update=changes)
        self._check_rule(discriminator=settings.discriminator)
        return fit_minimax(round_, settings)

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose the `budget` images that D takes for unlabelled and on which C's entropy is high."""
        discriminator = models.discriminator

        def score(outputs: Outputs) -> Scores:
            scores = {"entropy": outputs.entropy()}
            if discriminator is not None:
                scores["labelledness"] = discriminator(outputs.features).to(outputs.features.dtype)
            return scores

        scores = score_pool(round_, models, score)
        entropies, labelledness = scores["entropy"], scores.get("labelledness")
        positions = self._choose(labelledness, entropies, budget)
        scores["entropy_rank"] = ranks(entropies, largest=True)
        if labelledness is not None:
            scores["labelledness_rank"] = ranks(labelledness)
        return picks(round_, positions, scores)

    def _check_rule(self, *, discriminator: bool) -> None:
        if not discriminator and self.rule != "entropy":
            raise ConfigurationError(
                f"rule {self.rule!r} asks the discriminator: set discriminator to true, or rule to 'entropy'"
            )

    def _choose(self, labelledness: Tensor | None, entropies: Tensor, budget: int) -> Tensor:
        settings = {"factor": self.filter_factor} if self.rule == "filter" else {}
        return choose_by_rule(self.rule, labelledness, entropies, budget, **settings)
