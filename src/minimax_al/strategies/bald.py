"""BALD: images about which dropout's many models disagree."""

from collections.abc import Iterable, Iterator
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from minimax_al.acquisition import BaldAccumulator, top
from minimax_al.strategies.strategy import Query, Scores, Strategy, picks, score_pool
from minimax_al.training import Models, Outputs, Round, fit_minimax, fit_supervised

Dropout = Annotated[float, Field(gt=0, lt=1)]


class Bald(Strategy):
    """Highest mutual information of prediction and parameters under MC dropout (Houlsby et al. 2011; Gal et al. 2017).

    Dropout is applied before the head alone, so the encoder runs once for any number of passes. One pass is one
    model: it drops the same features for every image. Batch norm stays in evaluation mode throughout.

    Attributes:
        passes: Number of sampled models T.
        dropout: Probability of dropping a feature, in training and in the passes.
    """

    passes: PositiveInt = 20
    dropout: Dropout = 0.5

    def fit(self, round_: Round) -> Models:
        """Train M with dropout before its head."""
        if self.training == "minimax":
            return fit_minimax(round_, self.minimax_settings(round_), dropout=self.dropout)
        return fit_supervised(round_, dropout=self.dropout)

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose the `budget` highest mutual informations."""
        scores = self.informations(round_, models, self.masks(round_, models))
        return picks(round_, top(scores["mutual_information"], budget), scores)

    def masks(self, round_: Round, models: Models) -> Tensor:
        """Return one mask per pass, (T, d) on the device."""
        return dropout_masks(round_, models, self.passes, self.dropout)

    def informations(self, round_: Round, models: Models, masks_Td: Tensor) -> Scores:
        """Return the `mutual_information` of every unlabelled image, and its prediction; see `score_pool`."""

        def score(outputs: Outputs) -> Scores:
            return {"mutual_information": mutual_information(dropout_passes(models, outputs.images, masks_Td))}

        return score_pool(round_, models, score)


def dropout_masks(round_: Round, models: Models, passes: int, dropout: float) -> Tensor:
    """Return one mask per pass over M's features, scaled to keep their mean, (T, d) on the device."""
    width = models.task_model.encoder.out_features
    kept = torch.rand(passes, width, generator=round_.generator("dropout"), dtype=torch.float64) >= dropout
    return (kept / (1 - dropout)).to(round_.runtime.device, round_.runtime.dtype)


def dropout_passes(models: Models, x: Tensor, masks_Td: Tensor) -> Iterator[Tensor]:
    """Yield M's logits under each mask, from one encoder pass.

    Args:
        models: Models, of which the task model M is sampled.
        x: Images, shape (B, 3, H, W), or feature vectors, shape (B, d).
        masks_Td: Masks, one per pass, shape (T, d).

    Yields:
        Logits (B, K), or (B, K, H, W), T times.
    """
    features = models.task_model.encoder(x)
    for mask_d in masks_Td.to(features.dtype):
        mask = mask_d.view(1, -1, *[1] * (features.ndim - 2))
        yield models.task_logits(features * mask, x)


def mutual_information(passes: Iterable[Tensor]) -> Tensor:
    """Return BALD per image from passes that arrive one by one; the mean over pixels in segmentation.

    Args:
        passes: Logits of each pass, shape (B, K) or (B, K, H, W).

    Returns:
        (B,), in nats.

    Raises:
        NonFiniteScoreError: A logit is NaN or infinite; names the positions in the batch.
    """
    accumulator = BaldAccumulator()
    for logits in passes:
        accumulator.update(logits)
    information = accumulator.result()
    return information.view(len(information), -1).mean(dim=1)
