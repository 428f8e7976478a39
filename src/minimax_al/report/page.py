"""One self-contained HTML page: no request leaves it and no script runs in it.

Its Content-Security-Policy forbids both, so that an unexpected name or image cannot add either.
"""

import functools
import os
from pathlib import Path

import jinja2

from minimax_al.durable import write_durably
from minimax_al.report.blocks import Bars, ReportPage, TableCell


def render_page(page: ReportPage) -> str:
    """Return a page as HTML.

    Args:
        page: Content of the page; every text in it is escaped.

    Returns:
        The document; equal pages give equal text.
    """
    sections = [section for section in page.sections if section is not None]
    return _template().render(page=page, sections=sections)


def write_page(path: str | os.PathLike[str], page: ReportPage) -> None:
    """Write a page as an HTML file, replacing it in one step.

    Args:
        path: HTML file; its folder is created.
        page: Content of the page.
    """
    write_durably(Path(path), render_page(page).encode())


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("minimax_al.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"as_cell": _as_cell, "heights": _heights, "typeset": _typeset}
    return environment.get_template("page.html.jinja")


def _as_cell(cell: str | TableCell) -> TableCell:
    return cell if isinstance(cell, TableCell) else TableCell(cell)


def _typeset(text: str) -> str:
    """Keep "±" on the line of its number."""
    return text.replace(" ± ", "\u00a0±\u00a0")


def _heights(bars: Bars) -> list[float]:
    """Return the heights in percent of the row."""
    top = bars.top or max((bar.value for bar in bars.bars), default=0)
    return [round(100 * min(bar.value / top, 1), 2) if top > 0 else 0.0 for bar in bars.bars]
