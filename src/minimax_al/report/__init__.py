"""What an experiment or a campaign shows: learning curves, tables, thumbnails, one self-contained HTML page.

Names are imported when first used, so that reading records does not load matplotlib.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minimax_al.report.blocks import (
        Bar,
        Bars,
        Block,
        Cell,
        Code,
        Disclosure,
        Facts,
        Figure,
        Gallery,
        Picture,
        ReportPage,
        Section,
        Table,
        Text,
    )
    from minimax_al.report.curves import (
        Curve,
        Record,
        learning_curve,
        learning_curves,
        read_records,
        write_records,
    )
    from minimax_al.report.page import render_page, write_page
    from minimax_al.report.plots import PublishedPoints, plot_curves, plot_each_curve
    from minimax_al.report.sections import (
        ClassBalance,
        PickedRound,
        class_balance_section,
        curves_section,
        figures_section,
        picks_section,
        provenance_section,
        set_aside_section,
        timing_section,
    )
    from minimax_al.report.strips import segmentation_strip
    from minimax_al.report.tables import to_latex, to_markdown
    from minimax_al.report.thumbnails import thumbnail

_HOMES = {
    "blocks": (
        "Bar",
        "Bars",
        "Block",
        "Cell",
        "Code",
        "Disclosure",
        "Facts",
        "Figure",
        "Gallery",
        "Picture",
        "ReportPage",
        "Section",
        "Table",
        "Text",
    ),
    "curves": ("Curve", "Record", "learning_curve", "learning_curves", "read_records", "write_records"),
    "page": ("render_page", "write_page"),
    "plots": ("PublishedPoints", "plot_curves", "plot_each_curve"),
    "sections": (
        "ClassBalance",
        "PickedRound",
        "class_balance_section",
        "curves_section",
        "figures_section",
        "picks_section",
        "provenance_section",
        "set_aside_section",
        "timing_section",
    ),
    "strips": ("segmentation_strip",),
    "tables": ("to_latex", "to_markdown"),
    "thumbnails": ("thumbnail",),
}

__all__ = [
    "Bar",
    "Bars",
    "Block",
    "Cell",
    "ClassBalance",
    "Code",
    "Curve",
    "Disclosure",
    "Facts",
    "Figure",
    "Gallery",
    "PickedRound",
    "Picture",
    "PublishedPoints",
    "Record",
    "ReportPage",
    "Section",
    "Table",
    "Text",
    "class_balance_section",
    "curves_section",
    "figures_section",
    "learning_curve",
    "learning_curves",
    "picks_section",
    "plot_curves",
    "plot_each_curve",
    "provenance_section",
    "read_records",
    "render_page",
    "segmentation_strip",
    "set_aside_section",
    "thumbnail",
    "timing_section",
    "to_latex",
    "to_markdown",
    "write_page",
    "write_records",
]


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
