"""Tables of figures, mean ± standard deviation over seeds: for a page, for a paper, for a spreadsheet."""

import csv
import io
import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from minimax_al.errors import ConfigurationError
from minimax_al.report.blocks import Table, TableCell
from minimax_al.report.curves import LESS_IS_BETTER, Curve, metric_label, shown_scale
from minimax_al.report.intervals import MIN_SEEDS, differ

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "–": "--",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_BOLD_TONES = ("best", "win")


def figures_table(curves: Sequence[Curve], *, decimals: int = 1, caption: str = "") -> Table:
    """Return one row per strategy and one column per number of labels.

    Bold marks the best mean of a column and every mean that does not differ from it beyond chance; see `best_at`.

    Args:
        curves: Curves of one metric.
        decimals: Digits after the point, of percent or seconds.
        caption: Caption of the table.

    Returns:
        The table; "–" where a strategy has no figure for a number of labels.

    Raises:
        ConfigurationError: The list of curves is empty, or their metrics differ.
    """
    labels = _all_labels(curves)
    best = best_at(curves)
    rows: list[list[str | TableCell]] = []
    for curve in curves:
        row: list[str | TableCell] = [curve.strategy]
        for n in labels:
            mean, std = _figure(curve, n, decimals)
            if mean:
                tone: Literal["best", ""] = "best" if curve.strategy in best[n] else ""
                row.append(TableCell(mean, f"± {std}" if std else "", tone))
            else:
                row.append(TableCell("–", tone="muted"))
        rows.append(row)
    return Table(["labels", *(f"{n:,}" for n in labels)], rows, caption)


def best_at(curves: Sequence[Curve]) -> dict[int, set[str]]:
    """Return the strategies to print bold at each number of labels.

    They are the best mean and every strategy whose paired difference to it has an interval with zero. The result is
    empty where fewer than `MIN_SEEDS` seeds, or a single strategy, leave nothing to compare.

    Args:
        curves: Curves of one metric.
    """
    sign = -1 if curves[0].metric in LESS_IS_BETTER else 1
    best: dict[int, set[str]] = {}
    for n in _all_labels(curves):
        present = {
            curve.strategy: dict(zip(curve.seeds, values, strict=True))
            for curve in curves
            if (values := _values_at(curve, n))
        }
        top = max(present, key=lambda strategy: sign * float(np.mean(list(present[strategy].values()))))
        if len(present) < 2 or len(present[top]) < MIN_SEEDS:
            best[n] = set()
            continue
        best[n] = {strategy for strategy in present if not _is_worse(present[strategy], present[top])} | {top}
    return best


def _is_worse(values: dict[int, float], top: dict[int, float]) -> bool:
    """Return whether values differ from the best strategy's on the seeds that both have."""
    seeds = sorted(values.keys() & top.keys())
    return differ([top[seed] for seed in seeds], [values[seed] for seed in seeds])


def to_markdown(curves: Sequence[Curve], *, decimals: int = 1) -> str:
    """Return the figures as a Markdown table that ends with a line break.

    Args:
        curves: Curves of one metric.
        decimals: Digits after the point, of percent or seconds.

    Raises:
        ConfigurationError: The list of curves is empty, or their metrics differ.
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
    r"""Return the figures as a LaTeX tabular that ends with a line break; it needs \usepackage{booktabs}.

    Args:
        curves: Curves of one metric.
        decimals: Digits after the point, of percent or seconds.

    Raises:
        ConfigurationError: The list of curves is empty, or their metrics differ.
    """
    labels = _all_labels(curves)
    head = [_latex(metric_label(curves[0].metric)), *(f"{n:,}".replace(",", "{,}") for n in labels)]
    rows = [
        [_latex(name), *cells]
        for name, cells in _grid(curves, decimals, bold=r"\textbf{{{}}}", join=r"{} $\pm$ {}", none="--")
    ]
    return _tabular(head, rows)


def table_to_csv(table: Table) -> str:
    """Return a table of a page as CSV: one row per row, the detail of a cell in a column of its own.

    Args:
        table: Any table.
    """
    columns = [_as_cell(column) for column in table.columns]
    rows = [[_as_cell(cell) for cell in row] for row in table.rows]
    detailed = [any(row[k].detail for row in rows) for k in range(len(columns))]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        [text for cell, more in zip(columns, detailed, strict=True) for text in _heads(_joined(cell), more=more)]
    )
    for row in rows:
        writer.writerow(
            [
                text
                for cell, more in zip(row, detailed, strict=True)
                for text in ([cell.text, cell.detail] if more else [cell.text])
            ]
        )
    return file.getvalue()


def table_to_latex(table: Table) -> str:
    """Return a table of a page as a LaTeX tabular; bold cells stay bold, details follow in parentheses.

    Args:
        table: Any table.
    """
    head = [_latex(_joined(_as_cell(column))) for column in table.columns]
    rows = []
    for row in table.rows:
        cells = [_as_cell(cell) for cell in row]
        texts = [
            rf"\textbf{{{_latex(cell.text)}}}" if cell.tone in _BOLD_TONES else _latex(cell.text) for cell in cells
        ]
        rows.append([f"{text} {_detail(cell)}".strip() for text, cell in zip(texts, cells, strict=True)])
    return _tabular(head, rows)


def _heads(name: str, *, more: bool) -> list[str]:
    return [name, f"{name} (detail)"] if more else [name]


def _joined(cell: TableCell) -> str:
    return f"{cell.text} ({cell.detail})" if cell.detail else cell.text


def _detail(cell: TableCell) -> str:
    if not cell.detail:
        return ""
    return _latex(cell.detail) if cell.detail.startswith("±") else f"({_latex(cell.detail)})"


def _bold(cell: TableCell) -> str:
    return rf"\textbf{{{_latex(cell.text)}}}" if cell.tone in _BOLD_TONES else _latex(cell.text)


def _as_cell(cell: str | TableCell) -> TableCell:
    return cell if isinstance(cell, TableCell) else TableCell(cell)


def _tabular(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    body = [r"\toprule", f"{' & '.join(head)} \\\\", r"\midrule", *(f"{' & '.join(row)} \\\\" for row in rows)]
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", *body, r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _grid(curves: Sequence[Curve], decimals: int, *, bold: str, join: str, none: str) -> list[tuple[str, list[str]]]:
    labels, best = _all_labels(curves), best_at(curves)
    rows = []
    for curve in curves:
        cells = []
        for n in labels:
            mean, std = _figure(curve, n, decimals)
            shown = bold.format(mean) if curve.strategy in best[n] else mean
            cells.append((join.format(shown, std) if std else shown) if mean else none)
        rows.append((curve.strategy, cells))
    return rows


def _all_labels(curves: Sequence[Curve]) -> list[int]:
    metrics = sorted({curve.metric for curve in curves})
    if len(metrics) != 1:
        raise ConfigurationError(
            f"a table shows one metric, but the {len(curves)} given curves have {', '.join(metrics) or 'none'}"
        )
    return sorted({int(n) for curve in curves for n in curve.labels})


def _values_at(curve: Curve, labels: int) -> list[float]:
    """Return one value per seed at a number of labels; empty where the curve has none."""
    at = np.flatnonzero(curve.labels == labels)
    values: list[float] = curve.per_seed[:, at[0]].tolist() if at.size else []
    return values


def _figure(curve: Curve, labels: int, decimals: int) -> tuple[str, str]:
    """Return mean and standard deviation as text; empty strings where they are unknown."""
    at = np.flatnonzero(curve.labels == labels)
    if not at.size:
        return "", ""
    scale = shown_scale(curve.metric)
    std = "" if curve.std is None else f"{scale * curve.std[at[0]]:.{decimals}f}"
    return f"{scale * curve.mean[at[0]]:.{decimals}f}", std
