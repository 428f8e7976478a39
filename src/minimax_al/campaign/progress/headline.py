"""Headline score of a model, accuracy for classes and mIoU for masks, with its interval."""

import math
from collections.abc import Mapping
from statistics import NormalDist

LOW, HIGH = "miou_low", "miou_high"
"""Names of the metrics for the ends of the 95 % interval of the mIoU, known if two images were held out."""


FEWEST_MEASURED = 10
"""Fewest images for which a report gives a score: with fewer, the interval is too wide to be of use."""

CROSS_VALIDATED = "cross_validated"
"""Number of labels that were predicted by cross-validation, among a run's metrics."""

PIXEL_ACCURACY, PIXEL_P = "pixel_accuracy", "pixel_p"
"""Accuracy of thumbnails in cross-validation, and p of the test that features are better."""

RANDOM_ACCURACY, RANDOM_COUNT = "random_accuracy", "random_count"
"""Accuracy on labelled images that were drawn at random, and their number."""


def measured_on(metrics: Mapping[str, float], held_out: int) -> int:
    """Return the number of labels that a run was measured on: held-out ones, or all by cross-validation.

    Args:
        metrics: Metrics of the run.
        held_out: Held-out labels of the run.
    """
    return held_out or int(metrics.get(CROSS_VALIDATED, 0))


def read_score(metrics: Mapping[str, float]) -> float | None:
    """Return the headline score among a run's metrics; None without a measurement."""
    return metrics.get("miou", metrics.get("accuracy"))


def read_interval(metrics: Mapping[str, float], held_out: int) -> tuple[float, float] | None:
    """Return the 95 % interval of the headline score; None if it is unknown.

    For an accuracy it is Wilson's. An mIoU is not a share of images: its interval is a bootstrap at the time of the
    measurement (see `minimax_al.campaign.model.measuring`), which older versions did not compute.

    Args:
        metrics: Metrics of a run.
        held_out: Number of images that it was measured on.
    """
    if "miou" in metrics:
        return (metrics[LOW], metrics[HIGH]) if LOW in metrics and HIGH in metrics else None
    return wilson_interval(metrics["accuracy"], held_out) if "accuracy" in metrics and held_out else None


def wilson_interval(share: float, count: int, level: float = 0.95) -> tuple[float, float]:
    """Return the confidence interval of a share seen in `count` trials (Wilson 1927).

    Example:
        >>> low, high = wilson_interval(0.9, 100)
        >>> round(low, 3), round(high, 3)
        (0.826, 0.945)
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return min(max(0.0, centre - half), share), max(min(1.0, centre + half), share)
