"""Pixel baseline: whether features predict the labels better than the pixels of the images do.

Features of an encoder that was trained on photographs can suit other images badly: drawings, digits, signs of a few
pixels. There a classifier of tiny thumbnails is as accurate, and a network of the images' own is worth its training.
"""

from collections.abc import Sequence

import torch
from scipy.stats import binomtest
from torch import Tensor

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.features.training_data import LabelledImage
from minimax_al.campaign.progress.headline import PIXEL_ACCURACY, PIXEL_P
from minimax_al.data.datasets.files import load_images
from minimax_al.training import HeadSettings
from minimax_al.training.heads.out_of_fold import OutOfFold
from minimax_al.training.heads.probe import fit_probe
from minimax_al.training.heads.prototypes import Labels

FEWEST, MOST = 60, 500
"""Numbers of labels between which the comparison is made: with fewer it is chance, with more it is known."""

SIDE = 16
"""Side of the thumbnails, in pixels."""

_AT_ONCE = 256


def compare_with_pixels(
    context: CampaignContext, labelled: Sequence[LabelledImage], predictions: OutOfFold, fold: Tensor
) -> dict[str, float]:
    """Return the cross-validated accuracy of thumbnails, and p of the test that features are better.

    Args:
        context: Campaign, for its images.
        labelled: Labelled images, L of them.
        predictions: Predictions on features of the labels that measure a model.
        fold: Fold of each label, shape (L,) int64, of the predictions on features.

    Returns:
        `PIXEL_ACCURACY` on the same labels, and `PIXEL_P` of the one-sided sign test (McNemar's test, exact); empty
        outside of `FEWEST` to `MOST` labels.
    """
    if len(predictions.positions) < FEWEST or len(labelled) > MOST:
        return {}
    images = load_images(context.images, [known.path for known in labelled], SIDE)
    thumbnails = torch.cat(list(images.stream(torch.arange(len(images)).split(_AT_ONCE))))
    predicted = predict_from_pixels(thumbnails, torch.tensor([known.target for known in labelled]), fold)
    by_pixels = predicted[predictions.positions] == predictions.targets
    by_features = predictions.logits.argmax(dim=1) == predictions.targets
    better, worse = int((by_features & ~by_pixels).sum()), int((by_pixels & ~by_features).sum())
    chance = float(binomtest(better, better + worse, alternative="greater").pvalue) if better + worse else 1.0
    return {PIXEL_ACCURACY: float(by_pixels.double().mean()), PIXEL_P: chance}


def predict_from_pixels(thumbnails: Tensor, targets: Tensor, fold: Tensor) -> Tensor:
    """Predict each label from the thumbnails of the other folds.

    Args:
        thumbnails: Small images, shape (L, 3, H, W), uint8.
        targets: Classes, shape (L,) int64.
        fold: Fold of each label, shape (L,) int64; −1 is in every training set.

    Returns:
        Predicted classes, shape (L,) int64; −1 without a prediction.
    """
    pixels = thumbnails.flatten(1).double()
    pixels = pixels - pixels.mean(dim=0)
    predicted = torch.full_like(targets, -1)
    settings, classes = HeadSettings(kind="linear"), int(targets.max()) + 1
    for number in range(int(fold.max()) + 1):
        held, known = fold == number, fold != number
        if not held.any() or len(targets[known].unique()) < 2:
            continue
        generator = torch.Generator().manual_seed(number)
        probe = fit_probe(Labels.of(pixels[known], targets[known], classes, settings), settings, generator)
        with torch.no_grad():
            predicted[held] = probe(pixels[held].float()).argmax(dim=1)
    return predicted
