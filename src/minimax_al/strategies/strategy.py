"""What a strategy is: a named method that trains, scores the unlabelled images, and chooses among them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from minimax_al.acquisition.checks import check_finite
from minimax_al.errors import ConfigurationError, NonFiniteScoreError
from minimax_al.training import Models, Outputs, Round, fit_minimax, fit_supervised
from minimax_al.vocabulary import Task

Scores = dict[str, Tensor]


@dataclass(frozen=True)
class Query:
    """The images to label next, and why.

    Attributes:
        indices: into the training images, in pick order, (b,) int64.
        candidates: the images that were chosen among, ascending, (U,) int64.
        scores: one value a candidate by name, (U,): what the strategy ranked by, and in classification the
            `predicted` class index and its `confidence` where a model looked at the images.
    """

    indices: Tensor
    candidates: Tensor
    scores: Mapping[str, Tensor]

    def picked(self, name: str) -> Tensor:
        """One score of the picked images, in pick order, (b,)."""
        return self.scores[name][torch.searchsorted(self.candidates, self.indices)]


class Strategy(BaseModel, ABC):
    """A named method; its settings are fields.

    To write one, derive from this class, implement `query`, and announce it in the entry-point group
    `minimax_al.strategies`. Override `fit` to train networks of your own.

    Attributes:
        training: `supervised` trains M from scratch, `minimax` trains F, C, D by Algorithm 1 and then M from F.
        uses_randomness: whether the choice itself draws random numbers.
        tasks: what it can choose for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uses_randomness: ClassVar[bool] = False
    tasks: ClassVar[tuple[Task, ...]] = ("classification", "segmentation")
    training: Literal["supervised", "minimax"] = "supervised"

    def check_task(self, task: Task) -> None:
        """Refuse a task that the strategy cannot choose for.

        Raises:
            ConfigurationError: it is not among `tasks`.
        """
        if task not in self.tasks:
            raise ConfigurationError(
                f"strategy {type(self).__name__} is for {' and '.join(self.tasks)}, not for {task}: take another one"
            )

    def fit(self, round_: Round) -> Models:
        """Train this round's networks."""
        return fit_minimax(round_) if self.training == "minimax" else fit_supervised(round_)

    @abstractmethod
    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose unlabelled images.

        Args:
            round_: what is labelled and what is not.
            models: what `fit` returned.
            budget: images to choose, from 1 to all unlabelled ones.

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
    """Score images in one pass, batch by batch.

    Args:
        round_: where the images are.
        models: the networks that look at them.
        score: from the networks' outputs on a batch to values by name, each (B, …).
        indices: which images; default all unlabelled ones.
        stays: names of large values that stay on the rank that computed them, where several share the run.

    Returns:
        Each value over all images, on the CPU; in classification also `predicted` and `confidence`, (n,).

    Raises:
        NonFiniteScoreError: a logit or a value is NaN or infinite; names the images, and its positions are
            among `indices`.
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
    """The error of a batch, told of images: those of the batch stand in `indices` from place `done` on."""
    positions = tuple(done + position for position in error.positions)
    names = ", ".join(repr(round_.dataset.train.names[int(indices[position])]) for position in positions)
    return NonFiniteScoreError(
        f"in round {round_.number} a score of {names} is NaN or infinite; scores are never replaced: "
        "look at these images, or at the model",
        positions,
    )


def picks(round_: Round, positions: Tensor, scores: Scores) -> Query:
    """The query for positions among the unlabelled images; keeps the scores that are one value an image."""
    kept = {name: values for name, values in scores.items() if values.ndim == 1}
    return Query(round_.unlabelled[positions.cpu()], round_.unlabelled, kept)


def _prediction(logits: Tensor) -> Scores:
    if logits.ndim != 2:
        return {}
    confidence, predicted = logits.softmax(dim=1).max(dim=1)
    return {"predicted": predicted, "confidence": confidence}
