"""Critical-difference diagram: average ranks on a line, and bars over strategies that are not separated."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.textpath import TextPath

from minimax_al.report.drawing import TEXT, drawing, to_files, to_svg

_TITLE = "Average ranks of the strategies; bars join those that the critical difference does not separate"
_FONT = 9
"""Size of the text, in points."""
_OUT, _GAP = 0.12, 0.06
"""Length of a line beyond the axis, and the gap between it and its text, in inches."""
_STUB = _OUT + 2 * _GAP
"""Room of a name in addition to its text, in inches."""
_LEAST_AXIS = 0.4
"""Smallest share of the requested width that the axis keeps; longer names widen the figure."""
_TICKS = 0.25
"""Smallest distance of the numbers at the axis, in inches."""


def plot_ranks(
    names: Sequence[str], ranks: Sequence[float], difference: float, groups: Sequence[tuple[int, int]], *, narrow: bool
) -> str:
    """Draw a critical-difference diagram.

    Args:
        names: Strategy names.
        ranks: Average rank per strategy, 1 is best.
        difference: Critical difference; NaN draws none.
        groups: First and last position, in rank order, of strategies that are not separated.
        narrow: Whether the drawing is for a phone.

    Returns:
        The SVG element; equal input gives equal bytes.
    """
    with drawing():
        return to_svg(_canvas(names, ranks, difference, groups, width=4.1 if narrow else 7.6), _TITLE)


def rank_files(
    names: Sequence[str], ranks: Sequence[float], difference: float, groups: Sequence[tuple[int, int]]
) -> dict[str, bytes]:
    """Return `plot_ranks` as the content of an SVG, a PDF and a PNG file, by format."""
    with drawing():
        return to_files(_canvas(names, ranks, difference, groups, width=7.6), _TITLE)


def _canvas(
    names: Sequence[str], ranks: Sequence[float], difference: float, groups: Sequence[tuple[int, int]], *, width: float
) -> Canvas:
    """Return the figure; call it inside `drawing()`."""
    order = sorted(range(len(names)), key=lambda k: (ranks[k], names[k]))
    half = -(-len(names) // 2)
    top = 0.5 + 0.16 * len(groups)  # the bars are between the axis and the first name
    depth = top + 0.3 * half + 0.1
    sides = _labels(names, ranks, order[:half]), _labels(names, ranks, order[half:], is_right=True)
    left, right = (_STUB + max(map(_text_width, labels), default=0.0) for labels in sides)
    axis = max(width - left - right, _LEAST_AXIS * width)
    unit = axis / max(len(names) - 1, 1)  # inches per rank
    if np.isfinite(difference):
        right = max(right, difference * unit - axis + _GAP)  # the bar of the difference may be longer than the axis
    canvas = Canvas(figsize=(left + axis + right, 0.95 + 0.5 * depth))
    axes = canvas.add_axes((0, 0.02, 1, 0.96))
    axes.set_axis_off()
    axes.set_xlim(1 - left / unit, 1 + (axis + right) / unit)
    axes.set_ylim(-depth, 1.2)
    _draw_axis(axes, len(names), difference, unit)
    for level, (first, last) in enumerate(groups):
        height, ends = -0.22 - 0.16 * level, (ranks[order[first]] - 0.04, ranks[order[last]] + 0.04)
        axes.plot(ends, [height, height], color="#D5581B", linewidth=3.2)
    for is_right, labels in enumerate(sides):
        edge = len(names) + _OUT / unit if is_right else 1 - _OUT / unit
        gap = _GAP / unit if is_right else -_GAP / unit  # an SVG drops spaces at the ends of a text
        for row, label in enumerate(reversed(labels) if is_right else labels):
            k = order[len(names) - 1 - row] if is_right else order[row]
            height = -top - 0.3 * row
            axes.plot([ranks[k], ranks[k], edge], [0, height, height], color=TEXT, linewidth=0.8)
            side = "left" if is_right else "right"
            axes.text(edge + gap, height, label, ha=side, va="center", color=TEXT, fontsize=_FONT)
    return canvas


def _draw_axis(axes: Axes, count: int, difference: float, unit: float) -> None:
    """Draw the ranks from 1 to `count`, and the critical difference over them, at `unit` inches per rank."""
    axes.plot([1, count], [0, 0], color=TEXT, linewidth=1.1)
    for tick in range(1, count + 1, max(1, round(_TICKS / unit))):
        axes.plot([tick, tick], [0, 0.12], color=TEXT, linewidth=1.1)
        axes.text(tick, 0.2, f"{tick}", ha="center", va="bottom", color=TEXT, fontsize=_FONT)
    if np.isfinite(difference):
        axes.plot([1, 1 + difference], [0.78, 0.78], color=TEXT, linewidth=1.6, marker="|", markersize=6)
        axes.text(1, 0.88, f"CD = {difference:.2f}", ha="left", va="bottom", color=TEXT, fontsize=_FONT)


def _labels(names: Sequence[str], ranks: Sequence[float], order: Sequence[int], *, is_right: bool = False) -> list[str]:
    """Return names with their ranks, which are next to the line."""
    return [f"{ranks[k]:.2f} {names[k]}" if is_right else f"{names[k]} {ranks[k]:.2f}" for k in order]


def _text_width(text: str) -> float:
    """Return the width of a text in inches, with a little room, since hinting widens the letters."""
    return 1.05 * float(TextPath((0, 0), text, size=_FONT).get_extents().width) / 72
