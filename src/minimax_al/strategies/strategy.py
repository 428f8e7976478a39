"""The contract of a strategy: a named method that trains, scores the unlabelled images, and chooses among them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from minimax_al.acquisition.checks import check_finite
from minimax_al.data import Dataset
from minimax_al.errors import ConfigurationError, NonFiniteScoreError
from minimax_al.training import MinimaxSettings, Models, Outputs, Round, fit_minimax, fit_supervised
from minimax_al.vocabulary import Task

Scores = dict[str, Tensor]
"""Values of images by name, each with first dimension B."""


@dataclass(frozen=True)
class Query:
    """The images to label next, with the scores behind the choice.

    Attributes:
        indices: Indices of training images in pick order, shape (b,) int64.
        candidates: Indices of all candidates, ascending, shape (U,) int64.
        scores: One value per candidate by name, each of shape (U,): the values that the strategy ranked by, and in
            classification the `predicted` class index and its `confidence` where a model saw the images.
    """

    indices: Tensor
    candidates: Tensor
    scores: Mapping[str, Tensor]

    def picked(self, name: str) -> Tensor:
        """Return one score of the picked images, in pick order, (b,)."""
        return self.scores[name][torch.searchsorted(self.candidates, self.indices)]


class Strategy(BaseModel, ABC):
    """A named method; its settings are fields.

    To write one, derive from this class, implement `query`, and announce it in the entry-point group
    `minimax_al.strategies`. Override `fit` to train networks of your own.

    Attributes:
        training: `supervised` trains M alone, `minimax` trains F, C, D by Algorithm 1 and then M from F.
        uses_randomness: Whether the choice itself draws random numbers.
        tasks: Tasks that it can choose for.
        sample_kinds: Kinds of samples that it can choose from.
        cold_start: Whether it can choose before the first label, from features alone.
        game: Settings of Algorithm 1 instead of the recipe's, by name, under the training `minimax`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uses_randomness: ClassVar[bool] = False
    tasks: ClassVar[tuple[Task, ...]] = ("classification", "segmentation")
    sample_kinds: ClassVar[tuple[str, ...]] = ("images", "features")
    cold_start: ClassVar[bool] = False
    training: Literal["supervised", "minimax"] = "supervised"
    game: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _game_is_played(self) -> Self:
        if self.game and self.training != "minimax":
            raise ConfigurationError(
                f"{next(iter(self.game))!r} is a setting of Algorithm 1, and the training is {self.training!r}: "
                "give it to 'mal' or to a name that ends in '+mal'"
            )
        MinimaxSettings().changed(self.game)
        return self

    def minimax_settings(self, round_: Round) -> MinimaxSettings:
        """Return the settings of Algorithm 1: the recipe's with the strategy's own.

        Raises:
            ConfigurationError: A setting does not suit the recipe's others.
        """
        return round_.minimax.changed(self.game)

    def carries_over(self, round_: Round) -> bool:
        """Return whether networks start from those of the last round."""
        game = self.training == "minimax" and self.minimax_settings(round_).carry_over
        return game or round_.recipe.task.carry_over

    def check_task(self, task: Task) -> None:
        """Refuse a task that the strategy cannot choose for.

        Raises:
            ConfigurationError: The task is not among `tasks`.
        """
        if task not in self.tasks:
            raise ConfigurationError(
                f"strategy {type(self).__name__} is for {' and '.join(self.tasks)}, not for {task}: choose another one"
            )

    def check_dataset(self, dataset: Dataset) -> None:
        """Refuse a data set that the strategy cannot choose from.

        Raises:
            ConfigurationError: Its task or its kind of samples is not the strategy's.
        """
        self.check_task(dataset.task)
        if dataset.sample not in self.sample_kinds:
            raise ConfigurationError(
                f"strategy {type(self).__name__} needs {' or '.join(self.sample_kinds)}, but {dataset.name!r} holds "
                f"{dataset.sample}: choose another strategy, such as 'mal'"
            )

    def fit(self, round_: Round) -> Models:
        """Train this round's networks."""
        if self.training == "minimax":
            return fit_minimax(round_, self.minimax_settings(round_))
        return fit_supervised(round_)

    @abstractmethod
    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose unlabelled images.

        Args:
            round_: Round with labelled and unlabelled indices.
            models: Models that `fit` returned.
            budget: Number of images to choose, from 1 to all unlabelled ones.

        Returns:
            `budget` distinct unlabelled images, in pick order.
        """


def score_pool(
    round_: Round,
    models: Models,
    score: Callable[[Outputs], Scores],
    indices: Tensor | None = None,
    *,
    stays: Sequence[str] = (),
) -> Scores:
    """Score samples in one pass, batch by batch.

    Args:
        round_: Round with the samples.
        models: Networks that score.
        score: Function from the networks' outputs on a batch to values by name, each (B, …).
        indices: Samples to score, shape (n,) int64; default all unlabelled ones.
        stays: Names of large values that stay on the rank that computed them, where several ranks share the run.

    Returns:
        Each value over all samples, on the CPU; in classification also `predicted` and `confidence`, (n,).

    Raises:
        NonFiniteScoreError: A logit or a value is NaN or infinite; names the images. Its positions are among `indices`.
    """
    indices = round_.unlabelled if indices is None else indices
    done = round_.shown_here(len(indices)).start

    def forward(x: Tensor) -> Scores:
        nonlocal done
        outputs = models.outputs(x)
        try:
            check_finite(outputs.logits, "logits")
            scores = _prediction(outputs.logits) | score(outputs)
            for name, values in scores.items():
                check_finite(values, name)
        except NonFiniteScoreError as error:
            raise _naming(error, round_, indices, done) from error
        done += len(x)
        return scores

    return round_.stream(forward, indices, stays=stays)


def _naming(error: NonFiniteScoreError, round_: Round, indices: Tensor, done: int) -> NonFiniteScoreError:
    """Return the error of a batch with the images' names; the batch starts at position `done` of `indices`."""
    positions = tuple(done + position for position in error.positions)
    names = ", ".join(repr(round_.dataset.train.names[int(indices[position])]) for position in positions)
    return NonFiniteScoreError(
        f"in round {round_.number} a score of {names} is NaN or infinite; scores are never replaced: "
        "look at these images, or at the model",
        positions,
    )


def picks(round_: Round, positions: Tensor, scores: Scores) -> Query:
    """Return the query for positions among the unlabelled images, with the scores that are one value per image."""
    kept = {name: values for name, values in scores.items() if values.ndim == 1}
    return Query(round_.unlabelled[positions.cpu()], round_.unlabelled, kept)


def _prediction(logits: Tensor) -> Scores:
    if logits.ndim != 2:
        return {}
    confidence, predicted = logits.softmax(dim=1).max(dim=1)
    return {"predicted": predicted, "confidence": confidence}
