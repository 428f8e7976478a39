"""Predictions of a model for the images of the pool: the likeliest classes of each. Loads no torch.

Every training writes them next to its model. A model on features predicts the whole pool; a network predicts a fixed
sample of it, since a pass over all images would take as long as a query.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from minimax_al.campaign.progress.runs import done_runs, run_folder

POOL = "pool.npz"
"""File of a run: the likeliest classes of each image."""

LIKELIEST = 5
"""Number of classes that are stored per image."""

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


class Likeliest(NamedTuple):
    """Likeliest classes of some images.

    Attributes:
        classes: Indices of the classes, likeliest first, shape (N, k).
        probabilities: Their probabilities, shape (N, k) float32.
        entropy: Entropy of all class probabilities as a share of the largest possible one, shape (N,), in [0, 1].
    """

    classes: Integers
    probabilities: Floats
    entropy: Floats


@dataclass(frozen=True)
class PoolPredictions:
    """Predictions of one model.

    Attributes:
        run: Id of the run that trained the model.
        last_label: Id of the last row of the label history that the run used; 0 if it is not known.
        items: Ids of the images, ascending, shape (N,).
        classes: Ids of the likeliest classes of each image, likeliest first, shape (N, k).
        probabilities: Their probabilities, shape (N, k) float32.
        entropy: Entropy of each prediction as a share of the largest possible one, shape (N,), in [0, 1].
        trained_on: Whether the model was trained on the image's label, shape (N,).
    """

    run: int
    last_label: int
    items: Integers
    classes: Integers
    probabilities: Floats
    entropy: Floats
    trained_on: NDArray[np.bool_]


def likeliest_classes(probabilities: Floats, count: int = LIKELIEST) -> Likeliest:
    """Return the likeliest classes of each image, and the entropy of its prediction.

    Args:
        probabilities: Class probabilities, shape (N, K).
        count: Number of classes to return; all K if there are fewer.

    Example:
        >>> found = likeliest_classes(np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]], dtype=np.float32), count=2)
        >>> found.classes.tolist(), np.round(found.entropy, 2).tolist() == [np.float32(0.94), 0]
        ([[1, 2], [0, 1]], True)
    """
    size = probabilities.shape[1]
    kept = min(count, size)
    # Stable on the negated values: of two equally likely classes the earlier one comes first.
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :kept]
    logarithms = np.log(np.where(probabilities > 0, probabilities, 1.0))  # 0 log 0 = 0
    entropy = -(probabilities * logarithms).sum(axis=1) / np.log(max(size, 2))
    likeliest = np.take_along_axis(probabilities, order, axis=1)
    return Likeliest(order.astype(np.int64), likeliest.astype(np.float32), np.clip(entropy, 0, 1).astype(np.float32))


def write_pool_predictions(
    folder: Path,
    items: Integers,
    found: Likeliest,
    class_ids: Integers,
    trained_on: NDArray[np.bool_],
) -> None:
    """Write predictions into a run's folder.

    Args:
        folder: Folder of the run, or the folder that is to become it.
        items: Ids of the images, shape (N,).
        found: Likeliest classes of these images.
        class_ids: Id of each class, by its index.
        trained_on: Whether the model was trained on the image's label, shape (N,).
    """
    order = np.argsort(items, kind="stable")
    with (folder / POOL).open("wb") as file:
        np.savez(
            file,
            items=items[order],
            classes=class_ids[found.classes[order]],
            probabilities=found.probabilities[order],
            entropy=found.entropy[order],
            trained_on=trained_on[order],
        )


def latest_pool_predictions(connection: Connection, campaign: Path) -> PoolPredictions | None:
    """Return the predictions of the last trained model that has any; None without one.

    Args:
        connection: Connection to the campaign's database.
        campaign: Campaign folder.
    """
    for run in reversed(done_runs(connection)):
        try:
            with (run_folder(campaign, run.id) / POOL).open("rb") as file, np.load(file) as arrays:
                return PoolPredictions(run.id, run.last_label or 0, **{name: arrays[name] for name in arrays.files})
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):  # a power cut may have left a part
            continue
    return None
