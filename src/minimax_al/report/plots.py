"""Learning curves as drawings: one plot, or one small plot per strategy.

A strategy keeps its colour and marker in every plot. Colour shows the acquisition function; the line style shows the
training: solid for labelled images alone, dashed ("+mal") for the unlabelled pool as well. Text and axes take the
colour of the surrounding text, so the same SVG suits light and dark pages. As a file it follows the reader's
preference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, Locator, MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from minimax_al.errors import ConfigurationError
from minimax_al.report.curves import Curve, is_time, metric_bounds, metric_label, shown_scale
from minimax_al.report.drawing import FAINT, TEXT, drawing, dress, to_files, to_svg

# Hues that stay apart for the common colour-vision deficiencies (after Okabe and Ito), with a lightness that reads on
# white and on near-black; markers distinguish the strategies that share a hue.
_ORANGE, _BLUE, _GREEN, _PINK, _SKY, _GOLD, _GREY = (
    "#D5581B",
    "#2F7FC1",
    "#12976B",
    "#BF6C9E",
    "#45A5D8",
    "#C08A00",
    "#808080",
)
_STYLES: dict[str, tuple[str, str]] = {
    "mal": (_ORANGE, "o"),
    "random": (_GREY, "s"),
    "entropy": (_BLUE, "^"),
    "margin": (_SKY, "v"),
    "least_confidence": (_BLUE, "<"),
    "bald": (_GREEN, "D"),
    "batchbald": (_GREEN, "d"),
    "coreset": (_PINK, "P"),
    "badge": (_GOLD, "X"),
    "vaal": (_PINK, "h"),
    "ensemble": (_SKY, "p"),
}
_SPARE = tuple((colour, marker) for marker in "*>H8<d" for colour in (_BLUE, _GREEN, _PINK, _GOLD, _SKY))
_LEGEND_ABOVE = 4  # at most this many names fit in one line above the plot; more form a column at its right
_WIDE, _NARROW = (7.6, 4.4), (4.1, 4.0)  # inches; a phone of 390 px shows the narrow size at about 11 px type


@dataclass(frozen=True)
class PublishedPoints:
    """Numbers of a publication, drawn as open marks.

    Attributes:
        strategy: Strategy name; sets colour and marker.
        labels: Numbers of labels, shape (P,).
        values: Means, shape (P,), fractions like the records.
        errors: Standard deviations, shape (P,); None where one entry, or all, are unknown.
        source: Place of publication.
        caveat: Remark that a reader needs before comparing; empty if nothing limits the comparison.
    """

    strategy: str
    labels: tuple[float, ...]
    values: tuple[float, ...]
    errors: tuple[float | None, ...] | None = None
    source: str = ""
    caveat: str = ""


@dataclass(frozen=True)
class _Style:
    colour: str
    marker: str
    line: Literal["-", "--"]


def plot_curves(
    curves: Sequence[Curve],
    published: Sequence[PublishedPoints] = (),
    *,
    title: str = "",
    narrow: bool = False,
    spread: bool = True,
) -> str:
    """Draw learning curves in one plot: mean, band of the interval or ± one standard deviation, single seeds.

    Args:
        curves: Curves of one metric; the first is drawn on top.
        published: Numbers of a publication, as open marks.
        title: Heading inside the plot; pages have their own.
        narrow: Whether the drawing is for a phone.
        spread: Whether bands and seeds are drawn; without them many curves stay readable.

    Returns:
        The SVG element; equal curves give equal bytes.

    Raises:
        ConfigurationError: The list of curves is empty, or their metrics differ.
    """
    with drawing():
        canvas = _curves_canvas(curves, published, title=title, narrow=narrow, spread=spread)
        return to_svg(canvas, _alternative(curves))


def curve_files(curves: Sequence[Curve], published: Sequence[PublishedPoints] = ()) -> dict[str, bytes]:
    """Return `plot_curves` as the content of an SVG, a PDF and a PNG file, by format.

    Args:
        curves: Curves of one metric.
        published: Numbers of a publication.

    Raises:
        ConfigurationError: See `plot_curves`.
    """
    with drawing():
        canvas = _curves_canvas(curves, published, title="", narrow=False, spread=True)
        return to_files(canvas, _alternative(curves))


def plot_each_curve(curves: Sequence[Curve], *, narrow: bool = False) -> str:
    """Draw one small plot per strategy, with all other mean curves faint behind it.

    Args:
        curves: Curves of one metric.
        narrow: Whether the drawing is for a phone.

    Returns:
        The SVG element; equal curves give equal bytes.

    Raises:
        ConfigurationError: The list of curves is empty, or their metrics differ.
    """
    metric = _the_metric(curves)
    styles = _styles([curve.strategy for curve in curves])
    columns = min(2 if narrow else 4, len(curves))
    rows = -(-len(curves) // columns)
    panel = (1.85, 1.6) if narrow else (2.2, 1.75)
    with drawing():
        canvas = Canvas(figsize=(panel[0] * columns + 0.4, panel[1] * rows + 0.4), layout="constrained")
        grid = canvas.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, curve in zip(grid.flat, curves, strict=False):
            others = [other for other in curves if other is not curve]
            _draw_panel(axes, curve, styles[curve.strategy], others)
        for axes in grid.flat[len(curves) :]:
            axes.set_visible(False)
        canvas.supxlabel("labels", color=TEXT, fontsize=9)
        canvas.supylabel(metric_label(metric), color=TEXT, fontsize=9)
        return to_svg(canvas, f"{metric_label(metric)} over the number of labels, one plot per strategy")


def _alternative(curves: Sequence[Curve]) -> str:
    names = ", ".join(curve.strategy for curve in curves)
    return f"{metric_label(curves[0].metric)} over the number of labels: {names}"


def _curves_canvas(
    curves: Sequence[Curve], published: Sequence[PublishedPoints], *, title: str, narrow: bool, spread: bool
) -> Canvas:
    """Return the figure of `plot_curves`; call it inside `drawing()`."""
    metric = _the_metric(curves)
    styles = _styles([*(c.strategy for c in curves), *(p.strategy for p in published)])
    canvas = Canvas(figsize=_NARROW if narrow else _WIDE, layout="constrained")
    axes = canvas.add_subplot()
    _dress(axes, metric)
    for layer, curve in enumerate(reversed(curves)):
        _draw(axes, curve, styles[curve.strategy], layer, spread=spread)
    for points in published:
        _draw_published(axes, points, styles[points.strategy], metric)
    axes.xaxis.set_major_locator(_label_ticks(curves, 5 if narrow else 8))
    axes.set_title(title, color=TEXT, fontsize=11, loc="left")
    axes.set_xlabel("labels", color=TEXT)
    axes.set_ylabel(metric_label(metric), color=TEXT)
    _add_legend(canvas, curves, published, styles, narrow=narrow)
    return canvas


def _the_metric(curves: Sequence[Curve]) -> str:
    metrics = sorted({curve.metric for curve in curves})
    if len(metrics) != 1:
        raise ConfigurationError(
            f"a plot shows one metric, but the {len(curves)} given curves have {', '.join(metrics) or 'none'}"
        )
    return metrics[0]


def _styles(strategies: Sequence[str]) -> dict[str, _Style]:
    """Return fixed styles for known strategies; the others get the spare styles in the order of their names."""
    bases = {name: name.removesuffix("+mal") for name in strategies}
    unknown = sorted(set(bases.values()) - set(_STYLES))
    spare = {base: _SPARE[i % len(_SPARE)] for i, base in enumerate(unknown)}
    return {
        name: _Style(*(_STYLES.get(base) or spare[base]), line="-" if base == name else "--")
        for name, base in bases.items()
    }


def _shown(values: NDArray[np.float64], metric: str) -> NDArray[np.float64]:
    return shown_scale(metric) * values


def _dress(axes: Axes, metric: str) -> None:
    dress(axes)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if not is_time(metric):
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _label_ticks(curves: Sequence[Curve], most: int) -> Locator:
    """Return ticks at the numbers of labels themselves, if there are at most `most`."""
    labels = sorted({int(n) for curve in curves for n in curve.labels})
    return FixedLocator(labels) if len(labels) <= most else MaxNLocator(most - 1, integer=True)


def _draw(axes: Axes, curve: Curve, style: _Style, layer: int, *, spread: bool) -> None:
    mean = _shown(curve.mean, curve.metric)
    if spread:
        _draw_spread(axes, curve, style)
    axes.plot(
        curve.labels,
        mean,
        color=style.colour,
        linestyle=style.line,
        marker=style.marker,
        markersize=5,
        linewidth=1.9,
        zorder=3 + layer,
    )


def _draw_spread(axes: Axes, curve: Curve, style: _Style) -> None:
    """Draw the band of the interval or of one standard deviation, and single seeds."""
    if curve.intervals is not None:
        low, high = _shown(curve.intervals, curve.metric).T
    elif curve.std is not None:
        # A share's band ends at 0 and 100%, where no value can be.
        band = np.clip([curve.mean - curve.std, curve.mean + curve.std], *metric_bounds(curve.metric))
        low, high = _shown(band, curve.metric)
    else:
        return
    axes.fill_between(curve.labels, low, high, color=style.colour, alpha=0.12, linewidth=0, zorder=1)
    if len(curve.seeds) > 1:
        each = _shown(curve.per_seed, curve.metric)
        axes.plot(curve.labels, each.T, color=style.colour, linewidth=0.7, alpha=0.28)


def _draw_panel(axes: Axes, curve: Curve, style: _Style, others: Sequence[Curve]) -> None:
    _dress(axes, curve.metric)
    for other in others:
        axes.plot(other.labels, _shown(other.mean, other.metric), color=FAINT, linewidth=0.8, alpha=0.25)
    _draw(axes, curve, style, layer=0, spread=True)
    axes.set_title(curve.strategy, color=TEXT, fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(_label_ticks([curve, *others], 4))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _draw_published(axes: Axes, points: PublishedPoints, style: _Style, metric: str) -> None:
    errors = None
    if points.errors is not None:
        errors = _shown(np.array([np.nan if e is None else e for e in points.errors]), metric)
    axes.errorbar(
        points.labels,
        _shown(np.array(points.values), metric),
        yerr=errors,
        fmt=style.marker,
        color=style.colour,
        markerfacecolor="none",
        markersize=9,
        markeredgewidth=1.3,
        elinewidth=1,
        capsize=2.5,
        zorder=99,
    )


def _add_legend(
    canvas: Canvas,
    curves: Sequence[Curve],
    published: Sequence[PublishedPoints],
    styles: dict[str, _Style],
    *,
    narrow: bool,
) -> None:
    """Add names in the order in which the curves end, so that the eye moves straight across."""
    handles, names = [], []
    for curve in sorted(curves, key=lambda curve: -curve.mean[-1]):
        style = styles[curve.strategy]
        line = Line2D([], [], color=style.colour, marker=style.marker, markersize=5, linewidth=1.9)
        line.set_linestyle(style.line)
        handles.append(line)
        names.append(curve.strategy)
    for points in published:
        style = styles[points.strategy]
        mark = Line2D([], [], color=style.colour, marker=style.marker, markersize=7, markerfacecolor="none")
        mark.set_linestyle("none")
        handles.append(mark)
        names.append(f"{points.strategy}, published")
    above = len(names) <= _LEGEND_ABOVE
    place: Literal["outside lower center", "outside upper left", "outside right upper"]
    place, columns = ("outside upper left", len(names)) if above else ("outside right upper", 1)
    if narrow:
        place, columns = "outside lower center", min(2, len(names))
    legend = canvas.legend(
        handles,
        ["name"] * len(names),  # matplotlib before 3.10 leaves out names that start with an underscore
        loc=place,
        ncols=columns,
        frameon=False,
        fontsize=9,
        labelcolor=TEXT,
        handlelength=2.6,
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
