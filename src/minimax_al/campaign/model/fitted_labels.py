"""Models that were fitted to a campaign's labels: predictions, choice of images, file. Loads torch."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.features.pool_features import PoolFeatures
from minimax_al.campaign.features.training_data import TrainingData
from minimax_al.campaign.features.unlabelled_images import hashes_of
from minimax_al.campaign.model.label_predictions import LabelPredictions
from minimax_al.campaign.model.pixel_views import keep_views
from minimax_al.campaign.model.pool_scores import keep_pool_scores
from minimax_al.campaign.rounds.rounds import Choice
from minimax_al.data.decoding.letterbox import FITS
from minimax_al.deployment.trained import Trained
from minimax_al.loop import ActiveLearner
from minimax_al.report.reasons import reason_for
from minimax_al.training import Evaluation

_SAMPLE = 5000
"""Unlabelled images on which successive models are compared."""


class FittedLabels:
    """Learner with a campaign's labels.

    Args:
        context: Campaign.
        strategy: Name of the strategy that trains and chooses.
        training_data: Labelled, held-out and unlabelled images, in the order of the learner's samples.
        features: Features of the pool; None if the models read images.
        learner: Learner that knows the labels.
    """

    def __init__(
        self,
        context: CampaignContext,
        strategy: str,
        training_data: TrainingData,
        features: PoolFeatures | None,
        learner: ActiveLearner,
    ) -> None:
        self.context = context
        self.name = strategy
        self.training_data = training_data
        self.features = features
        self.learner = learner
        self.predicted_labels: LabelPredictions | None = None

    def choose(self, budget: int) -> list[Choice]:
        """Return the strategy's choice, with scores, suggestions and reasons; call `fit` before."""
        query = self.learner.query(budget)
        offset = len(self.training_data.labelled)
        own = [name for name in query.scores if name not in {"predicted", "confidence"}]  # not M's
        picked = {name: query.picked(name).tolist() for name in own}
        suggested = self._suggestions(query.indices)
        chosen = [self.training_data.unlabelled[index - offset] for index in query.indices.tolist()]
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

    def _suggestions(self, indices: Tensor) -> list[tuple[int | None, float | None]]:
        """Return M's class id and its probability for each image; None for masks."""
        if self.context.settings.task == "segmentation":
            return [(None, None)] * len(indices)
        ids, predictions = self._class_ids(), self._predict(self.learner.dataset.train, indices)
        labels, confidences = predictions["predicted"].tolist(), predictions["confidence"].tolist()
        return [(ids[label], sure) for label, sure in zip(labels, confidences, strict=True)]

    def trained(self, run_id: int, found: Evaluation) -> Trained:
        """Return M with everything that its use needs.

        Args:
            run_id: Id of the run.
            found: Measurement of M.
        """
        assert self.learner.models is not None
        dataset, training_data = self.learner.dataset, self.training_data
        counts: dict[str, Any] = {"labels": len(training_data.labelled), "held_out": len(training_data.held_out)}
        if dataset.task == "classification":
            counts["per_class_counts"] = training_data.class_counts()
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

    def predictions(self) -> dict[str, Any]:
        """Return M's predictions for the held-out images and a fixed sample, for the next model and the report."""
        offset = len(self.training_data.labelled)
        sample = self._sample()
        ids = [self.training_data.unlabelled[i].id for i in sample] + [
            known.id for known in self.training_data.held_out
        ]
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

    def keep_pool_scores(self, folder: Path) -> None:
        """Write the likeliest classes of the pool's images: on features of all, else of a fixed sample.

        Args:
            folder: Folder of the run, or the one that becomes it.
        """
        scored = self._sample() if self.features is None else range(len(self.training_data.unlabelled))
        keep_pool_scores(folder, self.learner, self.training_data, scored, self._class_ids())

    def _sample(self) -> list[int]:
        """Return the positions of a fixed sample of the unlabelled images."""
        hashes = hashes_of(self.training_data.unlabelled)
        # By the first eight bytes, then by the rest where these are equal.
        by_hash = np.lexsort(np.ascontiguousarray(hashes).view(">u8")[:, ::-1].T)
        sample: list[int] = np.sort(by_hash[:_SAMPLE]).tolist()
        return sample

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
