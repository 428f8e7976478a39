"""Minimax Active Learning (Ebrahimi, Gan, Salahi, Darrell 2020): uncertain, and unlike the labelled images."""

from dataclasses import replace
from typing import Any, Literal

from pydantic import NonNegativeFloat, PositiveInt, model_validator
from torch import Tensor

from minimax_al.acquisition import choose_by_rule, logits_within_class, ranks
from minimax_al.errors import ConfigurationError
from minimax_al.strategies.strategy import Query, Scores, Strategy, picks, score_pool
from minimax_al.training import MinimaxSettings, Models, Outputs, Round, fit_minimax

Rule = Literal["intersection", "threshold", "filter", "product", "union", "rank_sum", "entropy", "diversity"]


class MAL(Strategy):
    """Algorithm 1 trains, Algorithm 2 chooses, Algorithm 3 trains the task model.

    Attributes:
        rule: Reading of Algorithm 2, "the top b samples that meet both conditions".
        filter_factor: Factor k of the rule `filter`, which keeps the k·b images that look least labelled.
        within_class: Whether D ranks images within their predicted class instead of the whole pool.
        entropy_of: Model whose entropy ranks: the `classifier` C∘F, C at T = 1 (`untempered`), or the `task_model` M.
        entropy_weight: Weight λ instead of the recipe's; 0 is the ablation without minimax entropy.
        discriminator: Whether D is trained, instead of the recipe's; without it only the rule `entropy` is left.
        task_head: Head of M on images instead of the recipe's.
        carry_task_model: Whether M starts from the last round's M, instead of the recipe's.
    """

    training: Literal["minimax"] = "minimax"
    rule: Rule = "intersection"
    filter_factor: PositiveInt = 10
    within_class: bool = False
    entropy_of: Literal["classifier", "untempered", "task_model"] = "classifier"
    entropy_weight: NonNegativeFloat | None = None
    discriminator: bool | None = None
    task_head: Literal["linear", "cosine"] | None = None
    carry_task_model: bool | None = None

    @model_validator(mode="after")
    def _rule_has_what_it_needs(self) -> "MAL":
        self._check_rule(discriminator=self.discriminator is not False)
        return self

    def minimax_settings(self, round_: Round) -> MinimaxSettings:
        """Return the settings of Algorithm 1: the recipe's with the strategy's own."""
        own = {"entropy_weight": self.entropy_weight, "discriminator": self.discriminator}
        return super().minimax_settings(round_).changed(_given(own))

    def carries_over(self, round_: Round) -> bool:
        """Return whether networks start from those of the last round."""
        return super().carries_over(self._with_task(round_))

    def fit(self, round_: Round) -> Models:
        """Train F, C and D, then M from F.

        Raises:
            ConfigurationError: The recipe has no discriminator, and the rule needs it.
        """
        settings = self.minimax_settings(round_)
        self._check_rule(discriminator=settings.discriminator)
        return fit_minimax(self._with_task(round_), settings)

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose the `budget` images that D takes for unlabelled and on which the entropy is high."""
        if self.within_class and round_.dataset.task == "segmentation":
            raise ConfigurationError("within_class=True needs one class per image: set it to false for segmentation")

        def score(outputs: Outputs) -> Scores:
            scores = {"entropy": self._entropy(models, outputs)}
            if models.discriminator is not None:
                scores["labelledness"] = models.labelledness(outputs)
            return scores

        scores = score_pool(round_, models, score)
        entropies, labelledness = scores["entropy"], scores.get("labelledness")
        if labelledness is not None and self.within_class:
            labelledness = logits_within_class(labelledness, scores["predicted"])
        positions = self._choose(labelledness, entropies, budget)
        scores["entropy_rank"] = ranks(entropies, largest=True)
        if labelledness is not None:
            scores["labelledness_rank"] = ranks(labelledness)
        return picks(round_, positions, scores)

    def _entropy(self, models: Models, outputs: Outputs) -> Tensor:
        if self.entropy_of == "task_model":
            return models.task_outputs(outputs.images).entropy()
        if self.entropy_of == "untempered":
            assert outputs.classifier is not None, "fit_minimax returns C"
            return replace(outputs, logits=outputs.logits * outputs.classifier.temperature).entropy()
        return outputs.entropy()

    def _with_task(self, round_: Round) -> Round:
        """Return the round with the strategy's own settings of M."""
        changes = _given({"head": self.task_head, "carry_over": self.carry_task_model})
        if not changes:
            return round_
        task = round_.recipe.task.model_copy(update=changes)
        return replace(round_, recipe=round_.recipe.model_copy(update={"task": task}))

    def _check_rule(self, *, discriminator: bool) -> None:
        if not discriminator and self.rule != "entropy":
            raise ConfigurationError(
                f"rule {self.rule!r} asks the discriminator: set discriminator to true, or rule to 'entropy'"
            )

    def _choose(self, labelledness: Tensor | None, entropies: Tensor, budget: int) -> Tensor:
        settings = {"factor": self.filter_factor} if self.rule == "filter" else {}
        return choose_by_rule(self.rule, labelledness, entropies, budget, **settings)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
