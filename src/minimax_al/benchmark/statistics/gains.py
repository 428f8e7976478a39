"""Gains of one strategy on another: labels at equal accuracy, and accuracy at equal labels.

Seeds are paired, so the part of a seed's luck that both strategies share cancels out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from minimax_al.benchmark.statistics.statistics import (
    Floats,
    area_under_curve,
    labels_to_reach,
    paired_curves,
    percentiles,
)
from minimax_al.report.curves import Record
from minimax_al.report.intervals import Interval, mean_interval

MAL, CONTROL, BASELINE = "mal", "random+mal", "random"
"""The strategy whose gain is split; random picks under its training; random picks under supervised training."""
EQUAL_WORK = "random-equal-work"
"""Random picks under Algorithm 1's steps with λ = 0: the part of the training's gain that is only more steps."""
CURVE_RESAMPLES = 2000
"""Number of resamples in a bootstrap of whole curves."""


@dataclass(frozen=True)
class SavedPoint:
    """Labels saved at one accuracy: the mean accuracy of the reference at one of its rounds.

    Attributes:
        accuracy: Accuracy, in the unit of the records.
        reference_labels: Number of labels that the reference needs for it.
        labels: Number of labels that the strategy needs for it; None if it does not reach it.
        saved: Difference of the two, positive if the strategy needs fewer; None if it does not reach the accuracy.
        at_least: Whether the strategy is above the accuracy from its first round on, so that it may save more.
        interval: Bootstrap interval of `saved`, paired over seeds; None with one seed. An end is infinite where a
            resampled strategy does not reach the accuracy, or is above it from its first round on.
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
    """Return the labels saved against a reference at each accuracy that the reference reaches.

    Both numbers are read from the monotone envelope of the mean curve. Both strategies are resampled by the same seeds.

    Args:
        records: Records of both strategies on one data set.
        strategy: Strategy name.
        reference: Name of the strategy to compare with.
        generator: Random generator of the resamples.
        metric: Metric name; more must be better.

    Returns:
        One point for each round in which the reference's best accuracy so far rises.

    Raises:
        ResultsError: See `paired_curves`.
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
    """Return the labels of strategy and reference for the reference's best accuracy up to point p, and the saving."""
    accuracy_B = theirs_BP[:, : p + 1].max(axis=1)
    ours_B = labels_to_reach(labels_P, ours_BP, accuracy_B)
    theirs_B = labels_to_reach(labels_P, theirs_BP, accuracy_B)
    return ours_B, theirs_B, np.where(ours_BP[:, 0] > accuracy_B, np.inf, theirs_B - ours_B)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and its 95% interval, which is None with one seed."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class GainPoint:
    """A gain and its parts, which add up to it: work and game make up training.

    Attributes:
        labels: Number of labels; None for the area under the curve.
        total: MAL minus the baseline.
        training: Control minus baseline: the gain of training on the unlabelled pool.
        selection: MAL minus the control: the gain of the choice of labels.
        work: Equal work minus baseline: the gain of more steps alone; None if equal work was not run.
        game: Control minus equal work: the gain of the minimax game at equal steps; None if equal work was not run.
    """

    labels: int | None
    total: Estimate
    training: Estimate
    selection: Estimate
    work: Estimate | None = None
    game: Estimate | None = None


@dataclass(frozen=True)
class GainSplit:
    """MAL's gain, split into its parts.

    Attributes:
        seeds: Common seeds.
        points: One point per number of labels.
        area: Gain in area under the curve; None with one number of labels.
        notes: Sentences about omitted seeds and numbers of labels.
    """

    seeds: tuple[int, ...]
    points: tuple[GainPoint, ...]
    area: GainPoint | None
    notes: tuple[str, ...]


def gain_split(records: Iterable[Record], *, metric: str = "accuracy") -> GainSplit:
    """Split MAL's gain over random picks into the parts of its training and of its selection.

    Algorithm 3 starts MAL's task model from the encoder that Algorithm 1 trained, while a baseline's starts from
    scratch, so the plain gap mixes two effects. Random picks under MAL's training separate them. Where random picks
    under the same steps with λ = 0 were run too, the training's part is split once more, into more work and the game.

    Args:
        records: Records of `MAL`, `CONTROL` and `BASELINE`, maybe of `EQUAL_WORK`, on one data set.
        metric: Metric name.

    Returns:
        The gain and its parts at each number of labels and for the area under the curve, with paired t intervals.

    Raises:
        ResultsError: See `paired_curves`.
    """
    records = list(records)
    has_work = any(record.strategy == EQUAL_WORK and record.metric == metric for record in records)
    names = (MAL, CONTROL, BASELINE, *((EQUAL_WORK,) if has_work else ()))
    curves = paired_curves(records, names, metric)

    def split(values_AS: Floats, labels: int | None) -> GainPoint:
        mal_S, control_S, baseline_S = values_AS[:3]
        point = (_estimate(mal_S - baseline_S), _estimate(control_S - baseline_S), _estimate(mal_S - control_S))
        if not has_work:
            return GainPoint(labels, *point)
        return GainPoint(labels, *point, _estimate(values_AS[3] - baseline_S), _estimate(control_S - values_AS[3]))

    points = tuple(split(curves.values[:, :, p], int(n)) for p, n in enumerate(curves.labels))
    area = split(area_under_curve(curves.labels, curves.values), None) if len(points) > 1 else None
    return GainSplit(curves.seeds, points, area, curves.notes)


def _estimate(values_S: Floats) -> Estimate:
    return Estimate(float(values_S.mean()), mean_interval(values_S, (-1.0, 1.0)))
