"""Cross-validation over a campaign's labels: accuracy without holding labels out, and suspected mistakes.

Each label is predicted by a model that was not trained on it. Labels that a strategy chose are harder, or easier, than
the pool; the labels of images that were drawn at random are a fair sample of it, so their accuracy is kept apart.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sqlalchemy import Row, select

from minimax_al.campaign.features.training_data import LabelledImage
from minimax_al.campaign.progress.headline import CROSS_VALIDATED, RANDOM_ACCURACY, RANDOM_COUNT
from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.schema import picks
from minimax_al.loop import ActiveLearner
from minimax_al.strategies import Strategy
from minimax_al.training import Evaluation, Models, Round
from minimax_al.training.heads.feature_fits import fit_head
from minimax_al.training.heads.out_of_fold import OutOfFold, finish, fold_of_labels, out_of_fold, out_of_fold_steps
from minimax_al.training.heads.prototypes import with_choices_of

_EARLIER = 8
"""Largest number of earlier points of the learning curve that are measured again."""


class LabelPredictions:
    """Out-of-fold predictions of a campaign's labels.

    Args:
        learner: Learner that was fitted to the labels.
        labelled: Labelled images, in the order of labelling.
    """

    def __init__(self, learner: ActiveLearner, labelled: Sequence[LabelledImage]) -> None:
        self.learner = learner
        self.labelled = labelled
        self.round = _with_chosen_settings(learner)
        self.fold = fold_of_labels(self.round, torch.tensor([known.group for known in labelled]))

    @cached_property
    def predictions(self) -> OutOfFold:
        """Predictions by models that were trained on all other folds."""
        return out_of_fold(self.round, self._fit, self.fold)

    @cached_property
    def measured(self) -> OutOfFold:
        """Predictions of the labels that measure a model."""
        return self._measured(self.predictions)

    def predict_in_steps(self) -> Generator[None]:
        """Compute `predictions`, and yield after each fold."""
        self.predictions = yield from out_of_fold_steps(self.round, self._fit, self.fold)

    def measure_earlier_in_steps(self, labels: int) -> Generator[None, None, dict[str, float] | None]:
        """Measure a model with the earliest labels alone, on the same labels; yield after each fold.

        Args:
            labels: Number of labels to train on.

        Returns:
            Metrics; None if the earliest labels do not suffice in every fold.
        """
        fewer = yield from out_of_fold_steps(self.round, self._fit, self.fold, labels=labels)
        if len(fewer.positions) < len(self.predictions.positions):
            return None
        measured = self._measured(fewer)
        metrics = measured.evaluation(self.learner.dataset.num_classes).metrics
        return {**metrics, CROSS_VALIDATED: float(len(measured.positions))}

    def evaluate(self, store: Store) -> Evaluation:
        """Return the cross-validated metrics; the accuracy on images that were drawn at random is among them.

        Args:
            store: Database of the campaign, which knows the images that were drawn at random.
        """
        measured = self.measured
        found = measured.evaluation(self.learner.dataset.num_classes)
        count = len(measured.positions)
        if count == 0:
            return found
        metrics = {**found.metrics, CROSS_VALIDATED: float(count)}
        ids = [self.labelled[i].id for i in measured.positions.tolist()]
        drawn = _drawn_at_random(store)
        at_random = torch.tensor([item in drawn for item in ids])
        if bool(at_random.any()):
            right = measured.logits.argmax(dim=1) == measured.targets
            metrics[RANDOM_ACCURACY] = float(right[at_random].double().mean())
            metrics[RANDOM_COUNT] = float(at_random.sum())
        return Evaluation(metrics, found.per_class)

    def earlier(self, finished: Iterable[Row[Any]]) -> dict[int, dict[str, float]]:
        """Return the metrics of models with earlier labels alone, on the same labels, by run.

        Args:
            finished: Earlier runs, oldest first.
        """
        latest = {run.labels: run.id for run in finished if run.labels < len(self.labelled)}
        found = {}
        for labels, run in sorted(latest.items())[-_EARLIER:]:
            metrics = finish(self.measure_earlier_in_steps(labels))
            if metrics is not None:
                found[run] = metrics
        return found

    def save(self, path: Path) -> None:
        """Write the ids, labels and class probabilities of the predicted labels, and the names of the classes.

        Args:
            path: File to write, in NumPy's format npz.
        """
        np.savez(
            path,
            items=np.array([self.labelled[i].id for i in self.predictions.positions.tolist()], dtype=np.int64),
            labels=self.predictions.targets.numpy(),
            probabilities=self.predictions.logits.softmax(dim=1).numpy(),
            class_names=np.array(self.learner.dataset.class_names),
        )

    def _measured(self, predictions: OutOfFold) -> OutOfFold:
        """Return the predictions of the labels that measure a model.

        A suggestion that was confirmed in bulk agrees with the model that suggested it, so it would flatter the model.
        """
        kept = torch.tensor([self.labelled[i].measures for i in predictions.positions.tolist()], dtype=torch.bool)
        return OutOfFold(predictions.positions[kept], predictions.logits[kept], predictions.targets[kept])

    def _fit(self, round_: Round) -> Models:
        strategy: Strategy = self.learner.strategy
        # Only M is measured: the other networks of plain trainings, such as an ensemble's, are not needed.
        return strategy.fit(round_) if strategy.training == "minimax" else fit_head(round_)


def _with_chosen_settings(learner: ActiveLearner) -> Round:
    """Return the round with the settings that the fit chose, of which folds choose no more, see `with_choices_of`."""
    round_ = learner.round
    assert learner.models is not None
    settings = round_.recipe.features
    head = with_choices_of(settings.head, getattr(learner.models.task_model, "head", None))
    fixed = settings.model_copy(update={"head": head})
    return replace(round_, recipe=round_.recipe.model_copy(update={"features": fixed}))


def _drawn_at_random(store: Store) -> set[int]:
    with store.reading() as connection:
        return set(connection.scalars(select(picks.c.item_id).where(picks.c.at_random)))
