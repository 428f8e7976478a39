"""Critical-difference diagram: every text is inside the figure, whatever the names and their number."""

import math

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from minimax_al.report import rank_plot
from minimax_al.report.drawing import drawing

LONG = "mal(rule=union,warmup_steps=100,entropy_of=task_model)"


@pytest.mark.parametrize(
    ("names", "difference", "width"),
    [
        (["random", "cluster_margin"], 1.39, 7.6),  # the difference is longer than the axis
        (["a", "b", "c"], math.nan, 7.6),
        ([LONG, "random", f"{LONG}+mal"], 2.34, 4.1),
        ([f"strategy {number}" for number in range(12)], 7.2, 4.1),
    ],
)
def test_no_text_leaves_the_figure_or_covers_another(names, difference, width):
    ranks = [1 + 0.9 * number for number in range(len(names))]
    with drawing():
        canvas = rank_plot._canvas(names, ranks, difference, [(0, len(names) - 1)], width=width)
        renderer = FigureCanvasAgg(canvas).get_renderer()
        (axes,) = canvas.axes
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
        lines = [line.get_window_extent(renderer) for line in axes.lines]
    shown = [text.get_text() for text in axes.texts]
    assert {*names} <= {name for text in shown for name in (text.partition(" ")[2], text.rpartition(" ")[0])}
    for box in [*boxes, *lines]:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= canvas.bbox.width
        assert box.y1 <= canvas.bbox.height
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
