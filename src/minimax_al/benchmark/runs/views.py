"""Predictions of a segmentation model on the picked images, kept for the report."""

import math

import torch
from torch import Tensor

from minimax_al.acquisition.scores import entropy_unchecked
from minimax_al.training import Models, Round

VIEWS_A_ROUND = 12


def views_of(round_: Round, models: Models, indices: Tensor) -> dict[str, Tensor]:
    """Return prediction and entropy of every pixel of the first picks.

    Args:
        round_: Round with the images.
        models: Models of the round.
        indices: Picks in pick order, shape (b,), int64.

    Returns:
        `prediction`, class indices, shape (n, H, W), uint8, and `entropy`, shape (n, H, W), uint8, scaled so that 255
        is log K; n is at most `VIEWS_A_ROUND`.
    """

    def forward(x: Tensor) -> dict[str, Tensor]:
        logits = models.outputs(x).logits
        share = entropy_unchecked(logits) / math.log(logits.shape[1])
        prediction = logits.argmax(dim=1).to(torch.uint8)
        return {"prediction": prediction, "entropy": (255 * share).round().clamp(0, 255).to(torch.uint8)}

    return round_.stream(forward, indices[:VIEWS_A_ROUND])
