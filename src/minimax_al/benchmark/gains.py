"""What a strategy gains on another: labels at equal accuracy, accuracy at equal labels.

Seeds are paired and resampled for both strategies at once, so what a seed gives to both cancels out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from minimax_al.benchmark.statistics import (
    Floats,
    Interval,
    area_under_curve,
    bootstrap_interval,
    labels_to_reach,
    paired_curves,
    percentiles,
)
from minimax_al.report.curves import Record

MAL, CONTROL, BASELINE = "mal", "random+mal", "random"
"""The strategy whose gain is split; random picks under its training; random picks under plain training."""
CURVE_RESAMPLES = 2000
"""Of a bootstrap of whole curves."""


@dataclass(frozen=True)
class SavedPoint:
    """Labels saved at one accuracy: the mean accuracy of the reference at one of its rounds.

    Attributes:
        accuracy: the accuracy, in the unit of the records.
        reference_labels: labels that the reference needs for it.
        labels: labels that the strategy needs for it; None where it does not get there.
        saved: the difference, positive where the strategy needs fewer; None likewise.
        at_least: the strategy is above the accuracy from its first round on, so it may save more.
        interval: of `saved`, paired over seeds; None with one seed. An end is infinite where the resampled
            strategy does not get there (below) or is above from its first round on (above).
    """

    accuracy: float
    reference_labels: float
    labels: float | None
    saved: float | None
    at_least: bool
    interval: Interval | None


@dataclass(frozen=True)
class LabelsSaved:
    """Labels that a strategy saves against a reference at equal accuracy."""

    strategy: str
    reference: str
    seeds: tuple[int, ...]
    points: tuple[SavedPoint, ...]
    notes: tuple[str, ...]


def labels_saved(
    records: Iterable[Record],
    strategy: str,
    reference: str = "random",
    *,
    generator: np.random.Generator,
    metric: str = "accuracy",
) -> LabelsSaved:
    """How many labels a strategy saves against a reference at each accuracy that the reference reaches.

    Both are read off the monotone envelope of the mean curve. Seeds are resampled for both at once.

    Args:
        records: records of both strategies, on one data set.
        strategy: the strategy.
        reference: what it is measured against.
        generator: the source of the resamples.
        metric: which metric; more must be better.

    Returns:
        One point for each round in which the reference's best accuracy so far rises.

    Raises:
        ResultsError: as `paired_curves`.
    """
    pair = paired_curves(records, (strategy, reference), metric)
    ours_SP, theirs_SP = pair.values
    best_P = np.maximum.accumulate(theirs_SP.mean(axis=0))
    rises = [p for p in range(len(best_P)) if p == 0 or best_P[p] > best_P[p - 1]]
    seeds = len(pair.seeds)
    resampled = None
    if seeds > 1:
        weights_BS = generator.multinomial(seeds, np.full(seeds, 1 / seeds), CURVE_RESAMPLES) / seeds
        resampled = weights_BS @ ours_SP, weights_BS @ theirs_SP
    means = ours_SP.mean(axis=0, keepdims=True), theirs_SP.mean(axis=0, keepdims=True)
    points = []
    for p in rises:
        ours, theirs, saved = _saved_at(pair.labels, *means, p)
        reached = bool(np.isfinite(ours[0]))
        interval = percentiles(_saved_at(pair.labels, *resampled, p)[2]) if resampled else None
        points.append(
            SavedPoint(
                accuracy=float(best_P[p]),
                reference_labels=float(theirs[0]),
                labels=float(ours[0]) if reached else None,
                saved=float(theirs[0] - ours[0]) if reached else None,
                at_least=bool(saved[0] == np.inf),
                interval=interval,
            )
        )
    return LabelsSaved(strategy, reference, pair.seeds, tuple(points), pair.notes)


def _saved_at(labels_P: Floats, ours_BP: Floats, theirs_BP: Floats, p: int) -> tuple[Floats, Floats, Floats]:
    """Labels that we and they need for their best accuracy up to point p, and the saving, maybe infinite."""
    accuracy_B = theirs_BP[:, : p + 1].max(axis=1)
    ours_B = labels_to_reach(labels_P, ours_BP, accuracy_B)
    theirs_B = labels_to_reach(labels_P, theirs_BP, accuracy_B)
    return ours_B, theirs_B, np.where(ours_BP[:, 0] > accuracy_B, np.inf, theirs_B - ours_B)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and its bootstrap interval; None with one seed."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class GainPoint:
    """A gain and its two parts, which add up to it.

    Attributes:
        labels: number of labels; None for the area under the curve.
        total: MAL minus the baseline.
        training: the control minus the baseline: what training on the unlabelled pool gives.
        selection: MAL minus the control: what the choice of labels gives.
    """

    labels: int | None
    total: Estimate
    training: Estimate
    selection: Estimate


@dataclass(frozen=True)
class GainSplit:
    """Where MAL's gain comes from.

    Attributes:
        seeds: the common seeds.
        points: one for each number of labels.
        area: of the area under the curve; None with one number of labels.
        notes: what was left out.
    """

    seeds: tuple[int, ...]
    points: tuple[GainPoint, ...]
    area: GainPoint | None
    notes: tuple[str, ...]


def gain_split(records: Iterable[Record], *, generator: np.random.Generator, metric: str = "accuracy") -> GainSplit:
    """Splits MAL's gain over random picks into what its training gives and what its choice gives.

    Algorithm 3 starts MAL's task model from the encoder that Algorithm 1 trained, while a baseline's starts
    from scratch, so the plain gap mixes two effects. The control, random picks under MAL's training,
    separates them.

    Args:
        records: records of `MAL`, `CONTROL` and `BASELINE`, on one data set.
        generator: the source of the resamples.
        metric: which metric.

    Returns:
        The gain and its parts at each number of labels, and for the area under the curve; intervals are paired
        over seeds.

    Raises:
        ResultsError: as `paired_curves`.
    """
    curves = paired_curves(records, (MAL, CONTROL, BASELINE), metric)

    def split(values_AS: Floats, labels: int | None) -> GainPoint:
        parts = (values_AS[0] - values_AS[2], values_AS[1] - values_AS[2], values_AS[0] - values_AS[1])
        return GainPoint(labels, *(_estimate(part_S, generator) for part_S in parts))

    points = tuple(split(curves.values[:, :, p], int(n)) for p, n in enumerate(curves.labels))
    area = split(area_under_curve(curves.labels, curves.values), None) if len(points) > 1 else None
    return GainSplit(curves.seeds, points, area, curves.notes)


def _estimate(values_S: Floats, generator: np.random.Generator) -> Estimate:
    return Estimate(float(values_S.mean()), bootstrap_interval(values_S, generator))
