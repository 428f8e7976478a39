"""Advice whether more labels are worth it, always with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from minimax_al.report.power_law import FEWEST_POINTS, fit_power_law

FEWEST_HELD_OUT = 30
"""Fewest held-out images for advice: with fewer, one image is worth more than three points of accuracy."""


class Measurement(NamedTuple):
    """Measurement of one trained model.

    Attributes:
        labels: Number of labels that it was trained on.
        score: Score, in [0, 1]: accuracy, or mIoU for masks.
        measured_on: Number of labels that the score was measured on.
    """

    labels: int
    score: float
    measured_on: int


@dataclass(frozen=True)
class Advice:
    """Advice on the next step.

    Attributes:
        decision: Decision: "go on", "stop", or "too early" to tell.
        reason: Reason, as a sentence.
        next_labels: Number of further labels that `gain` is about.
        gain: Expected increase of the score by these labels, as a fraction; None without a fitted curve.
        low: Lower end of the 90 % interval of the gain.
        high: Upper end of that interval.
        ceiling: Score that the curve tends to.
    """

    decision: Literal["go on", "stop", "too early"]
    reason: str
    next_labels: int
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    ceiling: float | None = None


def advise(
    measurements: Sequence[Measurement],
    unlabelled: int,
    next_labels: int,
    worthwhile_gain: float,
    seed: int,
    *,
    metric: str = "accuracy",
) -> Advice:
    """Return the advice that follows from the models trained so far.

    Args:
        measurements: Measurements, one per trained model, in the order of training.
        unlabelled: Number of images that can still be labelled.
        next_labels: Number of labels of the next round.
        worthwhile_gain: Smallest increase of the score that is worth a round.
        seed: Seed of the bootstrap.
        metric: Printed name of the score.
    """
    if unlabelled == 0:
        return Advice("stop", "Every image is labelled.", 0)
    more = min(next_labels, unlabelled)
    latest = {point.labels: point for point in measurements}
    points = [latest[labels] for labels in sorted(latest)]
    if len(points) < FEWEST_POINTS:
        return Advice(
            "too early",
            f"A learning curve needs {FEWEST_POINTS} models trained on different numbers of labels; "
            f"there {'is' if len(points) == 1 else 'are'} {len(points)}.",
            more,
        )
    if points[-1].measured_on < FEWEST_HELD_OUT:
        return Advice(
            "too early",
            f"The score was measured on {points[-1].measured_on} labels; below {FEWEST_HELD_OUT}, "
            f"{metric} is too uncertain to advise on.",
            more,
        )
    return _from_curve(points, more, worthwhile_gain, seed, metric)


def _from_curve(points: Sequence[Measurement], more: int, worthwhile: float, seed: int, metric: str) -> Advice:
    curve = fit_power_law(
        [point.labels for point in points],
        [point.score for point in points],
        [point.measured_on for point in points],
        seed=seed,
    )
    gain, low, high = curve.gain(points[-1].labels, more)
    # No score exceeds 1. The upper end stays: a perfect score of few images may be luck.
    gain = min(gain, max(1 - points[-1].score, 0.0))
    low = min(low, gain)
    expected = (
        f"The next {more:,} labels are expected to add {100 * gain:.1f} points of {metric} "
        f"(90 % interval {100 * low:.1f} to {100 * high:.1f})"
    )
    limit = f"{100 * worthwhile:.1f} points that are set as worthwhile"
    numbers = {"gain": gain, "low": low, "high": high, "ceiling": curve.a}
    if high < worthwhile:
        return Advice("stop", f"{expected}: even the upper end is below the {limit}.", more, **numbers)
    if gain < worthwhile:
        return Advice("go on", f"{expected}: likely below the {limit}, but that is not certain yet.", more, **numbers)
    return Advice("go on", f"{expected}, at least the {limit}.", more, **numbers)
