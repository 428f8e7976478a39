"""Predictions and entropies of every pixel of the chosen images, kept for annotators to see."""

import math
from collections.abc import Sequence
from functools import partial
from typing import get_args

import torch
from torch import Tensor

from minimax_al.campaign.features.unlabelled_images import UnlabelledImage
from minimax_al.campaign.images.views import ModelViewKind, ViewFiles
from minimax_al.loop import ActiveLearner
from minimax_al.training import Models

_AT_ONCE = 64  # images whose pixels are in memory together


def keep_views(learner: ActiveLearner, indices: Tensor, images: Sequence[UnlabelledImage], views: ViewFiles) -> None:
    """Write the prediction of M, and the entropy of the networks that chose, for chosen images.

    Args:
        learner: Trained learner of a segmentation campaign.
        indices: Indices of the chosen images among the training images, shape (b,), int64.
        images: Chosen images, in the same order.
        views: Files to write to.
    """
    assert learner.models is not None
    settings = learner.recipe.augmentation
    share = 1.0 if settings.crop is None else settings.crop / learner.dataset.image_size[0]
    for start in range(0, len(indices), _AT_ONCE):
        seen = learner.round.stream(partial(_pixels, learner.models), indices[start : start + _AT_ONCE])
        for position, image in enumerate(images[start : start + _AT_ONCE]):
            size = image.height, image.width
            for kind in get_args(ModelViewKind):
                views.save(image.content_hash, kind, seen[kind][position].numpy(), size, share)


def _pixels(models: Models, x: Tensor) -> dict[str, Tensor]:
    """Return prediction and entropy of the pixels of a batch, shape (B, H, W), uint8."""
    probabilities = models.outputs(x).logits.softmax(dim=1)
    entropy = torch.special.entr(probabilities).sum(dim=1) / math.log(probabilities.shape[1])
    return {
        "prediction": models.task_outputs(x).logits.argmax(dim=1).to(torch.uint8),
        "entropy": (255 * entropy).round().clamp(0, 255).to(torch.uint8),
    }
