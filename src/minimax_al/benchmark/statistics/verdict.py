"""Verdict of a comparison: the best strategy, with its certainty, in a few sentences."""

from collections.abc import Sequence

import numpy as np

from minimax_al.benchmark.statistics.comparison import Comparison
from minimax_al.benchmark.statistics.statistics import area_under_curve, paired_curves
from minimax_al.report.curves import Record, metric_bounds, metric_label, shown_scale
from minimax_al.report.intervals import MIN_SEEDS, mean_interval


def verdict(records: Sequence[Record], comparison: Comparison) -> list[str]:
    """Return the best strategy by area under the learning curve, and the strategies that it is separated from.

    Args:
        records: Records of the compared strategies on one data set.
        comparison: Result of `paired_comparison` on these records; more must be better.
    """
    names = list(comparison.strategies)
    curves = paired_curves(records, names, comparison.metric)
    areas = area_under_curve(curves.labels, curves.values)
    best = int(np.argmax(areas.mean(axis=1)))
    scale, what = shown_scale(comparison.metric), metric_label(comparison.metric).split(",")[0]
    interval = mean_interval(areas[best], metric_bounds(comparison.metric))
    spread = f", 95% interval {scale * interval.low:.1f} to {scale * interval.high:.1f}" if interval else ""
    count = len(curves.seeds)
    seeds = f"{count} seed{'s' * (count != 1)}"
    reached = f"{scale * areas[best].mean():.1f}% ({seeds}{spread})"
    sentences = [f"Highest mean {what} over the learning curve: {names[best]}, {reached}."]
    if count < MIN_SEEDS:
        return [*sentences, f"{seeds.capitalize()} cannot separate strategies from chance: run {MIN_SEEDS} or more."]
    return [*sentences, *_separated(comparison, names, best)]


def _separated(comparison: Comparison, names: Sequence[str], best: int) -> list[str]:
    others = [k for k in range(len(names)) if k != best]
    worse = [k for k in others if comparison.outcome[best, k] > 0]
    tied = [k for k in others if comparison.outcome[best, k] == 0]
    sentences = []
    if worse:
        largest = max(comparison.p[best, k] for k in worse)
        beaten = _list([names[k] for k in worse])
        sentences.append(f"It is better than {beaten} beyond chance (adjusted p at most {largest:.2g}).")
    if tied:
        sentences.append(f"The seeds do not separate it from {_gaps(comparison, names, best, tied)}.")
    return sentences


def _gaps(comparison: Comparison, names: Sequence[str], best: int, tied: Sequence[int]) -> str:
    """Return names with their distance to the best strategy, the nearest first."""
    scale = shown_scale(comparison.metric)
    ordered = sorted(tied, key=lambda k: comparison.difference[best, k])
    return _list([f"{names[k]} ({scale * comparison.difference[best, k]:.1f} points behind)" for k in ordered])


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
