"""Earlier models on the images that are held out now; loads torch.

With every round more images are held out, and those that a strategy asked for are harder than those before. What
models measured when each was trained is therefore no learning curve: it stays level while all of them get better. So
every training measures the models before it again, on the same images as its own. None was ever trained on these.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from minimax_al.campaign.model.measuring import measure
from minimax_al.campaign.progress.runs import run_folder
from minimax_al.errors import CheckpointError
from minimax_al.loop import ActiveLearner
from minimax_al.training import Models
from minimax_al.training.trained import Trained, load_trained


def measure_earlier(
    learner: ActiveLearner, now: Trained, folder: Path, finished: Iterable[Row[Any]]
) -> dict[int, dict[str, float]]:
    """Measures the models of earlier runs on the learner's test images.

    Args:
        learner: whose data set has the images.
        now: the model that was just trained; those that see images in another way are left out, as are those that
            were trained on as many labels as it.
        folder: of the campaign.
        finished: earlier runs, oldest first; of several on as many labels the last is measured.

    Returns:
        The metrics by run; without runs whose model is not kept any more.
    """
    latest = {run.labels: run for run in finished if run.labels != now.facts["labels"]}
    again = {}
    for run in latest.values():
        try:
            earlier = load_trained(run_folder(folder, run.id))
        except CheckpointError:  # removed by hand, say
            continue
        if _sight(earlier) == _sight(now) and _has_classes_of(earlier, now):
            model = learner.runtime.place(earlier.model).eval()
            again[run.id] = measure(learner.round, Models(model), learner.seed).metrics
    return again


def _has_classes_of(earlier: Trained, now: Trained) -> bool:
    """Return whether the outputs of both models stand for the same classes: some may be new or renamed since."""
    names, current = list(earlier.class_names), list(now.class_names)
    in_place = all(name not in current or current.index(name) == place for place, name in enumerate(names))
    return in_place and len(names) <= len(current)


def _sight(trained: Trained) -> tuple[object, ...]:
    """All that decides what a model sees of an image."""
    size = trained.stored_size, trained.recipe.augmentation.crop, trained.recipe.augmentation.input_size
    return trained.task, trained.fit, size, trained.mean, trained.std
