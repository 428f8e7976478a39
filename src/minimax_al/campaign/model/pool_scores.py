"""Scores of the pool under a new model: the likeliest classes of each image, kept next to the model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from minimax_al.campaign.features.training_data import TrainingData
from minimax_al.campaign.features.unlabelled_images import ids_of
from minimax_al.campaign.progress.pool_predictions import Likeliest, likeliest_classes, write_pool_predictions
from minimax_al.data.datasets.dataset import Samples
from minimax_al.loop import ActiveLearner


def keep_pool_scores(
    folder: Path,
    learner: ActiveLearner,
    training_data: TrainingData,
    unlabelled: Sequence[int],
    class_ids: Sequence[int],
) -> None:
    """Predict images with the learner's model, and write their likeliest classes into a run's folder.

    Args:
        folder: Folder that becomes the run's.
        learner: Learner that was fitted to the training data.
        training_data: Training data.
        unlabelled: Positions of the unlabelled images to predict; labelled and held-out images are always predicted.
        class_ids: Id of each class, by its index.
    """
    offset, dataset = len(training_data.labelled), learner.dataset
    positions = np.asarray(unlabelled, dtype=np.int64)
    trained = torch.cat([torch.arange(offset), torch.from_numpy(positions) + offset])
    parts = [
        _likeliest(learner, dataset.train, trained),
        _likeliest(learner, dataset.test, torch.arange(len(training_data.held_out))),
    ]
    ids = np.concatenate(
        [ids_of(training_data.labelled), ids_of(training_data.unlabelled)[positions], ids_of(training_data.held_out)]
    )
    found = Likeliest(*(np.concatenate(arrays) for arrays in zip(*filter(None, parts), strict=True)))
    was_trained_on = np.arange(len(ids)) < offset
    write_pool_predictions(folder, ids, found, np.array(class_ids, np.int64), was_trained_on)


def _likeliest(learner: ActiveLearner, samples: Samples, indices: Tensor) -> Likeliest | None:
    if len(indices) == 0:
        return None
    models = learner.models
    assert models is not None

    def forward(x: Tensor) -> dict[str, Tensor]:
        # By batch: all class probabilities of a million images would be gigabytes.
        found = likeliest_classes(models.task_outputs(x).logits.float().softmax(dim=1).cpu().numpy())
        return {name: torch.from_numpy(array) for name, array in found._asdict().items()}

    found = learner.round.stream(forward, indices, samples)
    return Likeliest(*(found[name].numpy() for name in Likeliest._fields))
