"""Opinion of today's model on every current label: does it agree, and how strongly does it contradict.

A label is compared with the prediction of a model that was not trained on it where there is one: the out-of-fold
prediction of the last training, or the prediction of the pool for images that were labelled since. Suspected errors
are those of confident learning (`campaign.progress.label_errors`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minimax_al.campaign.progress.label_errors import OutOfFoldLabels
from minimax_al.campaign.progress.pool_predictions import PoolPredictions
from minimax_al.exploring.pool_table import LABEL, PoolTable


@dataclass(frozen=True)
class ModelOpinions:
    """Opinions of one model; all arrays have one row per image of the pool table.

    Attributes:
        run: Id of the run that trained the model; None without a model.
        covered: Whether the image is predicted, shape (N,).
        predicted: Id of the likeliest class; 0 if the image is not predicted, shape (N,) int32.
        confidence: Its probability, shape (N,) float32.
        entropy: Entropy as a share of the largest possible one, shape (N,) float32; NaN without a prediction.
        contradiction: Probability of the likeliest other class less that of the label's class, in [-1, 1], shape (N,)
            float32; NaN without a label or prediction.
        suspected: Whether the label is a suspected error, shape (N,).
        alternative: Id of the class that a suspected label should rather have; else `predicted`, shape (N,) int32.
    """

    run: int | None
    covered: NDArray[np.bool_]
    predicted: NDArray[np.int32]
    confidence: NDArray[np.float32]
    entropy: NDArray[np.float32]
    contradiction: NDArray[np.float32]
    suspected: NDArray[np.bool_]
    alternative: NDArray[np.int32]


def form_opinions(
    table: PoolTable, predictions: PoolPredictions | None, out_of_fold: OutOfFoldLabels | None
) -> ModelOpinions:
    """Return the opinions of today's model on the images and labels of a table.

    Args:
        table: Images and their current answers.
        predictions: Predictions of the last model; None without one.
        out_of_fold: Out-of-fold predictions of labels; None without cross-validation.
    """
    count = len(table)
    predicted, alternative = np.zeros(count, np.int32), np.zeros(count, np.int32)
    confidence = np.zeros(count, np.float32)
    entropy = np.full(count, np.nan, np.float32)
    contradiction = np.full(count, np.nan, np.float32)
    covered, suspected = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    labelled = (table.kind == LABEL) & (table.class_id > 0)
    if predictions is not None:
        place = table.find(predictions.items)
        known = place >= 0
        at = place[known]
        classes, probabilities = predictions.classes[known], predictions.probabilities[known]
        covered[at] = True
        predicted[at], confidence[at], entropy[at] = classes[:, 0], probabilities[:, 0], predictions.entropy[known]
        is_label = classes == table.class_id[at][:, None]
        own = np.where(is_label, probabilities, 0).sum(axis=1)
        other = np.where(is_label, 0, probabilities).max(axis=1)
        contradiction[at] = np.where(labelled[at], other - own, np.nan)
    if out_of_fold is not None:
        place = table.find(out_of_fold.items)
        still = (place >= 0) & labelled[place] & (table.class_id[place] == out_of_fold.labels)
        at = place[still]
        predicted[at], confidence[at] = out_of_fold.predicted[still], out_of_fold.confidence[still]
        contradiction[at] = out_of_fold.contradiction[still]
        suspected[at] = out_of_fold.suspected[still]
        covered[at] = True
        alternative[at] = np.where(out_of_fold.suspected[still], out_of_fold.alternative[still], 0)
    run = None if predictions is None else predictions.run
    return ModelOpinions(
        run,
        covered,
        predicted,
        confidence,
        entropy,
        contradiction,
        suspected,
        np.where(alternative > 0, alternative, predicted),
    )
