"""Advice on features: whether they suit the images, and when other recipes are worth a comparison."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Protocol

from minimax_al.campaign.progress.headline import PIXEL_ACCURACY, PIXEL_P

SIGNIFICANT = 0.05
"""Features are better than pixels where the chance of seeing so much is below this."""

ENOUGH_LABELS = 100
"""Labels from which recipes are worth a comparison."""


class FinishedRun(Protocol):
    """Part of a finished run that the advice reads: the number of labels, and metrics by name."""

    @property
    def labels(self) -> int:
        """Number of labels that the model was trained on."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """Metrics by name."""


def features_are_poor(run: FinishedRun) -> bool | None:
    """Return whether features predicted a run's labels no better than pixels; None if they were not compared."""
    return None if PIXEL_P not in run.metrics else run.metrics[PIXEL_P] >= SIGNIFICANT


def advise_on_features(finished: Sequence[FinishedRun], folder: Path) -> list[str]:
    """Return sentences on the features: a warning where they look poor, and a comparison proposed once.

    Args:
        finished: Finished runs of a campaign that learns on features, oldest first.
        folder: Campaign folder, for the command.
    """
    compared = [run for run in finished if features_are_poor(run) is not None]
    command = f"'mal compare {quote(str(folder))}'"
    if compared and features_are_poor(compared[-1]):
        labels, metrics = compared[-1].labels, compared[-1].metrics
        shares = f"{100 * metrics['accuracy']:.0f} % of the labels, thumbnails {100 * metrics[PIXEL_ACCURACY]:.0f} %"
        poor = f"The features look poor for these images: with {labels:,} labels they predict {shares}."
        return [f"{poor} {command} also trains networks on the images themselves, and recommends a recipe."]
    enough = {run.labels for run in finished if run.labels >= ENOUGH_LABELS}
    if len(enough) == 1:  # once: not after the next training, with further labels
        trains = "trains features, fine-tuning and a network from scratch on the same labels, and recommends one"
        return [f"There are now enough labels to compare recipes once: {command} {trains}."]
    return []
