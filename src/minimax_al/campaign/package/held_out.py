"""Predictions of the last model for the held-out images, with their current labels."""

from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from sqlalchemy import select

from minimax_al.campaign.answers.validation import held_out_groups
from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.progress.label_errors import read_out_of_fold
from minimax_al.campaign.progress.runs import PREDICTIONS, run_folder
from minimax_al.campaign.store.history import current_labels
from minimax_al.campaign.store.schema import classes
from minimax_al.errors import CampaignError


class HeldOutImage(NamedTuple):
    """Held-out image with its label and its prediction.

    Attributes:
        path: Path of the image, relative to the images' folder.
        class_name: Class of its label.
        predicted: Class that the model predicts.
        confidence: Probability of that class, in [0, 1].
    """

    path: str
    class_name: str
    predicted: str
    confidence: float


def read_cross_validated(context: CampaignContext) -> list[HeldOutImage]:
    """Return the labelled images with their predictions by cross-validation, wrong ones first, most confident first.

    Images whose label has changed since are left out.

    Args:
        context: Campaign of classes that learns on features.
    """
    with context.store.reading() as connection:
        try:
            found = read_out_of_fold(connection, context.folder)
        except CampaignError:  # the classes have changed since
            return []
        names = {number: name for name, number in class_ids(connection).items()}
        current = {row.item_id: row for row in connection.execute(current_labels())}
    if found is None:
        return []
    columns = (found.items, found.labels, found.predicted, found.confidence)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    images = [
        HeldOutImage(current[item].path, names[label], names[predicted], confidence)
        for item, label, predicted, confidence in rows
        if item in current and current[item].class_id == label
    ]
    return sorted(images, key=lambda image: (image.class_name == image.predicted, -image.confidence, image.path))


def read_held_out(context: CampaignContext, run: int) -> list[HeldOutImage]:
    """Return the held-out images of a run with their predictions, wrong ones first, the most confident first.

    Images whose label was revoked since, and predictions of classes that were removed since, are left out.

    Args:
        context: Campaign of classes.
        run: Number of the run.

    Returns:
        Images; none where the run kept no confidences, as in earlier versions, or its file is damaged.
    """
    try:
        with np.load(run_folder(context.folder, run) / PREDICTIONS) as arrays:
            items, predicted = arrays["items"].tolist(), arrays["classes"][arrays["predicted"]].tolist()
            confidences = arrays["confidence"].tolist()
    except (OSError, ValueError, KeyError, IndexError, EOFError, BadZipFile):
        return []
    answers = dict(zip(items, zip(predicted, confidences, strict=True), strict=True))
    with context.store.reading() as connection:
        names = {row.id: row.name for row in connection.execute(select(classes.c.id, classes.c.name))}
        held_out = held_out_groups(connection)
        found = [
            HeldOutImage(row.path, row.class_name, names[answers[row.item_id][0]], answers[row.item_id][1])
            for row in connection.execute(current_labels())
            if row.group_id in held_out and row.item_id in answers and answers[row.item_id][0] in names
        ]
    return sorted(found, key=lambda image: (image.class_name == image.predicted, -image.confidence, image.path))
