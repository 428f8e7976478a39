"""Predictions of a campaign's models, in Label Studio's form."""

from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from sqlalchemy import select

from minimax_al.campaign.campaign import Campaign
from minimax_al.campaign.progress.runs import done_runs, run_folder
from minimax_al.campaign.rounds.rounds import Pick, find_pick
from minimax_al.campaign.store.schema import items, rounds
from minimax_al.errors import DataError
from minimax_al.label_formats.label_studio import results_of_mask
from minimax_al.label_studio.configuration import Configuration
from minimax_al.label_studio.images import TaskImage, active_images, image_of_task
from minimax_al.label_studio.messages import TaskData

if TYPE_CHECKING:
    from minimax_al.deployment.trained import Trained

Prediction = dict[str, Any]
"""Prediction: `model_version`, an optional `score`, and the regions `result`."""


UNTRAINED = "untrained"
"""Name of the model before the first training."""


class Suggestions:
    """Predictions of a campaign's last model for any of its images; safe to share between threads.

    Predictions for picked images are read from the campaign. Classes of other images are computed, which loads torch;
    masks of other images are not.

    Args:
        campaign: Open campaign.
    """

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self._lock = Lock()
        self._loaded: tuple[int, Trained] | None = None

    @property
    def version(self) -> str:
        """Name of the last model."""
        run_id = self._last_run()
        return UNTRAINED if run_id is None else model_version(run_id)

    def of_tasks(self, tasks: Sequence[TaskData], configuration: Configuration) -> list[Prediction | None]:
        """Return the last model's prediction for each task, or None for a task without one.

        Raises:
            UnreadableImageError: An image cannot be read any more.
        """
        run_id = self._last_run()
        if run_id is None:
            return [None] * len(tasks)
        images = [self._image(task) for task in tasks]
        found = [None if image is None else self._kept(image, run_id, configuration) for image in images]
        if self.campaign.settings.task == "classification":
            missing = {image.path: image for image, one in zip(images, found, strict=True) if image and not one}
            new = self._predict(run_id, list(missing), configuration)
            found = [one or (new.get(image.path) if image else None) for image, one in zip(images, found, strict=True)]
        return found

    def _last_run(self) -> int | None:
        with self.campaign.store.reading() as connection:
            finished = done_runs(connection)
        return finished[-1].id if finished else None

    def _image(self, task: TaskData) -> TaskImage | None:
        with self.campaign.store.reading() as connection:
            try:
                where = f"task {task.id} of Label Studio"
                image = image_of_task(connection, self.campaign.images, task.data, where)
            except DataError:
                return None
            return active_images(connection, [image.item]).get(image.item)

    def _kept(self, image: TaskImage, run_id: int, configuration: Configuration) -> Prediction | None:
        with self.campaign.store.reading() as connection:
            try:
                pick = find_pick(connection, image.item)
            except DataError:
                return None
        version = version_of_round(self.campaign, pick.round)
        return (
            prediction_of_pick(self.campaign, pick, version, configuration)
            if version == model_version(run_id)
            else None
        )

    def _predict(self, run_id: int, paths: Sequence[str], configuration: Configuration) -> dict[str, Prediction]:
        if not paths:
            return {}
        from minimax_al.deployment.model_file import load_trained  # noqa: PLC0415
        from minimax_al.deployment.prediction import images_for, predict  # noqa: PLC0415 - loads torch

        with self._lock:
            if self._loaded is None or self._loaded[0] != run_id:
                self._loaded = run_id, load_trained(run_folder(self.campaign.folder, run_id))
            trained = self._loaded[1]
            images = images_for(trained, self.campaign.images, paths)
            predictions = list(predict(trained, images))
        return {
            one.path: class_prediction(str(one.class_name), one.confidence, model_version(run_id), configuration)
            for one in predictions
        }


def model_version(run_id: int) -> str:
    """Return the name of a run's model."""
    return f"run-{run_id:04d}"


def version_of_round(campaign: Campaign, number: int) -> str | None:
    """Return the name of the model that chose a round, or None if no model did."""
    with campaign.store.reading() as connection:
        run_id = connection.execute(select(rounds.c.run_id).where(rounds.c.number == number)).scalar()
    return None if run_id is None else model_version(run_id)


def prediction_of_pick(
    campaign: Campaign, pick: Pick, version: str | None, configuration: Configuration
) -> Prediction | None:
    """Return the prediction of the model that chose an image, or None if the model made none.

    Args:
        campaign: Campaign of the pick.
        pick: Pick of the image.
        version: Name of the model.
        configuration: Configuration of the project.
    """
    if version is None:
        return None
    if campaign.settings.task == "classification":
        if pick.suggestion is None:
            return None
        return class_prediction(pick.suggestion, pick.confidence, version, configuration)
    regions = list(_regions(campaign, pick.item, configuration))
    return _prediction(regions, pick.confidence, version) if regions else None


def class_prediction(
    class_name: str, confidence: float | None, version: str, configuration: Configuration
) -> Prediction:
    """Return the prediction of a class; its score is the confidence, in [0, 1]."""
    return _prediction([_named(_choice(class_name), configuration, "Choices")], confidence, version)


def _prediction(result: list[dict[str, Any]], score: float | None, version: str) -> Prediction:
    found: Prediction = {"model_version": version, "result": result}
    return found if score is None else {**found, "score": score}


def _choice(class_name: str) -> dict[str, Any]:
    return {"id": "class", "type": "choices", "value": {"choices": [class_name]}}


def _regions(campaign: Campaign, item: int, configuration: Configuration) -> Iterator[dict[str, Any]]:
    """Yield the predicted mask, resized to the image, as brush regions."""
    view = campaign.view(item, "prediction")
    if view is None or "BrushLabels" not in configuration.controls:
        return
    with campaign.store.reading() as connection:
        size = connection.execute(select(items.c.width, items.c.height).where(items.c.id == item)).one()
    with Image.open(view) as image:
        mask = np.array(image.resize((size.width, size.height), Image.Resampling.NEAREST), dtype=np.uint8)
    for region in results_of_mask(mask, campaign.classes):
        yield _named(region, configuration, "BrushLabels")


def _named(region: Mapping[str, Any], configuration: Configuration, tag: str) -> dict[str, Any]:
    return {**region, "from_name": configuration.controls[tag], "to_name": configuration.image}
