"""Learning curves as SVG: one plot, or one small plot a strategy.

A strategy keeps its colour and marker in every plot. Colour says how images are chosen, the line how the
model is trained: solid on labels alone, dashed ("+mal") on the unlabelled pool too. Text and axes take the
colour of the text around the plot, so the same SVG reads on light and dark pages; alone, it follows the
reader's own preference.
"""

import contextlib
import hashlib
import html
import io
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, Locator, MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from minimax_al.errors import ConfigurationError
from minimax_al.report.curves import Curve, is_time, metric_label

# Hues apart for the common colour-vision deficiencies (after Okabe and Ito), of a lightness that reads on
# white and on near-black; markers tell the rest apart.
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
_TEXT, _FAINT = "#010203", "#040506"  # stand-ins, replaced in the SVG by the colour of the text around
_LEGEND_ABOVE = 4  # so many names fit in one line above the plot; more stand in a column beside it
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class PublishedPoints:
    """Numbers from a publication, drawn as open marks beside the curves.

    Attributes:
        strategy: which strategy they are of; its colour and marker are taken.
        labels: (P,) numbers of labels.
        values: (P,) means, fractions like the records.
        errors: (P,) standard deviations; None where an entry, or all, has none.
        source: where they were published.
        caveat: what a reader must know before comparing; empty if nothing.
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
    size: tuple[float, float] = (7.6, 4.4),
    spread: bool = True,
) -> str:
    """Learning curves in one plot: mean, a band of ± one standard deviation, each seed faint.

    Args:
        curves: the curves, all of one metric; the first is drawn on top.
        published: a publication's numbers, as open marks.
        title: a heading inside the plot; pages have their own.
        size: width and height in inches (of 72 points).
        spread: draw the bands and the seeds; without them a crowd of curves stays readable.

    Returns:
        The SVG element, deterministic: the same curves give the same bytes.

    Raises:
        ConfigurationError: there are no curves, or they are of different metrics.
    """
    metric = _the_metric(curves)
    styles = _styles([*(c.strategy for c in curves), *(p.strategy for p in published)])
    with _drawing():
        canvas = Canvas(figsize=size, layout="constrained")
        axes = canvas.add_subplot()
        _dress(axes, metric)
        for layer, curve in enumerate(reversed(curves)):
            _draw(axes, curve, styles[curve.strategy], layer, spread=spread)
        for points in published:
            _draw_published(axes, points, styles[points.strategy], metric)
        axes.xaxis.set_major_locator(_label_ticks(curves, 8))
        axes.set_title(title, color=_TEXT, fontsize=11, loc="left")
        axes.set_xlabel("labels", color=_TEXT)
        axes.set_ylabel(metric_label(metric), color=_TEXT)
        _add_legend(canvas, curves, published, styles)
        names = ", ".join(curve.strategy for curve in curves)
        return _to_svg(canvas, f"{metric_label(metric)} over the number of labels: {names}")


def plot_each_curve(curves: Sequence[Curve], *, columns: int = 4, panel: tuple[float, float] = (2.2, 1.75)) -> str:
    """One small plot a strategy, the mean curves of all others faint behind it: readable with twenty.

    Args:
        curves: the curves, all of one metric.
        columns: plots a row.
        panel: width and height of one plot in inches.

    Returns:
        The SVG element, deterministic.

    Raises:
        ConfigurationError: there are no curves, or they are of different metrics.
    """
    metric = _the_metric(curves)
    styles = _styles([curve.strategy for curve in curves])
    columns = min(columns, len(curves))
    rows = -(-len(curves) // columns)
    size = (panel[0] * columns + 0.4, panel[1] * rows + 0.4)
    with _drawing():
        canvas = Canvas(figsize=size, layout="constrained")
        grid = canvas.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, curve in zip(grid.flat, curves, strict=False):
            others = [other for other in curves if other is not curve]
            _draw_panel(axes, curve, styles[curve.strategy], others)
        for axes in grid.flat[len(curves) :]:
            axes.set_visible(False)
        canvas.supxlabel("labels", color=_TEXT, fontsize=9)
        canvas.supylabel(metric_label(metric), color=_TEXT, fontsize=9)
        return _to_svg(canvas, f"{metric_label(metric)} over the number of labels, one plot a strategy")


@contextlib.contextmanager
def _drawing() -> Iterator[None]:
    """Settings that matplotlib reads from its one global table, for one drawing at a time, then put back."""
    with _ONE_AT_A_TIME, mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # the user's own style must not change the bytes
        mpl.rcParams["svg.hashsalt"] = "minimax-al"
        mpl.rcParams["svg.fonttype"] = "none"
        mpl.rcParams["font.sans-serif"] = ["DejaVu Sans"]
        mpl.rcParams["text.parse_math"] = False  # a dollar sign in a name is a dollar sign
        # Text is drawn by the reader's fonts; matplotlib's own is only measured with.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield


def _the_metric(curves: Sequence[Curve]) -> str:
    metrics = sorted({curve.metric for curve in curves})
    if len(metrics) != 1:
        raise ConfigurationError(
            f"a plot shows one metric, but the {len(curves)} curves given have {', '.join(metrics) or 'none'}"
        )
    return metrics[0]


def _styles(strategies: Sequence[str]) -> dict[str, _Style]:
    """Fixed styles for the known strategies; the others take the spare ones in the order of their names."""
    bases = {name: name.removesuffix("+mal") for name in strategies}
    unknown = sorted(set(bases.values()) - set(_STYLES))
    spare = {base: _SPARE[i % len(_SPARE)] for i, base in enumerate(unknown)}
    return {
        name: _Style(*(_STYLES.get(base) or spare[base]), line="-" if base == name else "--")
        for name, base in bases.items()
    }


def _shown(values: NDArray[np.float64], metric: str) -> NDArray[np.float64]:
    return values if is_time(metric) else 100 * values


def _dress(axes: Axes, metric: str) -> None:
    axes.patch.set_alpha(0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=_FAINT, linewidth=0.8, alpha=0.5)
    axes.grid(axis="y", color=_FAINT, linewidth=0.6, alpha=0.18)
    axes.tick_params(colors=_TEXT, length=0, labelsize=9)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if not is_time(metric):
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _label_ticks(curves: Sequence[Curve], most: int) -> Locator:
    """The numbers of labels themselves where they are few."""
    labels = sorted({int(n) for curve in curves for n in curve.labels})
    return FixedLocator(labels) if len(labels) <= most else MaxNLocator(most - 1, integer=True)


def _draw(axes: Axes, curve: Curve, style: _Style, layer: int, *, spread: bool) -> None:
    mean = _shown(curve.mean, curve.metric)
    if spread and curve.std is not None:
        each, std = _shown(curve.per_seed, curve.metric), _shown(curve.std, curve.metric)
        axes.plot(curve.labels, each.T, color=style.colour, linewidth=0.7, alpha=0.28)
        low, high = mean - std, mean + std
        axes.fill_between(curve.labels, low, high, color=style.colour, alpha=0.12, linewidth=0, zorder=1)
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


def _draw_panel(axes: Axes, curve: Curve, style: _Style, others: Sequence[Curve]) -> None:
    _dress(axes, curve.metric)
    for other in others:
        axes.plot(other.labels, _shown(other.mean, other.metric), color=_FAINT, linewidth=0.8, alpha=0.25)
    _draw(axes, curve, style, layer=0, spread=True)
    axes.set_title(curve.strategy, color=_TEXT, fontsize=9, loc="left")
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
    canvas: Canvas, curves: Sequence[Curve], published: Sequence[PublishedPoints], styles: dict[str, _Style]
) -> None:
    """Names in the order in which the curves end, so that the eye goes straight across."""
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
    canvas.legend(
        handles,
        names,
        loc="outside upper left" if above else "outside right upper",
        ncols=len(names) if above else 1,
        frameon=False,
        fontsize=9,
        labelcolor=_TEXT,
        handlelength=2.6,
    )


def _to_svg(canvas: Canvas, title: str) -> str:
    canvas.patch.set_alpha(0)
    file = io.StringIO()
    canvas.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _stand_alone(file.getvalue(), title)


def _stand_alone(svg: str, title: str) -> str:
    """The bare element: colours that follow the text around, no identifiers that a page could repeat."""
    element = svg[svg.index("<svg") :].strip()
    element = re.sub(r"\s*<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'\s*<defs>\s*<style type="text/css">.*?</style>\s*</defs>', "", element, flags=re.DOTALL)
    element = re.sub(r'<g id="[^"]*"', "<g", element)
    drawing = hashlib.sha256(element.encode()).hexdigest()[:8]
    element = re.sub(r'(\bid="|#)([mp][0-9a-f]{10})\b', rf"\g<1>{drawing}-\g<2>", element)
    element = re.sub(r"#010203|#040506", "currentColor", element)
    element = element.replace("'DejaVu Sans', sans-serif", "system-ui, sans-serif")
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', element)
    assert size is not None, "matplotlib writes a viewBox"
    width, height = size.groups()
    style = (
        "<style>.learning-curves{color:#222}.learning-curves *{stroke-linejoin:round;stroke-linecap:butt}"
        "@media (prefers-color-scheme:dark){.learning-curves{color:#ddd}}</style>"
    )
    opening = (
        f'<svg class="learning-curves" role="img" xmlns="http://www.w3.org/2000/svg"'
        f' xmlns:xlink="http://www.w3.org/1999/xlink" width="{float(width):g}pt" height="{float(height):g}pt"'
        f' viewBox="0 0 {width} {height}"><title>{html.escape(title)}</title>{style}'
    )
    return opening + element[element.index(">") + 1 :] + "\n"
