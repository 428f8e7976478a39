"""Suspected label errors: labels that out-of-fold predictions contradict (confident learning). Loads no torch.

Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels": a label is suspected
where the probability of another class reaches the average probability that images labelled as that class get.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row

from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.progress.runs import done_runs, run_folder
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


@dataclass(frozen=True)
class OutOfFoldLabels:
    """Labels as the last cross-validation saw them; all arrays have one row per label, shape (N,).

    Attributes:
        items: Ids of the images.
        labels: Ids of the labels' classes.
        predicted: Ids of the likeliest classes.
        confidence: Probabilities of these, float32.
        own: Probabilities of the labels' classes, float32.
        contradiction: Probability of the likeliest other class less that of the label's class, in [-1, 1], float32.
        suspected: Whether the label is a suspected error.
        alternative: Ids of the classes that suspected labels should rather have; 0 for other labels.
        alternative_probability: Probabilities of these, float32; 0 for other labels.
    """

    items: Integers
    labels: Integers
    predicted: Integers
    confidence: NDArray[np.float32]
    own: NDArray[np.float32]
    contradiction: NDArray[np.float32]
    suspected: NDArray[np.bool_]
    alternative: Integers
    alternative_probability: NDArray[np.float32]


def read_out_of_fold(connection: Connection, campaign: Path) -> OutOfFoldLabels | None:
    """Return the labels with the predictions of the last cross-validation; None before the first.

    Args:
        connection: Connection to the campaign's database.
        campaign: Campaign folder.

    Raises:
        CampaignError: The classes have changed since.
    """
    finished = done_runs(connection)
    arrays = next((found for run in reversed(finished) if (found := _read(campaign, run.id)) is not None), None)
    if arrays is None:
        return None
    ids = class_ids(connection)
    names = arrays.get("class_names", np.array(list(ids))).tolist()
    items, labels, probabilities = arrays["items"], arrays["labels"], arrays["probabilities"]
    if probabilities.shape[1] != len(names):
        raise CampaignError("the classes have changed since the last training: run 'mal train' first")
    id_of = np.array([ids.get(name, 0) for name in names], dtype=np.int64)  # 0: the class has another name, or has left
    rows = np.arange(len(items))
    own = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -1
    positions, likelier = suspected_errors(probabilities.astype(np.float64), labels)
    suspected = np.zeros(len(items), dtype=np.bool_)
    suspected[positions] = True
    alternative, its_probability = np.zeros(len(items), np.int64), np.zeros(len(items), np.float32)
    alternative[positions] = id_of[likelier]
    its_probability[positions] = probabilities[positions, likelier]
    best = probabilities.argmax(axis=1)
    return OutOfFoldLabels(
        items=items,
        labels=id_of[labels],
        predicted=id_of[best],
        confidence=probabilities[rows, best],
        own=own,
        contradiction=others.max(axis=1) - own,
        suspected=suspected,
        alternative=alternative,
        alternative_probability=its_probability,
    )


def review_labels(context: CampaignContext) -> Review:
    """Return the suspected errors among the labels that are still as the last model saw them.

    Raises:
        CampaignError: No model was measured by cross-validation yet.
    """
    with context.store.reading() as connection:
        found = read_out_of_fold(connection, context.folder)
        names = {number: name for name, number in class_ids(connection).items()}
        current = {row.item_id: row for row in connection.execute(current_labels())}
    if found is None:
        raise CampaignError(
            "no model was measured by cross-validation yet: run 'mal train' in a campaign that learns on features"
        )
    unchanged = np.array(
        [_is_still(current.get(item), label) for item, label in zip(found.items.tolist(), found.labels, strict=True)],
        dtype=np.bool_,
    )
    chosen = np.flatnonzero(found.suspected & unchanged)
    order = np.argsort(found.own[chosen] - found.alternative_probability[chosen], kind="stable")
    suspicions = tuple(
        Suspicion(
            item=item,
            path=current[item].path,
            label=current[item].class_name,
            predicted=names[int(found.alternative[i])],
            probability=float(found.own[i]),
            predicted_probability=float(found.alternative_probability[i]),
            author=current[item].author,
        )
        for i in chosen[order].tolist()
        if int(found.alternative[i]) in names
        for item in (int(found.items[i]),)
    )
    return Review(suspicions, int(unchanged.sum()))


def _is_still(row: "Row[tuple[object, ...]] | None", class_id: int) -> bool:
    return row is not None and row.class_id == class_id


def _read(campaign: Path, run: int) -> dict[str, NDArray[Any]] | None:
    try:
        with (run_folder(campaign, run) / OUT_OF_FOLD).open("rb") as file, np.load(file) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):  # a power cut may have left a part
        return None
    return found if found.keys() >= {"items", "labels", "probabilities"} else None
