"""Files next to a page: every table as CSV and LaTeX, figures as SVG, PDF and PNG."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from minimax_al.durable import write_durably
from minimax_al.report.blocks import Block, Disclosure, ReportPage, Table
from minimax_al.report.tables import table_to_csv, table_to_latex


def write_tables(folder: Path, page: ReportPage) -> list[Path]:
    """Write every table of a page as CSV and LaTeX, named after its section.

    Args:
        folder: Folder of the files; it is created.
        page: Page with the tables.

    Returns:
        The written files.
    """
    written: list[Path] = []
    taken: set[str] = set()
    for section in filter(None, page.sections):
        for table in _tables(section.blocks):
            stem = _free_name(section.title, taken)
            for suffix, text in (("csv", table_to_csv(table)), ("tex", table_to_latex(table))):
                written.append(folder / f"{stem}.{suffix}")
                write_durably(written[-1], text.encode())
    return written


def write_figure(folder: Path, stem: str, contents: Mapping[str, bytes]) -> None:
    """Write one file per format of a figure.

    Args:
        folder: Folder of the files; it is created.
        stem: File name without its suffix.
        contents: File contents by format, such as `curve_files` returns.
    """
    for name, content in contents.items():
        write_durably(folder / f"{stem}.{name}", content)


def _tables(blocks: Sequence[Block]) -> Iterator[Table]:
    for block in blocks:
        if isinstance(block, Table):
            yield block
        elif isinstance(block, Disclosure):
            yield from _tables(block.blocks)


def _free_name(title: str, taken: set[str]) -> str:
    """Return a file name for a title that no earlier table has."""
    stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "table"
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    taken.add(name)
    return name
