"""Tables of figures, mean ± standard deviation over seeds: for a page, or to paste into a paper."""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from minimax_al.errors import ConfigurationError
from minimax_al.report.blocks import Cell, Table
from minimax_al.report.curves import LESS_IS_BETTER, Curve, is_time, metric_label

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def figures_table(curves: Sequence[Curve], *, decimals: int = 1, caption: str = "") -> Table:
    """One row a strategy, one column a number of labels; the best mean of a column is bold.

    Args:
        curves: the curves, all of one metric.
        decimals: digits after the point, of percent or seconds.
        caption: the table's caption.

    Returns:
        The table; "–" where a strategy has no figure at a number of labels.

    Raises:
        ConfigurationError: there are no curves, or they are of different metrics.
    """
    labels = _all_labels(curves)
    best = _best(curves)
    rows: list[list[str | Cell]] = []
    for curve in curves:
        row: list[str | Cell] = [curve.strategy]
        for n in labels:
            mean, std = _figure(curve, n, decimals)
            if mean:
                tone: Literal["best", ""] = "best" if best[n] == curve.strategy else ""
                row.append(Cell(mean, f"± {std}" if std else "", tone))
            else:
                row.append(Cell("–", tone="muted"))
        rows.append(row)
    return Table(["labels", *(f"{n:,}" for n in labels)], rows, caption)


def to_markdown(curves: Sequence[Curve], *, decimals: int = 1) -> str:
    """The figures as a Markdown table.

    Args:
        curves: the curves, all of one metric.
        decimals: digits after the point, of percent or seconds.

    Returns:
        The table, with a line break at its end.

    Raises:
        ConfigurationError: there are no curves, or they are of different metrics.
    """
    labels = _all_labels(curves)
    head = [metric_label(curves[0].metric), *(f"{n:,}" for n in labels)]
    rows = [
        [re.sub(r"([\\|*_`<$])", r"\\\1", name), *cells]
        for name, cells in _grid(curves, decimals, bold="**{}**", join="{} ± {}", none="–")
    ]
    lines = [head, [":--", *["--:"] * len(labels)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_latex(curves: Sequence[Curve], *, decimals: int = 1) -> str:
    r"""The figures as a LaTeX tabular; needs \usepackage{booktabs}.

    Args:
        curves: the curves, all of one metric.
        decimals: digits after the point, of percent or seconds.

    Returns:
        The tabular, with a line break at its end.

    Raises:
        ConfigurationError: there are no curves, or they are of different metrics.
    """
    labels = _all_labels(curves)
    head = [_latex(metric_label(curves[0].metric)), *(f"{n:,}".replace(",", "{,}") for n in labels)]
    rows = [
        [_latex(name), *cells]
        for name, cells in _grid(curves, decimals, bold=r"\textbf{{{}}}", join=r"{} $\pm$ {}", none="--")
    ]
    body = [r"\toprule", f"{' & '.join(head)} \\\\", r"\midrule", *(f"{' & '.join(row)} \\\\" for row in rows)]
    lines = [rf"\begin{{tabular}}{{l{'r' * len(labels)}}}", *body, r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _grid(curves: Sequence[Curve], decimals: int, *, bold: str, join: str, none: str) -> list[tuple[str, list[str]]]:
    labels, best = _all_labels(curves), _best(curves)
    rows = []
    for curve in curves:
        cells = []
        for n in labels:
            mean, std = _figure(curve, n, decimals)
            shown = bold.format(mean) if best[n] == curve.strategy else mean
            cells.append((join.format(shown, std) if std else shown) if mean else none)
        rows.append((curve.strategy, cells))
    return rows


def _all_labels(curves: Sequence[Curve]) -> list[int]:
    metrics = sorted({curve.metric for curve in curves})
    if len(metrics) != 1:
        raise ConfigurationError(
            f"a table shows one metric, but the {len(curves)} curves given have {', '.join(metrics) or 'none'}"
        )
    return sorted({int(n) for curve in curves for n in curve.labels})


def _figure(curve: Curve, labels: int, decimals: int) -> tuple[str, str]:
    """Mean and standard deviation as text; empty where there is none."""
    at = np.flatnonzero(curve.labels == labels)
    if not at.size:
        return "", ""
    scale = 1 if is_time(curve.metric) else 100
    std = "" if curve.std is None else f"{scale * curve.std[at[0]]:.{decimals}f}"
    return f"{scale * curve.mean[at[0]]:.{decimals}f}", std


def _best(curves: Sequence[Curve]) -> dict[int, str]:
    """The strategy with the best mean at each number of labels."""
    sign = -1 if curves[0].metric in LESS_IS_BETTER else 1
    best: dict[int, tuple[float, str]] = {}
    for curve in curves:
        for n, mean in zip(curve.labels.tolist(), curve.mean.tolist(), strict=True):
            if n not in best or sign * mean > best[n][0]:
                best[n] = (sign * mean, curve.strategy)
    return {n: strategy for n, (_, strategy) in best.items()}
