"""One self-contained HTML page: no request leaves it and no script runs in it.

The page forbids itself both (Content-Security-Policy), so a name or an image that slipped in could not break
it.
"""

import functools
import os
from pathlib import Path

import jinja2

from minimax_al.durable import write_durably
from minimax_al.report.blocks import Bars, Cell, ReportPage


def render_page(page: ReportPage) -> str:
    """A page as HTML.

    Args:
        page: what it shows; every text in it is escaped.

    Returns:
        The document; the same page gives the same text.
    """
    sections = [section for section in page.sections if section is not None]
    return _template().render(page=page, sections=sections)


def write_page(path: str | os.PathLike[str], page: ReportPage) -> None:
    """Writes a page as an HTML file, replacing it in one step.

    Args:
        path: the file; its folder is made.
        page: what it shows.
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


def _as_cell(cell: str | Cell) -> Cell:
    return cell if isinstance(cell, Cell) else Cell(cell)


def _typeset(text: str) -> str:
    """Keeps "±" on the line of its number."""
    return text.replace(" ± ", "\u00a0±\u00a0")


def _heights(bars: Bars) -> list[float]:
    """Heights in percent of the row."""
    top = bars.top or max((bar.value for bar in bars.bars), default=0)
    return [round(100 * min(bar.value / top, 1), 2) if top > 0 else 0.0 for bar in bars.bars]
