"""Critical-difference diagram: average ranks on a line, and bars over strategies that are not separated."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Canvas

from minimax_al.report.drawing import TEXT, drawing, to_files, to_svg

_TITLE = "Average ranks of the strategies; bars join those that the critical difference does not separate"


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
    ordered, count = [ranks[k] for k in order], len(names)
    half = -(-count // 2)
    top = 0.5 + 0.16 * len(groups)  # the bars are between the axis and the first name
    depth = top + 0.3 * half + 0.1
    canvas = Canvas(figsize=(width, 0.85 + 0.5 * depth))
    axes = canvas.add_axes((0.02, 0.02, 0.96, 0.96))
    axes.set_axis_off()
    margin = 0.62 * (count - 1) * (3.4 / width)
    axes.set_xlim(1 - margin, count + margin)
    axes.set_ylim(-depth, 1.0)
    gap = 0.012 * (count - 1 + 2 * margin)  # an SVG drops spaces at the ends of a text
    axes.plot([1, count], [0, 0], color=TEXT, linewidth=1.1)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [0, 0.12], color=TEXT, linewidth=1.1)
        axes.text(tick, 0.2, f"{tick}", ha="center", va="bottom", color=TEXT, fontsize=9)
    if np.isfinite(difference):
        end = min(1 + difference, count + margin)
        axes.plot([1, end], [0.78, 0.78], color=TEXT, linewidth=1.6, marker="|", markersize=6)
        axes.text(end + gap, 0.78, f"CD = {difference:.2f}", ha="left", va="center", color=TEXT, fontsize=9)
    for level, (first, last) in enumerate(groups):
        height = -0.22 - 0.16 * level
        axes.plot([ordered[first] - 0.04, ordered[last] + 0.04], [height, height], color="#D5581B", linewidth=3.2)
    for position, k in enumerate(order):
        is_left = position < half
        row = position if is_left else count - 1 - position
        height = -top - 0.3 * row
        edge = 1 - 0.1 * margin if is_left else count + 0.1 * margin
        axes.plot([ranks[k], ranks[k], edge], [0, height, height], color=TEXT, linewidth=0.8)
        side = "right" if is_left else "left"
        name = f"{names[k]} {ranks[k]:.2f}" if is_left else f"{ranks[k]:.2f} {names[k]}"
        axes.text(edge - gap if is_left else edge + gap, height, name, ha=side, va="center", color=TEXT, fontsize=9)
    return canvas
