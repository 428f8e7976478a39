"""Suspected label errors: labels that out-of-fold predictions contradict (confident learning). Loads no torch.

Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels": a label is suspected
where the probability of another class reaches the average probability that images labelled as that class get.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.progress.runs import done_runs, run_folder
from minimax_al.campaign.store.classes import class_ids
from minimax_al.campaign.store.history import current_labels
from minimax_al.durable import write_durably
from minimax_al.errors import CampaignError

OUT_OF_FOLD = "out_of_fold.npz"
"""File of a run: the prediction of each label by a model that was not trained on it."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Suspicion(NamedTuple):
    """Label that its image's prediction contradicts.

    Attributes:
        item: Id of the image.
        path: Path relative to the folder of images.
        label: Class of the label.
        predicted: Class that the model predicts instead.
        probability: Probability of the label's class, in [0, 1].
        predicted_probability: Probability of the predicted class, in [0, 1].
        author: Author of the label.
    """

    item: int
    path: str
    label: str
    predicted: str
    probability: float
    predicted_probability: float
    author: str


@dataclass(frozen=True)
class Review:
    """Suspected label errors of a campaign.

    Attributes:
        suspicions: Suspected labels, most suspicious first.
        examined: Number of labels that were predicted.
    """

    suspicions: tuple[Suspicion, ...]
    examined: int

    def write(self, out: Path) -> None:
        """Write the suspected errors as a CSV file, most suspicious first.

        Args:
            out: CSV file to write.
        """
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["path", "label", "predicted", "probability", "predicted_probability", "author"])
        rows.writerows(
            [
                one.path,
                one.label,
                one.predicted,
                f"{one.probability:.4f}",
                f"{one.predicted_probability:.4f}",
                one.author,
            ]
            for one in self.suspicions
        )
        write_durably(out, text.getvalue().encode())


def suspected_errors(probabilities: Floats, labels: Integers) -> tuple[Integers, Integers]:
    """Return the positions of suspected labels, most suspicious first, and the class of each that is likelier.

    With t_j the mean probability of class j over the labels of class j (Eq. 2 of the paper), label i is suspected of
    being class k where p_ik ≥ t_k, k is the likeliest such class, and k differs from the label. Suspicions are ordered
    by p_i,label − p_ik, smallest first.

    Args:
        probabilities: Out-of-fold class probabilities, shape (N, K).
        labels: Classes, shape (N,).

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9]])
        >>> positions, classes = suspected_errors(probabilities, np.array([0, 0, 1, 1, 0]))
        >>> positions.tolist(), classes.tolist()
        ([4], [1])
    """
    count, classes = probabilities.shape
    thresholds = np.full(classes, np.inf)  # a class without labels is never suspected
    for label in np.unique(labels):
        thresholds[label] = probabilities[labels == label, label].mean()
    eligible = np.where(probabilities >= thresholds, probabilities, -1.0)
    likeliest = eligible.argmax(axis=1)
    rows = np.arange(count)
    suspected = np.flatnonzero((eligible[rows, likeliest] >= 0) & (likeliest != labels))
    difference = probabilities[suspected, labels[suspected]] - probabilities[suspected, likeliest[suspected]]
    order = np.argsort(difference, kind="stable")
    return suspected[order], likeliest[suspected][order]


def review_labels(context: CampaignContext) -> Review:
    """Return the suspected errors among the labels that are still as the last model saw them.

    Raises:
        CampaignError: No model was measured by cross-validation yet.
    """
    with context.store.reading() as connection:
        finished = done_runs(connection)
        names = list(class_ids(connection))
        current = {row.item_id: row for row in connection.execute(current_labels())}
    arrays = next((found for run in reversed(finished) if (found := _read(context.folder, run.id)) is not None), None)
    if arrays is None:
        raise CampaignError(
            "no model was measured by cross-validation yet: run 'mal train' in a campaign that learns on features"
        )
    items, labels, probabilities = arrays
    if probabilities.shape[1] != len(names):
        raise CampaignError("the classes have changed since the last training: run 'mal train' first")
    unchanged = np.array([_is_still(current.get(int(i)), names[label]) for i, label in zip(items, labels, strict=True)])
    items, labels, probabilities = items[unchanged], labels[unchanged], probabilities[unchanged]
    positions, likelier = suspected_errors(probabilities.astype(np.float64), labels)
    suspicions = tuple(
        Suspicion(
            item=int(items[i]),
            path=current[int(items[i])].path,
            label=names[labels[i]],
            predicted=names[k],
            probability=float(probabilities[i, labels[i]]),
            predicted_probability=float(probabilities[i, k]),
            author=current[int(items[i])].author,
        )
        for i, k in zip(positions, likelier, strict=True)
    )
    return Review(suspicions, len(items))


def _is_still(row: "Row[tuple[object, ...]] | None", name: str) -> bool:
    return row is not None and row.class_name == name


def _read(campaign: Path, run: int) -> tuple[Integers, Integers, Floats] | None:
    try:
        with (run_folder(campaign, run) / OUT_OF_FOLD).open("rb") as file, np.load(file) as arrays:
            return arrays["items"], arrays["labels"], arrays["probabilities"]
    except (OSError, ValueError, KeyError):
        return None
