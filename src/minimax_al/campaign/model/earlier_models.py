"""Earlier models on the images that are held out now; loads torch.

Every round holds out more images, and those that a strategy chose can be harder than those before. Scores from the time
of each training are therefore not a learning curve: they stay level while the models improve. So every training
measures the earlier models again, on the same images as its own. No model was ever trained on these.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from minimax_al.campaign.model.measuring import measure
from minimax_al.campaign.progress.runs import run_folder
from minimax_al.deployment.model_file import load_trained
from minimax_al.deployment.trained import Trained
from minimax_al.errors import CheckpointError
from minimax_al.loop import ActiveLearner
from minimax_al.training import Models


def measure_earlier(
    learner: ActiveLearner, trained: Trained, folder: Path, finished: Iterable[Row[Any]]
) -> dict[int, dict[str, float]]:
    """Measure the models of earlier runs on the learner's test images.

    Args:
        learner: Learner whose data set has the images.
        trained: Model that was just trained; models with other preprocessing, or the same number of labels, are left
            out.
        folder: Campaign folder.
        finished: Earlier runs, oldest first; of several with the same number of labels, the last is measured.

    Returns:
        Metrics by run, without runs whose model is not kept any more.
    """
    latest = {run.labels: run for run in finished if run.labels != trained.facts["labels"]}
    again = {}
    for run in latest.values():
        try:
            earlier = load_trained(run_folder(folder, run.id))
        except CheckpointError:  # removed by hand, for example
            continue
        if _sight(earlier) == _sight(trained) and _has_classes_of(earlier, trained):
            model = learner.runtime.place(earlier.model).eval()
            again[run.id] = measure(learner.round, Models(model), learner.seed).metrics
    return again


def _has_classes_of(earlier: Trained, trained: Trained) -> bool:
    """Return whether each output of the earlier model has the same class now, apart from new and renamed classes."""
    names, current = list(earlier.class_names), list(trained.class_names)
    in_place = all(name not in current or current.index(name) == place for place, name in enumerate(names))
    return in_place and len(names) <= len(current)


def _sight(trained: Trained) -> tuple[object, ...]:
    """Return everything that decides how a model sees an image."""
    size = trained.stored_size, trained.recipe.augmentation.crop, trained.recipe.augmentation.input_size
    return trained.task, trained.fit, size, trained.mean, trained.std, trained.source, trained.is_finetuned
