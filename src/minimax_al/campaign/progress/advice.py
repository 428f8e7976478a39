"""Whether more labels are worth their while, always with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from minimax_al.campaign.progress.power_law import FEWEST_POINTS, fit_power_law

FEWEST_HELD_OUT = 30
"""With fewer held-out images one image is worth more than three points of accuracy."""


class Measurement(NamedTuple):
    """One trained model.

    Attributes:
        labels: trained on.
        score: on the held-out images, a fraction: the accuracy, or for masks the mIoU.
        held_out: how many these were.
    """

    labels: int
    score: float
    held_out: int


@dataclass(frozen=True)
class Advice:
    """What to do next.

    Attributes:
        decision: "go on", "stop", or "too early" to tell.
        reason: why, in a sentence.
        next_labels: how many further labels `gain` is about.
        gain: what these are expected to add to the score, as a fraction; None where nothing could be fitted.
        low: lower end of the 90 % interval of the gain.
        high: upper end.
        ceiling: the score that the curve tends to.
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
    """Advice from the models trained so far.

    Args:
        measurements: one a trained model, in the order of training.
        unlabelled: images that could still be labelled.
        next_labels: how many labels the next round would have.
        worthwhile_gain: a smaller gain in the score is not worth a round.
        seed: of the bootstrap.
        metric: what people call the score.
    """
    if unlabelled == 0:
        return Advice("stop", "Every image has its answer: there is nothing left to ask.", 0)
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
    if points[-1].held_out < FEWEST_HELD_OUT:
        return Advice(
            "too early",
            f"Only {points[-1].held_out} labelled images are held out; below {FEWEST_HELD_OUT}, "
            f"{metric} is too uncertain to advise on.",
            more,
        )
    return _from_curve(points, more, worthwhile_gain, seed, metric)


def _from_curve(points: Sequence[Measurement], more: int, worthwhile: float, seed: int, metric: str) -> Advice:
    curve = fit_power_law(
        [point.labels for point in points],
        [point.score for point in points],
        [point.held_out for point in points],
        seed=seed,
    )
    gain, low, high = curve.gain(points[-1].labels, more)
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
