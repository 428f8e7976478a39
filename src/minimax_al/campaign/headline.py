"""The number by which a model is judged: of classes the accuracy, of masks the mIoU; and how sure it is."""

from collections.abc import Mapping

from minimax_al.campaign.power_law import wilson_interval
from minimax_al.campaign.settings import Task

HEADLINES: dict[Task, str] = {"classification": "accuracy", "segmentation": "miou"}
"""The metric that a task is judged by."""

NAMES = {"accuracy": "accuracy", "miou": "mIoU"}
"""What people call these metrics."""

LOW, HIGH = "miou_low", "miou_high"
"""Metrics that are the ends of the 95 % interval of the mIoU, kept beside it where enough pictures were held out."""


def read_score(metrics: Mapping[str, float]) -> float | None:
    """The headline among a run's metrics; None where nothing was measured."""
    return metrics.get("miou", metrics.get("accuracy"))


def read_interval(metrics: Mapping[str, float], held_out: int) -> tuple[float, float] | None:
    """The 95 % interval of the headline; None where it is not known.

    Of an accuracy that is Wilson's, over pictures. An mIoU is no share of pictures: its interval was drawn when it was
    measured (see `minimax_al.campaign.measuring`), and older versions drew none.

    Args:
        metrics: of a run.
        held_out: pictures that it was measured on.
    """
    if "miou" in metrics:
        return (metrics[LOW], metrics[HIGH]) if LOW in metrics and HIGH in metrics else None
    return wilson_interval(metrics["accuracy"], held_out) if "accuracy" in metrics and held_out else None
