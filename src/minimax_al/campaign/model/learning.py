"""Training on a campaign's labels, and choosing with the trained models. Loads torch."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from sqlalchemy import Connection, Row, select
from torch import Tensor

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.features.datasets import build_dataset, build_feature_dataset
from minimax_al.campaign.features.pool_features import PoolFeatures, all_images, with_features
from minimax_al.campaign.features.recipes import read_recipe
from minimax_al.campaign.features.training_data import gather
from minimax_al.campaign.images.letterbox import FITS
from minimax_al.campaign.model.broken_images import without_broken_images
from minimax_al.campaign.model.earlier_models import measure_earlier
from minimax_al.campaign.model.finetuning import finetuned_model
from minimax_al.campaign.model.label_predictions import LabelPredictions
from minimax_al.campaign.model.measuring import measure
from minimax_al.campaign.model.pixel_views import keep_views
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
from minimax_al.campaign.rounds.reasons import reason_for
from minimax_al.campaign.rounds.rounds import Choice
from minimax_al.campaign.store.classes import class_ids
from minimax_al.campaign.store.schema import runs
from minimax_al.data import Dataset
from minimax_al.durable import new_folder
from minimax_al.errors import CampaignError, DataError, MinimaxALError, StoreError
from minimax_al.loop import ActiveLearner
from minimax_al.networks import TaskModel
from minimax_al.strategies.strategy_names import build_strategy
from minimax_al.training import Evaluation
from minimax_al.training.trained import Trained, save_trained
from minimax_al.vocabulary import Progress

StartCallback = Callable[[str, int, int], None]
"""Callback before a training, with the strategy, the number of labels to train on and of those held out."""

_SAMPLE = 5000
"""Unlabelled images on which successive models are compared."""


class Session:
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
        self.context = context
        self.name = strategy
        chosen = build_strategy(strategy)
        recipe = read_recipe(context.settings)
        with context.store.reading() as connection:
            self.material = gather(connection)
        self.features: PoolFeatures | None = None
        learnt_from = recipe.model_dump(mode="json")
        if context.settings.features is not None:
            self.features = self._prepare_features(progress)
            learnt_from["source"] = asdict(self.features.encoder_source()) | {"preprocessing": None}
        self.fingerprint = self.material.fingerprint(
            context.settings, {"name": strategy, **chosen.model_dump(mode="json")}, learnt_from
        )
        with context.store.reading() as connection:
            is_news = done_run(connection, self.fingerprint) is None
        if on_start is not None and is_news:
            on_start(strategy, len(self.material.labelled), len(self.material.held_out))
        self.learner = ActiveLearner(
            self._dataset(),
            chosen,
            recipe,
            seed=context.settings.seed,
            folder=context.folder / "checkpoints" / self.fingerprint[:16],
            progress=None if progress is None else partial(_report_epoch, progress),
        )
        self.predicted_labels: LabelPredictions | None = None
        count = len(self.material.labelled)
        self.learner.teach(torch.arange(count), self.learner.dataset.train_targets[:count])

    def _prepare_features(self, progress: Progress | None) -> PoolFeatures:
        """Compute missing features, and leave out the images that cannot have any."""
        features = PoolFeatures(self.context)
        features.compute(all_images(self.material), progress)
        self.material = with_features(self.material, features)
        if not self.material.labelled:
            raise DataError(
                "none of the labelled images has features: 'mal status --files' lists the files that cannot be used"
            )
        return features

    def _dataset(self) -> Dataset:
        if self.features is None or self.features.store is None:
            return build_dataset(self.context, self.material)
        return build_feature_dataset(self.material, self.features.store)

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
                finish_run(connection, run_id, before.metrics, context.now(), self.material.last_label)
        try:
            self.learner.fit()
            if before is None or not run_folder(context.folder, run_id).exists():
                self._finish(run_id)
        except OSError as error:
            said = CampaignError(
                f"the trained model cannot be kept in {str(context.folder)!r} ({error.strerror or error}): allow "
                "reading and writing there, and make room on the disk; then train again, which resumes"
            )
            self._fail(run_id, str(said))
            raise said from error
        except Exception as error:
            self._fail(run_id, str(error) if isinstance(error, MinimaxALError) else f"{type(error).__name__}: {error}")
            raise
        return run_id

    def choose(self, budget: int) -> list[Choice]:
        """Return the strategy's choice, with scores, suggestions and reasons; call `fit` before."""
        query = self.learner.query(budget)
        offset = len(self.material.labelled)
        own = [name for name in query.scores if name not in {"predicted", "confidence"}]  # not M's
        picked = {name: query.picked(name).tolist() for name in own}
        suggested = self._suggestions(query.indices)
        chosen = [self.material.unlabelled[index - offset] for index in query.indices.tolist()]
        if self.context.settings.task == "segmentation":
            keep_views(self.learner, query.indices, chosen, self.context.views)
        choices = []
        for position, image in enumerate(chosen):
            scores = {name: float(values[position]) for name, values in picked.items()}
            suggestion, confidence = suggested[position]
            choices.append(
                Choice(
                    item_id=image.id,
                    reason=reason_for(self.name, scores, len(query.candidates)),
                    scores=scores,
                    suggestion=suggestion,
                    confidence=confidence,
                )
            )
        return choices

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
        model = finetuned_model(self.context, self.material.class_names, self.material.labelled, head, progress)
        found = Evaluation({"accuracy": accuracy, CROSS_VALIDATED: float(count)}, [])
        with self.context.store.writing() as connection:
            sizes = {"labels": len(self.material.labelled), "held_out": len(self.material.held_out)}
            fingerprint = f"{self.fingerprint} finetuned"
            run_id = start_run(connection, "finetune", fingerprint, now=self.context.now(), **sizes)
        trained = replace(self._trained(run_id, found), model=model, is_finetuned=True)
        folder = run_folder(self.context.folder, run_id)
        shutil.rmtree(folder, ignore_errors=True)
        with new_folder(folder) as part:
            save_trained(part, trained)
        with self.context.store.writing() as connection:
            finish_run(connection, run_id, found.metrics, self.context.now(), self.material.last_label)

    def _suggestions(self, indices: Tensor) -> list[tuple[int | None, float | None]]:
        """Return M's class id and its probability for each image; None for masks."""
        if self.context.settings.task == "segmentation":
            return [(None, None)] * len(indices)
        ids, said = self._class_ids(), self._predict(self.learner.dataset.train, indices)
        labels, confidences = said["predicted"].tolist(), said["confidence"].tolist()
        return [(ids[label], sure) for label, sure in zip(labels, confidences, strict=True)]

    def _start(self, connection: Connection) -> int:
        sizes = {"labels": len(self.material.labelled), "held_out": len(self.material.held_out)}
        return start_run(connection, self.name, self.fingerprint, now=self.context.now(), **sizes)

    def _fail(self, run_id: int, message: str) -> None:
        # If this cannot be written either, the error itself has the better reason.
        with suppress(StoreError), self.context.store.writing() as connection:
            fail_run(connection, run_id, message, self.context.now())

    def _finish(self, run_id: int) -> None:
        """Measure, keep M, and only then mark the run as done."""
        found = self._measure()
        trained = self._trained(run_id, found)
        folder = run_folder(self.context.folder, run_id)
        shutil.rmtree(folder, ignore_errors=True)  # remains of a crash between the two last steps
        with new_folder(folder) as part:
            save_trained(part, trained)
            write_curve(part, self._measure_earlier(run_id, trained))
            if self.context.settings.task == "classification":
                np.savez(part / PREDICTIONS, **self._predictions())
            if self.predicted_labels is not None:
                self.predicted_labels.save(part / OUT_OF_FOLD)
        with self.context.store.writing() as connection:
            finish_run(connection, run_id, found.metrics, self.context.now(), self.material.last_label)
        self._remove_old_checkpoints()

    def _measure(self) -> Evaluation:
        """Measure M on the held-out labels; on features without any, by cross-validation over all labels."""
        assert self.learner.models is not None
        if self.material.held_out:
            return measure(self.learner.round, self.learner.models, self.context.settings.seed)
        if self.features is None:
            return Evaluation({}, [])
        self.predicted_labels = LabelPredictions(self.learner, self.material.labelled)
        return self.predicted_labels.evaluate(self.context.store)

    def _measure_earlier(self, run_id: int, trained: Trained) -> dict[int, dict[str, float]]:
        with self.context.store.reading() as connection:
            finished = [run for run in done_runs(connection) if run.id != run_id]
        if self.predicted_labels is not None:
            return self.predicted_labels.earlier(finished)
        if not self.material.held_out:
            return {}
        return measure_earlier(self.learner, trained, self.context.folder, finished)

    def _trained(self, run_id: int, found: Evaluation) -> Trained:
        assert self.learner.models is not None
        dataset, material = self.learner.dataset, self.material
        counts: dict[str, Any] = {"labels": len(material.labelled), "held_out": len(material.held_out)}
        if dataset.task == "classification":
            counts["per_class_counts"] = material.class_counts()
        source = None if self.features is None else self.features.encoder_source()
        return Trained(
            model=self.learner.models.task_model,
            recipe=self.learner.recipe,
            task=dataset.task,
            class_names=dataset.class_names,
            stored_size=self.context.settings.stored_size,
            fit=FITS[dataset.task],
            mean=dataset.mean if source is None else source.preprocessing.mean,
            std=dataset.std if source is None else source.preprocessing.std,
            source=source,
            facts={
                "run": run_id,
                "strategy": self.name,
                **counts,
                "metrics": found.metrics,
                "per_class": found.per_class,
            },
        )

    def _predictions(self) -> dict[str, Any]:
        """Return M's predictions for the held-out images and a fixed sample, for the next model and the report."""
        offset = len(self.material.labelled)
        by_hash = sorted(range(len(self.material.unlabelled)), key=lambda i: self.material.unlabelled[i].content_hash)
        sample = sorted(by_hash[:_SAMPLE])
        ids = [self.material.unlabelled[i].id for i in sample] + [known.id for known in self.material.held_out]
        dataset = self.learner.dataset
        found = [
            self._predict(dataset.train, torch.tensor([offset + i for i in sample], dtype=torch.int64)),
            self._predict(dataset.test, torch.arange(len(dataset.test))),
        ]
        known = [one for one in found if one]
        predicted = torch.cat([torch.empty(0, dtype=torch.int64), *(one["predicted"] for one in known)])
        confidence = torch.cat([torch.empty(0), *(one["confidence"] for one in known)])
        return {
            "items": np.array(ids, dtype=np.int64),
            "predicted": predicted.numpy(),
            "confidence": confidence.numpy(),
            "classes": np.array(self._class_ids(), dtype=np.int64),
        }

    def _predict(self, images: Any, indices: Tensor) -> dict[str, Tensor]:  # noqa: ANN401 - any kind of images
        """Return M's class and its probability for each image; an empty mapping without images."""
        models = self.learner.models
        assert models is not None

        def forward(x: Tensor) -> dict[str, Tensor]:
            confidence, predicted = models.task_outputs(x).logits.float().softmax(dim=1).max(dim=1)
            return {"predicted": predicted, "confidence": confidence}

        return self.learner.round.stream(forward, indices, images) if len(indices) else {}

    def _class_ids(self) -> list[int]:
        with self.context.store.reading() as connection:
            return list(class_ids(connection).values())

    def _remove_old_checkpoints(self) -> None:
        """Remove checkpoints of other labels, whose runs are over."""
        kept = self.learner.folder
        if kept is None or not kept.parent.is_dir():
            return
        for folder in kept.parent.iterdir():
            if folder != kept:
                shutil.rmtree(folder, ignore_errors=True)


def train(
    context: CampaignContext, strategy: str, progress: Progress | None = None, on_start: StartCallback | None = None
) -> Row[Any]:
    """Train on all labels except the held-out ones; return the row of the run.

    Images that cannot be read are set aside, and the training starts again without them.
    """
    with training_alone(context.folder):
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
        return session.choose(min(budget, len(session.material.unlabelled))), run_id

    with training_alone(context.folder):
        return without_broken_images(context, fit_and_choose)


def _report_epoch(progress: Progress, training: str, done: int, epochs: int, unit: str) -> None:
    progress(training.replace("_", " "), done, epochs, unit)
