import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from minimax_al.errors import ConfigurationError
from minimax_al.report.curves import Curve
from minimax_al.report.plots import PublishedPoints, plot_curves, plot_each_curve

SVG = "{http://www.w3.org/2000/svg}"


def curve_of(strategy: str, *, seeds: int = 3, metric: str = "accuracy", level: float = 0.5) -> Curve:
    values = level + np.random.default_rng(seeds).uniform(0, 0.1, size=(seeds, 3))
    return Curve("digits", strategy, metric, tuple(range(seeds)), np.array([20, 40, 60]), values)


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


PLOTS = {
    "one plot": lambda curves: plot_curves(curves, [PublishedPoints("mal", (20, 60), (0.5, 0.6), (0.01, None))]),
    "one each": plot_each_curve,
}


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_the_same_curves_give_the_same_bytes(plot):
    curves = [curve_of("mal"), curve_of("random")]
    first = plot(curves)
    with mpl.rc_context({"font.size": 30, "axes.grid": True, "svg.fonttype": "path"}):
        assert plot(curves) == first  # whatever style the user has


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_plots_leave_matplotlibs_settings_alone(plot):
    names = [name for name in mpl.rcParams if name != "backend"]  # matplotlib resolves that when it is read
    before = {name: mpl.rcParams[name] for name in names}
    plot([curve_of("mal")])
    assert {name: mpl.rcParams[name] for name in names} == before


def test_plots_may_be_drawn_in_several_threads():
    curves = [curve_of("mal"), curve_of("random")]
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(plot_curves, [curves] * 4))) == 1


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_names_are_text_whatever_they_hold(plot):
    names = ["$x_1$", "<script>alert(1)</script>", "a&b", "戦略", "שלום", "_hidden"]
    svg = plot([curve_of(name) for name in names])
    assert set(names) <= set(texts(svg))
    assert "<script" not in svg


def test_axes_name_their_units():
    assert {"labels", "accuracy, %"} <= set(texts(plot_curves([curve_of("mal")])))
    assert "training, s" in texts(plot_curves([curve_of("mal", metric="train_seconds")]))


def test_fractions_are_drawn_in_percent_and_seconds_as_they_are():
    assert "55" in " ".join(texts(plot_curves([curve_of("mal", level=0.5)])))
    assert all(float(t) < 1 for t in texts(plot_curves([curve_of("m", metric="query_seconds")])) if t[:1] == "0")


def test_ticks_stand_at_the_numbers_of_labels():
    assert {"20", "40", "60"} <= set(texts(plot_curves([curve_of("mal")])))


def test_text_takes_the_colour_around_and_nothing_is_painted_behind():
    svg = plot_curves([curve_of("mal")])
    assert "currentColor" in svg
    assert not re.search(r"fill: ?#(fff|FFF|000)", svg)
    assert "prefers-color-scheme:dark" in svg


def colours(svg: str) -> set[str]:
    return set(re.findall(r"stroke: (#[0-9a-f]{6})", svg))


def test_a_strategys_colour_does_not_depend_on_the_others():
    alone = colours(plot_curves([curve_of("mal")]))
    beside = colours(plot_curves([curve_of("badge"), curve_of("mal"), curve_of("mine")]))
    assert len(alone) == 1
    assert alone < beside


def test_training_on_the_pool_is_a_dashed_line_of_the_same_colour():
    solid, dashed = plot_curves([curve_of("entropy")]), plot_curves([curve_of("entropy+mal")])
    assert colours(solid) == colours(dashed)
    assert "stroke-dasharray" in dashed
    assert "stroke-dasharray" not in solid


def test_strategies_of_others_are_told_apart():
    svg = plot_curves([curve_of("mine"), curve_of("yours")])
    assert len(colours(svg)) == 2


def test_identifiers_do_not_clash_on_one_page():
    plots = [plot_curves([curve_of("mal", level=level)]) for level in (0.2, 0.4)]
    first, second = (set(re.findall(r'\bid="([^"]+)"', plot)) for plot in plots)
    assert first
    assert not first & second
    for plot, defined in zip(plots, (first, second), strict=True):
        assert set(re.findall(r"#([0-9a-f]{8}-[mp][0-9a-f]+)", plot)) <= defined


def test_one_seed_has_neither_band_nor_faint_lines():
    one, two = plot_curves([curve_of("mal", seeds=1)]), plot_curves([curve_of("mal", seeds=2)])
    assert "fill-opacity: 0.12" not in one
    assert "fill-opacity: 0.12" in two
    assert "fill-opacity: 0.12" not in plot_curves([curve_of("mal", seeds=2)], spread=False)


def test_band_of_a_share_ends_at_100_percent(monkeypatch):
    drawn = []
    monkeypatch.setattr("matplotlib.axes.Axes.fill_between", lambda *words, **_: drawn.append(words[1:]))
    curve = Curve("digits", "mal", "accuracy", (0, 1), np.array([20, 40]), np.array([[0.9, 0.0], [1.0, 0.3]]))
    plot_curves([curve])
    (_, low, high), *_ = drawn
    assert low == pytest.approx([95 - 100 * np.std([0.9, 1.0], ddof=1), 0])
    assert high == pytest.approx([100, 15 + 100 * np.std([0.0, 0.3], ddof=1)])


def test_the_legend_follows_the_ends_of_the_curves():
    shown = texts(plot_curves([curve_of("low", level=0.1), curve_of("high", level=0.8), curve_of("mid", level=0.4)]))
    places = [shown.index(name) for name in ("high", "mid", "low")]
    assert all(a < b for a, b in itertools.pairwise(places))


def test_published_marks_are_named():
    assert "vaal, published" in texts(plot_curves([curve_of("mal")], [PublishedPoints("vaal", (20,), (0.5,))]))


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_a_plot_shows_one_metric(plot):
    with pytest.raises(ConfigurationError, match="0 given curves have none"):
        plot([])
    with pytest.raises(ConfigurationError, match="2 given curves have accuracy, miou"):
        plot([curve_of("a"), curve_of("a", metric="miou")])
