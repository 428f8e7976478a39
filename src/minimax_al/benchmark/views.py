"""What a segmentation model made of the images that were picked, kept for the report."""

import math

import torch
from torch import Tensor

from minimax_al.acquisition.scores import entropy_unchecked
from minimax_al.training import Models, Round

VIEWS_A_ROUND = 12


def views_of(round_: Round, models: Models, indices: Tensor) -> dict[str, Tensor]:
    """Prediction and entropy of every pixel of the first picks.

    Args:
        round_: where the images are.
        models: what looks at them.
        indices: the picks, in pick order.

    Returns:
        `prediction`, classes (n, H, W) uint8, and `entropy`, (n, H, W) uint8 from 0 to 255 for log K; n is at most
        `VIEWS_A_ROUND`.
    """

    def forward(x: Tensor) -> dict[str, Tensor]:
        logits = models.outputs(x).logits
        share = entropy_unchecked(logits) / math.log(logits.shape[1])
        prediction = logits.argmax(dim=1).to(torch.uint8)
        return {"prediction": prediction, "entropy": (255 * share).round().clamp(0, 255).to(torch.uint8)}

    return round_.stream(forward, indices[:VIEWS_A_ROUND])
