"""Images of how time grows: log–log, with slopes, on white so that they read on any page."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

COLOURS = {"ours": "#0b6e99", "naive": "#b5541c"}
NAMES = {
    "kcenter": "k-center greedy",
    "badge": "BADGE",
    "batchbald": "BatchBALD",
    "dropquery": "DropQuery",
    "cluster_margin": "Cluster-Margin",
    "centroids": "Centroids",
    "typicality": "TypiClust",
    "probcover": "ProbCover",
    "maxherding": "MaxHerding",
}
LETTERS = {"N": "samples N", "d": "features d", "K": "classes K", "b": "picks b"}


def curves(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[str, list[tuple[float, float]]]]:
    """(task, letter) → contestant → (value, CPU seconds), ascending."""
    found: dict[tuple[str, str], dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        panel = found.setdefault((row["task"], row["letter"]), {})
        panel.setdefault(row["contestant"], []).append((row["value"], row["cpu_seconds"]))
    return {key: {name: sorted(set(points)) for name, points in panel.items()} for key, panel in found.items()}


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the exponent of growth: the slope of a least-squares fit in logarithms."""
    if len(points) < 2:
        return math.nan
    x, y = ([math.log(max(point[axis], 1e-9)) for point in points] for axis in (0, 1))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    products = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return products / sum((a - mean_x) ** 2 for a in x)


def slopes(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a table of slopes in Markdown."""
    lines = [
        "| task | grows | from … to | ours: last step / overall | naive: last step / overall |",
        "|---|---|---|---:|---:|",
    ]
    for (task, letter), panel in curves(rows).items():
        values = [value for points in panel.values() for value, _ in points]
        cells = [
            f"{slope(panel[name][-2:]):.2f} / {slope(panel[name]):.2f}" if name in panel else "–" for name in COLOURS
        ]
        extent = f"{min(values):,} … {max(values):,}"
        lines.append(f"| {NAMES[task]} | {LETTERS[letter]} | {extent} | {cells[0]} | {cells[1]} |")
    return lines


def draw_growth(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """One panel for each task and size, as SVG."""
    panels = curves(rows)
    tasks = list(dict.fromkeys(task for task, _ in panels))
    columns = max(sum(task == other for other, _ in panels) for task in tasks)
    figure = Figure(figsize=(3.1 * columns, 2.7 * len(tasks)), facecolor="white", layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots(len(tasks), columns, squeeze=False)
    for row, task in zip(axes, tasks, strict=True):
        letters = [letter for other, letter in panels if other == task]
        for axis, letter in zip(row, letters, strict=False):
            for name, points in panels[task, letter].items():
                label = f"{name}, slope {slope(points):.2f}"
                axis.loglog(*zip(*points, strict=True), "o-", color=COLOURS[name], label=label, markersize=4)
            values = sorted({value for points in panels[task, letter].values() for value, _ in points})
            axis.set_xticks(values, labels=[_short(value) for value in values], fontsize=8)
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.set(xlabel=LETTERS[letter], facecolor="white")
            axis.set_title(NAMES[task], fontsize=10)
            axis.grid(which="major", alpha=0.3)
            axis.legend(fontsize=8, frameon=False)
        for axis in row[len(letters) :]:
            axis.set_axis_off()
        row[0].set_ylabel("CPU seconds")
    figure.savefig(path, format="svg", metadata={"Date": None})


def _short(value: float) -> str:
    for unit, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{suffix}"
    return f"{value:g}"
