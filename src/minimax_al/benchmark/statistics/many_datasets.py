"""Comparison of strategies over several data sets: average ranks, tests, labels to reach a share of the best accuracy.

Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, 2006. A data set counts once, whatever its
number of seeds: its score is the mean area under the learning curve.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from minimax_al.benchmark.statistics.comparison import ALPHA, holm, signed_rank_p
from minimax_al.benchmark.statistics.gains import CURVE_RESAMPLES
from minimax_al.benchmark.statistics.statistics import (
    Floats,
    PairedCurves,
    area_under_curve,
    labels_to_reach,
    paired_curves,
    percentiles,
)
from minimax_al.errors import ResultsError
from minimax_al.report.curves import Record, metric_bounds
from minimax_al.report.intervals import Interval, mean_interval

SHARES = (0.9, 0.95)
"""Shares of the reference accuracy that the tables of needed labels show."""


@dataclass(frozen=True)
class DatasetResults:
    """Results on one data set.

    Attributes:
        name: Name of the data set in tables.
        records: Records of the headline metric, of finished cells.
        metric: Headline metric.
        full_labels: Metric of a model trained on all labels, one value per seed; empty if it was not run.
    """

    name: str
    records: Sequence[Record]
    metric: str
    full_labels: Sequence[float] = ()


@dataclass(frozen=True, eq=False)
class ManyComparison:
    """Comparison of A strategies over D data sets; entry [i, j] is about strategy i against strategy j.

    Attributes:
        strategies: Strategies that every data set has.
        curves: Paired curves by data set.
        areas: Mean area under the curve, shape (D, A).
        intervals: Its 95% intervals by data set and strategy; None with one seed.
        ranks: Ranks by area, 1 is best, ties share their mean rank, shape (D, A).
        friedman_p: p of Friedman's test that all strategies are equal; NaN below two data sets or three strategies.
        critical_difference: Nemenyi's difference of average ranks at level 0.05; NaN below two data sets.
        wins: Number of data sets on which i is better than j, a tie counts one half, shape (A, A).
        p: Holm-adjusted p of Wilcoxon's signed-rank test over data sets, shape (A, A); NaN on the diagonal.
        notes: Sentences about omitted strategies and the limits of the tests.
    """

    strategies: tuple[str, ...]
    curves: Mapping[str, PairedCurves]
    areas: Floats
    intervals: Mapping[tuple[str, str], Interval | None]
    ranks: Floats
    friedman_p: float
    critical_difference: float
    wins: Floats
    p: Floats
    notes: tuple[str, ...]

    @property
    def average_ranks(self) -> Floats:
        """Mean rank over the data sets, shape (A,)."""
        return np.asarray(self.ranks.mean(axis=0))


def compare_many(results: Sequence[DatasetResults]) -> ManyComparison:
    """Compare the strategies that all data sets share.

    Args:
        results: Results, one entry per data set.

    Raises:
        ResultsError: The data sets share fewer than two strategies, or a name occurs twice.
    """
    names = [entry.name for entry in results]
    if len(set(names)) < len(names):
        raise ResultsError(f"data sets {', '.join(names)} have one name twice: give each its own")
    strategies, notes = _common_strategies(results)
    curves = {entry.name: paired_curves(entry.records, strategies, entry.metric) for entry in results}
    per_seed = {name: area_under_curve(found.labels, found.values) for name, found in curves.items()}
    areas_DA = np.stack([per_seed[name].mean(axis=1) for name in names])
    intervals = {
        (entry.name, strategy): mean_interval(per_seed[entry.name][k], metric_bounds(entry.metric))
        for entry in results
        for k, strategy in enumerate(strategies)
    }
    ranks_DA = stats.rankdata(-areas_DA, axis=1)
    datasets, count = areas_DA.shape
    friedman_p = float(stats.friedmanchisquare(*areas_DA.T).pvalue) if datasets > 1 and count > 2 else float("nan")
    wins, p = _pairs(areas_DA)
    return ManyComparison(
        strategies=tuple(strategies),
        curves=curves,
        areas=areas_DA,
        intervals=intervals,
        ranks=ranks_DA,
        friedman_p=friedman_p,
        critical_difference=critical_difference(count, datasets) if datasets > 1 else float("nan"),
        wins=wins,
        p=p,
        notes=(*notes, *_limits(datasets, count), *(note for found in curves.values() for note in found.notes)),
    )


def critical_difference(strategies: int, datasets: int) -> float:
    """Return Nemenyi's critical difference of average ranks at level 0.05.

    Args:
        strategies: Number of strategies, 2 or more.
        datasets: Number of data sets.

    Example:
        >>> round(critical_difference(4, 14), 2)  # Demšar 2006, section 3.2.4: q = 2.569
        1.25
    """
    # The studentised range with infinite degrees of freedom, for a difference of two ranks.
    q = stats.studentized_range.ppf(1 - ALPHA, strategies, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(strategies * (strategies + 1) / (6 * datasets)))


def groups_within(average_ranks: Floats, difference: float) -> list[tuple[int, int]]:
    """Return the maximal runs of strategies, in rank order, that a critical difference does not separate.

    Args:
        average_ranks: Average ranks, shape (A,).
        difference: Critical difference.

    Returns:
        Pairs of first and last position in rank order, at least two strategies each.

    Example:
        >>> groups_within(np.array([1.0, 1.5, 3.0]), 1.0)
        [(0, 1)]
    """
    ordered = np.sort(average_ranks)
    reach = [int(np.flatnonzero(ordered - low <= difference).max()) for low in ordered]
    runs = [(first, last) for first, last in enumerate(reach) if last > first]
    return [run for k, run in enumerate(runs) if k == 0 or run[1] > runs[k - 1][1]]


@dataclass(frozen=True)
class LabelsNeeded:
    """Labels that a strategy needs on one data set for a share of the reference accuracy.

    Attributes:
        labels: Number of labels, from the mean curve; None if the curve does not reach the accuracy.
        at_most: Whether the first point of the curve is already above, so that fewer may do.
        interval: Bootstrap interval over seeds; None with one seed. An end is infinite where a resampled curve does
            not reach the accuracy.
    """

    labels: float | None
    at_most: bool
    interval: Interval | None


def reference_accuracy(entry: DatasetResults, curves: PairedCurves) -> tuple[float, bool]:
    """Return the accuracy whose share is to be reached, and whether it comes from a model trained on all labels.

    Without such a model it is the highest mean accuracy that any strategy reaches.

    Args:
        entry: Results on a data set.
        curves: Its paired curves.
    """
    if entry.full_labels:
        return float(np.mean(entry.full_labels)), True
    return float(curves.values.mean(axis=1).max()), False


def labels_needed(curves: PairedCurves, accuracy: float, generator: np.random.Generator) -> list[LabelsNeeded]:
    """Return the labels that each strategy needs for an accuracy, with paired bootstrap intervals over seeds.

    Args:
        curves: Paired curves of one data set.
        accuracy: Accuracy to reach, in the unit of the curves.
        generator: Random generator of the resamples.
    """
    seeds = len(curves.seeds)
    weights_BS = generator.multinomial(seeds, np.full(seeds, 1 / seeds), CURVE_RESAMPLES) / seeds
    found = []
    for values_SP in curves.values:
        mean_P = values_SP.mean(axis=0)
        (needed,) = labels_to_reach(curves.labels, mean_P[None], np.array([accuracy]))
        resampled = labels_to_reach(curves.labels, weights_BS @ values_SP, np.full(CURVE_RESAMPLES, accuracy))
        found.append(
            LabelsNeeded(
                labels=float(needed) if np.isfinite(needed) else None,
                at_most=bool(mean_P[0] >= accuracy),
                interval=percentiles(resampled) if seeds > 1 else None,
            )
        )
    return found


def _common_strategies(results: Sequence[DatasetResults]) -> tuple[list[str], list[str]]:
    """Return the strategies of all data sets, in the order of the first, and a note on the others."""
    present = [dict.fromkeys(record.strategy for record in entry.records) for entry in results]
    common = [name for name in present[0] if all(name in of_one for of_one in present)] if present else []
    if len(common) < 2:
        raise ResultsError(
            f"{len(results)} data sets share {len(common)} finished strategies: a comparison needs two or more"
        )
    others = sorted({name for of_one in present for name in of_one} - set(common))
    notes = [f"Omitted, because not every data set has them: {', '.join(others)}."] if others else []
    return common, notes


def _pairs(areas_DA: Floats) -> tuple[Floats, Floats]:
    """Return wins over data sets and Holm-adjusted p values, both of shape (A, A)."""
    count = areas_DA.shape[1]
    pairs = list(itertools.combinations(range(count), 2))
    above: NDArray[np.float64] = np.sign(areas_DA[:, :, None] - areas_DA[:, None, :])
    wins = ((above + 1) / 2).sum(axis=0)
    np.fill_diagonal(wins, 0)
    raw = [signed_rank_p(areas_DA[:, i] - areas_DA[:, j]) for i, j in pairs]
    p = np.full((count, count), np.nan)
    for (i, j), value in zip(pairs, holm(raw), strict=True):
        p[i, j] = p[j, i] = value
    return wins, p


def _limits(datasets: int, count: int) -> list[str]:
    """Return remarks on the power of the tests with this number of data sets."""
    pairs = count * (count - 1) // 2
    floor = min(1.0, pairs * 2.0 ** (1 - datasets))
    if floor < ALPHA:
        return []
    plural = "s" if datasets != 1 else ""
    limit = f"With {datasets} data set{plural} and {pairs} pairs the smallest adjusted p of the signed-rank test is"
    return [f"{limit} {floor:.2g}: no pair can be separated."]
