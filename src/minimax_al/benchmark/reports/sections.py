"""Sections of a benchmark's report with its statistics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from minimax_al.benchmark.statistics.comparison import ALPHA, Comparison
from minimax_al.benchmark.statistics.gains import (
    BASELINE,
    CONTROL,
    EQUAL_WORK,
    MAL,
    Estimate,
    GainPoint,
    GainSplit,
    LabelsSaved,
    SavedPoint,
)
from minimax_al.benchmark.statistics.statistics import HeadMiddleTail, area_under_curve
from minimax_al.report.blocks import Block, Section, Table, TableCell, Text
from minimax_al.report.curves import Curve, metric_bounds, metric_label, shown_scale
from minimax_al.report.intervals import MIN_SEEDS, Interval, mean_interval

MIN_RESAMPLED_SEEDS = 5
"""Smallest number of seeds whose bootstrap interval colours a cell: with fewer it excludes zero too easily."""


def labels_saved_section(results: Sequence[LabelsSaved]) -> Section:
    """Return labels saved against the reference, and labels needed, at each accuracy that it reaches.

    Args:
        results: One entry per strategy, all against one reference.
    """
    reference = results[0].reference
    columns: dict[float, list[float]] = {}
    for result in results:
        for point in result.points:
            columns.setdefault(point.reference_labels, []).append(point.accuracy)
    heads = [TableCell(f"{n:,.0f}", f"{100 * np.mean(accuracies):.1f}%") for n, accuracies in columns.items()]
    saved: list[list[str | TableCell]] = []
    needed: list[list[str | TableCell]] = []
    for result in results:
        points = {point.reference_labels: point for point in result.points}
        enough = len(result.seeds) >= MIN_RESAMPLED_SEEDS
        saved.append([result.strategy, *(_saved(points.get(n), coloured=enough) for n in columns)])
        needed.append([result.strategy, *(_needed(points.get(n)) for n in columns)])
    caption = (
        f"Number of labels that a strategy needs less than {reference} for the same accuracy: the mean accuracy of"
        f" {reference} at each number of labels. Below: 95% interval, paired bootstrap over seeds. Coloured where it"
        f" excludes zero and there are {MIN_RESAMPLED_SEEDS} seeds or more."
    )
    remarks = [f"{r.strategy}: {note}" for r in results for note in r.notes]
    if any(len(result.seeds) == 1 for result in results):
        remarks.append("One seed gives no interval.")
    tables = [
        Table([f"as {reference} with", *heads], saved, caption),
        Table([f"as {reference} with", *heads], needed, "The number of labels needed for that accuracy."),
    ]
    return Section(f"Labels saved against {reference}", [*tables, Text(remarks, quiet=True)])


def _saved(point: SavedPoint | None, *, coloured: bool) -> TableCell:
    if point is None:
        return TableCell("–", tone="muted")
    if point.saved is None:
        return TableCell("not reached", _interval(point.interval, 1, 0), "muted")
    text = ("≥ " if point.at_least else "") + signed(point.saved, 0)
    return TableCell(
        text, _interval(point.interval, 1, 0), _tone(point.saved if coloured and _sure(point.interval) else 0)
    )


def _needed(point: SavedPoint | None) -> TableCell:
    if point is None:
        return TableCell("–", tone="muted")
    ends = None
    if point.interval is not None:
        ends = Interval(point.reference_labels - point.interval.high, point.reference_labels - point.interval.low)
    if point.labels is None:
        return TableCell("not reached", range_text(ends, 1, 0), "muted")
    return TableCell(("≤ " if point.at_least else "") + f"{point.labels:,.0f}", range_text(ends, 1, 0))


def _sure(interval: Interval | None) -> bool:
    return interval is not None and interval.excludes_zero


def _tone(sign: float) -> Literal["good", "bad", ""]:
    return "good" if sign > 0 else "bad" if sign < 0 else ""


def areas_section(curves: Sequence[Curve]) -> Section:
    """Return the area under each learning curve with its 95% interval, over the common range of labels.

    Args:
        curves: Curves of one metric.

    Returns:
        The section; a sentence instead of figures where fewer than two numbers of labels are common.
    """
    shared = sorted(set.intersection(*(set(curve.labels.tolist()) for curve in curves)))
    if len(shared) < 2:
        return Section("Area under the curve", [Text(["Fewer than two numbers of labels are common to all."])])
    areas = {c.strategy: area_under_curve(shared, c.per_seed[:, np.isin(c.labels, shared)]) for c in curves}
    scale = shown_scale(curves[0].metric)
    rows: list[list[str | TableCell]] = []
    for strategy, area_S in sorted(areas.items(), key=lambda item: -item[1].mean()):
        spread = f"{scale * area_S.std(ddof=1):.2f}" if area_S.size > 1 else "–"
        interval = range_text(mean_interval(area_S, metric_bounds(curves[0].metric)), scale, 2)
        rows.append([strategy, TableCell(f"{scale * area_S.mean():.2f}", interval), spread, f"{area_S.size}"])
    caption = (
        f"Mean {metric_label(curves[0].metric)} between {shared[0]:,} and {shared[-1]:,} labels, by trapezoids. Below: "
        f"95% t interval over seeds{', within 0 and 100%' if scale == 100 else ''}."
    )
    remarks = few_seeds(min(area_S.size for area_S in areas.values()))
    blocks: list[Block] = [Table(["", "mean", "std", "seeds"], rows, caption), Text(remarks, quiet=True)]
    return Section("Area under the curve", blocks)


def few_seeds(count: int) -> list[str]:
    """Return the remark on intervals of one or two seeds; none for more.

    Args:
        count: Smallest number of seeds of an interval.
    """
    if count >= MIN_SEEDS:
        return []
    if count == 1:
        return ["One seed gives no interval."]
    return [f"An interval of {count} seeds is wide because it estimates the spread from one difference: run more."]


def comparison_section(comparison: Comparison) -> Section:
    """Return the matrix of all pairs: difference, Holm-adjusted p, winner.

    Args:
        comparison: Result of `paired_comparison`.
    """
    scale = shown_scale(comparison.metric)
    rows: list[list[str | TableCell]] = []
    for i, strategy in enumerate(comparison.strategies):
        cells = [_pair(comparison, i, j, scale) for j in range(len(comparison.strategies))]
        rows.append([strategy, " / ".join(map(str, comparison.tally(strategy))), *cells])
    caption = (
        f"Row minus column, mean over common seeds: {metric_label(comparison.metric)}, area under the curve."
        f" Below: adjusted p. Coloured where it is under {ALPHA:g}."
    )
    table = Table(["", "win / tie / loss", *comparison.strategies], rows, caption)
    return Section("Paired comparison", [table, Text(comparison.notes, quiet=True)])


def _pair(comparison: Comparison, row: int, column: int, scale: int) -> TableCell:
    if row == column:
        return TableCell("", tone="muted")
    p = comparison.p[row, column]
    detail = "not tested" if np.isnan(p) else ("p < .001" if p < 0.001 else f"p {p:.3f}".replace("0.", "."))
    difference = signed(scale * comparison.difference[row, column], 1)
    outcome = comparison.outcome[row, column]
    return TableCell(difference, detail, "win" if outcome > 0 else "loss" if outcome < 0 else "")


def gain_split_section(split: GainSplit) -> Section:
    """Return MAL's gain and its parts at each number of labels.

    Args:
        split: Result of `gain_split`.
    """
    points = [*split.points, *([split.area] if split.area else [])]
    has_work = all(point.work is not None for point in points)
    enough = len(split.seeds) >= MIN_SEEDS
    heads = [("gain", MAL, BASELINE), ("training", CONTROL, BASELINE)]
    if has_work:
        heads += [("of it, more work", EQUAL_WORK, BASELINE), ("of it, the game", CONTROL, EQUAL_WORK)]
    heads.append(("selection", MAL, CONTROL))
    columns: list[str | TableCell] = ["labels"]
    columns += [TableCell(name, f"{first} − {second}") for name, first, second in heads]
    rows: list[list[str | TableCell]] = []
    for point in points:
        parts = [point.total, point.training, *((point.work, point.game) if has_work else ()), point.selection]
        rows.append([_where(point), *(_estimate(part, coloured=enough) for part in parts if part is not None)])
    caption = (
        "Percentage points. Training and selection add up to the gain. Below: 95% t interval, paired over seeds;"
        f" coloured where it excludes zero and there are {MIN_SEEDS} seeds or more."
    )
    remarks = [*split.notes, *few_seeds(len(split.seeds))]
    if not has_work:
        remarks.append(
            f"The training's part includes the gain of more steps; the strategy {EQUAL_WORK} would separate it."
        )
    blocks: list[Block] = [Table(columns, rows, caption), Text(remarks, quiet=True)]
    return Section("Parts of the gain", blocks)


def _where(point: GainPoint) -> str:
    return "area under the curve" if point.labels is None else f"{point.labels:,}"


def _estimate(estimate: Estimate, *, coloured: bool) -> TableCell:
    tone = _tone(estimate.value if coloured and _sure(estimate.interval) else 0)
    return TableCell(signed(100 * estimate.value, 1), _interval(estimate.interval, 100, 1), tone)


def head_middle_tail_section(results: Mapping[str, Sequence[HeadMiddleTail]], labels: int) -> Section:
    """Return the accuracy over frequent, medium and rare classes.

    Args:
        results: Entries per strategy, one for each seed.
        labels: Number of labels at which they were measured.
    """
    rows: list[list[str | TableCell]] = [
        [strategy, *(_group([getattr(seed, name) for seed in seeds]) for name in ("head", "middle", "tail"))]
        for strategy, seeds in results.items()
    ]
    counts = {seed.classes for seeds in results.values() for seed in seeds}
    # Draws of an imbalance can differ in their groups; then no count holds for all.
    sizes = [f" ({n})" for n in counts.pop()] if len(counts) == 1 else ["", "", ""]
    columns = ["", f"head{sizes[0]}", f"middle{sizes[1]}", f"tail{sizes[2]}"]
    caption = f"Accuracy, %, with {labels:,} labels, over classes that are frequent, medium and rare in the pool."
    return Section("Head, middle and tail", [Table(columns, rows, caption)])


def _group(values: Sequence[float | None]) -> TableCell:
    known = 100 * np.array([value for value in values if value is not None])
    if not known.size:
        return TableCell("–", tone="muted")
    return TableCell(f"{known.mean():.1f}", f"± {known.std(ddof=1):.1f}" if known.size > 1 else "")


def signed(value: float, decimals: int) -> str:
    """Return a difference with its sign; zero has none.

    Example:
        >>> signed(-1.25, 1), signed(40, 0), signed(0.001, 1)
        ('−1.2', '+40', '0.0')
    """
    text = f"{abs(value):,.{decimals}f}"
    return text if not float(text.replace(",", "")) else ("+" if value > 0 else "−") + text


def _interval(interval: Interval | None, scale: int, decimals: int) -> str:
    """Return the interval of a difference; an open end is outside the measured range of labels."""
    return _between(interval, lambda end: signed(scale * end, decimals))


def range_text(interval: Interval | None, scale: int, decimals: int) -> str:
    """Return the interval of a number without a sign; empty text if neither end is known.

    Args:
        interval: Confidence interval, or None.
        scale: Factor from its unit to the printed one.
        decimals: Digits after the point.
    """
    return _between(interval, lambda end: f"{scale * end:,.{decimals}f}")


def _between(interval: Interval | None, written: Callable[[float], str]) -> str:
    if interval is None:
        return ""
    low, high = (written(end) if np.isfinite(end) else None for end in (interval.low, interval.high))
    if low and high:
        return f"{low} to {high}"
    if low or high:
        return f"at least {low}" if low else f"at most {high}"
    return ""
