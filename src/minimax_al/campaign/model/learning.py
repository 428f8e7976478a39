"""Training on a campaign's labels, and choosing with the trained models. Loads torch."""

import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from sqlalchemy import Connection, Row, select

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.features.datasets import build_dataset, build_feature_dataset
from minimax_al.campaign.features.pool_features import PoolFeatures, all_images, with_features
from minimax_al.campaign.features.recipes import read_recipe
from minimax_al.campaign.features.training_data import TrainingData, read_training_data
from minimax_al.campaign.model.broken_images import without_broken_images
from minimax_al.campaign.model.earlier_models import measure_earlier
from minimax_al.campaign.model.finetuning import finetuned_model
from minimax_al.campaign.model.fitted_labels import FittedLabels
from minimax_al.campaign.model.label_predictions import LabelPredictions
from minimax_al.campaign.model.measuring import measure
from minimax_al.campaign.model.pixel_baseline import compare_with_pixels
from minimax_al.campaign.model.training_lock import training_alone
from minimax_al.campaign.progress.headline import CROSS_VALIDATED
from minimax_al.campaign.progress.label_errors import OUT_OF_FOLD
from minimax_al.campaign.progress.runs import (
    PREDICTIONS,
    done_run,
    done_runs,
    fail_run,
    finish_run,
    run_folder,
    start_run,
    write_curve,
)
from minimax_al.campaign.rounds.rounds import Choice
from minimax_al.campaign.store.schema import runs
from minimax_al.data import Dataset
from minimax_al.deployment.model_file import save_trained
from minimax_al.deployment.trained import Trained
from minimax_al.durable import new_folder
from minimax_al.errors import CampaignError, DataError, MinimaxALError, StoreError
from minimax_al.loop import ActiveLearner
from minimax_al.networks import TaskModel
from minimax_al.strategies.strategy_names import build_strategy
from minimax_al.training import Evaluation
from minimax_al.vocabulary import Progress

_FINGERPRINT = re.compile("[0-9a-f]{16}")
"""Name of a folder of checkpoints."""

StartCallback = Callable[[str, int, int], None]
"""Callback before a training, with the strategy, the number of labels to train on and of those held out."""


class Session(FittedLabels):
    """Learner with a campaign's labels, which trains, measures and chooses.

    Args:
        context: Campaign.
        strategy: Strategy that trains and chooses.
        progress: Callback of finished epochs, or of images whose features are computed.
        on_start: Callback before a training, not called if exactly this was trained already.

    Raises:
        DataError: No labelled image can be trained on.
        UnknownNameError: The strategy is unknown.
        ConfigurationError: The recipe in the settings is invalid.
    """

    def __init__(
        self,
        context: CampaignContext,
        strategy: str,
        progress: Progress | None = None,
        on_start: StartCallback | None = None,
    ) -> None:
        chosen = build_strategy(strategy)
        recipe = read_recipe(context.settings)
        with context.store.reading() as connection:
            training_data = read_training_data(connection, context.where)
        features: PoolFeatures | None = None
        learnt_from = recipe.model_dump(mode="json")
        if context.settings.features is not None:
            features, training_data = _prepare_features(context, training_data, progress)
            learnt_from["source"] = asdict(features.encoder_source()) | {"preprocessing": None}
        self.fingerprint = training_data.fingerprint(
            context.settings, {"name": strategy, **chosen.model_dump(mode="json")}, learnt_from
        )
        with context.store.reading() as connection:
            is_news = done_run(connection, self.fingerprint) is None
        if on_start is not None and is_news:
            on_start(strategy, len(training_data.labelled), len(training_data.held_out))
        learner = ActiveLearner(
            _dataset(context, training_data, features),
            chosen,
            recipe,
            seed=context.settings.seed,
            folder=context.folder / "checkpoints" / self.fingerprint[:16],
            progress=None if progress is None else partial(_report_epoch, progress),
        )
        count = len(training_data.labelled)
        learner.teach(torch.arange(count), learner.dataset.train_targets[:count])
        super().__init__(context, strategy, training_data, features, learner)

    def fit(self) -> int:
        """Train, or load the models of an equal earlier training; an interrupted training resumes.

        Returns:
            Id of the run.

        Raises:
            CampaignError: The disk is full or read-only; the run records the reason.
        """
        context = self.context
        with context.store.writing() as connection:
            before = done_run(connection, self.fingerprint)
            run_id: int = before.id if before else self._start(connection)
            if before is not None:  # requested again, it is the campaign's model again
                finish_run(connection, run_id, before.metrics, context.now(), self.training_data.last_label)
        try:
            self.learner.fit()
            if before is None or not run_folder(context.folder, run_id).exists():
                self._finish(run_id)
        except OSError as error:
            full = CampaignError(
                f"the trained model cannot be kept in {str(context.folder)!r} ({error.strerror or error}): allow "
                "reading and writing there, and make room on the disk; then train again, which resumes"
            )
            self._fail(run_id, str(full))
            raise full from error
        except Exception as error:
            self._fail(run_id, str(error) if isinstance(error, MinimaxALError) else f"{type(error).__name__}: {error}")
            raise
        return run_id

    def keep_finetuned(self, accuracy: float, count: int, progress: Progress | None) -> None:
        """Fine-tune on all labels, and record the network as a run of its own.

        Args:
            accuracy: Accuracy of the same training on four fifths of the labels.
            count: Number of labels that it was measured on.
            progress: Callback of finished epochs.
        """
        assert self.learner.models is not None
        head = self.learner.models.task_model
        assert isinstance(head, TaskModel)
        model = finetuned_model(
            self.context, self.training_data.class_names, self.training_data.labelled, head, progress
        )
        found = Evaluation({"accuracy": accuracy, CROSS_VALIDATED: float(count)}, [])
        with self.context.store.writing() as connection:
            sizes = {"labels": len(self.training_data.labelled), "held_out": len(self.training_data.held_out)}
            fingerprint = f"{self.fingerprint} finetuned"
            run_id = start_run(connection, "finetune", fingerprint, now=self.context.now(), **sizes)
        trained = replace(self.trained(run_id, found), model=model, is_finetuned=True)
        folder = run_folder(self.context.folder, run_id)
        shutil.rmtree(folder, ignore_errors=True)
        with new_folder(folder) as part:
            save_trained(part, trained)
        with self.context.store.writing() as connection:
            finish_run(connection, run_id, found.metrics, self.context.now(), self.training_data.last_label)

    def _start(self, connection: Connection) -> int:
        sizes = {"labels": len(self.training_data.labelled), "held_out": len(self.training_data.held_out)}
        return start_run(connection, self.name, self.fingerprint, now=self.context.now(), **sizes)

    def _fail(self, run_id: int, message: str) -> None:
        # If this cannot be written either, the error itself has the better reason.
        with suppress(StoreError), self.context.store.writing() as connection:
            fail_run(connection, run_id, message, self.context.now())

    def _finish(self, run_id: int) -> None:
        """Measure, keep M, and only then mark the run as done."""
        found = self._measure()
        trained = self.trained(run_id, found)
        folder = run_folder(self.context.folder, run_id)
        shutil.rmtree(folder, ignore_errors=True)  # remains of a crash between the two last steps
        with new_folder(folder) as part:
            save_trained(part, trained)
            write_curve(part, self._measure_earlier(run_id, trained))
            if self.context.settings.task == "classification":
                np.savez(part / PREDICTIONS, **self.predictions())
                self.keep_pool_scores(part)
            if self.predicted_labels is not None:
                self.predicted_labels.save(part / OUT_OF_FOLD)
        with self.context.store.writing() as connection:
            finish_run(connection, run_id, found.metrics, self.context.now(), self.training_data.last_label)
        self._remove_old_checkpoints()

    def _measure(self) -> Evaluation:
        """Measure M on the held-out labels; on features without any, by cross-validation over all labels."""
        assert self.learner.models is not None
        if self.training_data.held_out:
            return measure(self.learner.round, self.learner.models, self.context.settings.seed)
        if self.features is None:
            return Evaluation({}, [])
        self.predicted_labels = LabelPredictions(self.learner, self.training_data.labelled)
        found = self.predicted_labels.evaluate(self.context.store)
        labels = self.predicted_labels
        by_pixels = compare_with_pixels(self.context, labels.labelled, labels.measured, labels.fold)
        return replace(found, metrics={**found.metrics, **by_pixels})

    def _measure_earlier(self, run_id: int, trained: Trained) -> dict[int, dict[str, float]]:
        with self.context.store.reading() as connection:
            finished = [run for run in done_runs(connection) if run.id != run_id]
        if self.predicted_labels is not None:
            return self.predicted_labels.earlier(finished)
        if not self.training_data.held_out:
            return {}
        return measure_earlier(self.learner, trained, self.context.folder, finished)

    def _remove_old_checkpoints(self) -> None:
        """Remove checkpoints of other labels, whose runs are over."""
        kept = self.learner.folder
        if kept is None or not kept.parent.is_dir():
            return
        for folder in kept.parent.iterdir():
            if folder != kept and _FINGERPRINT.fullmatch(folder.name):  # others are not this campaign's
                shutil.rmtree(folder, ignore_errors=True)


def train(
    context: CampaignContext, strategy: str, progress: Progress | None = None, on_start: StartCallback | None = None
) -> Row[Any]:
    """Train on all labels except the held-out ones; return the row of the run.

    Images that cannot be read are set aside, and the training starts again without them.
    """
    with training_alone(context):
        run_id = without_broken_images(context, lambda: Session(context, strategy, progress, on_start).fit())
    with context.store.reading() as connection:
        return connection.execute(select(runs).where(runs.c.id == run_id)).one()


def choose(
    context: CampaignContext,
    strategy: str,
    budget: int,
    progress: Progress | None = None,
    on_start: StartCallback | None = None,
) -> tuple[Sequence[Choice], int]:
    """Train if needed, and choose; return the choices and the id of the run whose models chose.

    Images that cannot be read are set aside, and the work starts again without them.
    """

    def fit_and_choose() -> tuple[Sequence[Choice], int]:
        session = Session(context, strategy, progress, on_start)
        run_id = session.fit()
        return session.choose(min(budget, len(session.training_data.unlabelled))), run_id

    with training_alone(context):
        return without_broken_images(context, fit_and_choose)


def _prepare_features(
    context: CampaignContext, training_data: TrainingData, progress: Progress | None
) -> tuple[PoolFeatures, TrainingData]:
    """Compute missing features, and leave out the images that cannot have any."""
    features = PoolFeatures(context)
    features.compute(all_images(training_data), progress)
    training_data = with_features(training_data, features)
    if not training_data.labelled:
        raise DataError(
            "none of the labelled images has features: 'mal status --files' lists the files that cannot be used"
        )
    return features, training_data


def _dataset(context: CampaignContext, training_data: TrainingData, features: PoolFeatures | None) -> Dataset:
    if features is None or features.store is None:
        return build_dataset(context, training_data)
    return build_feature_dataset(training_data, features.store)


def _report_epoch(progress: Progress, training: str, done: int, epochs: int, unit: str) -> None:
    progress(training.replace("_", " "), done, epochs, unit)
