"""Blocks of a page: small plain data, which the page's template turns into HTML.

All text is plain: the template escapes it. The one exception is the SVG of `Figure`, which is markup and must come from
this package's own drawing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from minimax_al.errors import ConfigurationError


@dataclass(frozen=True)
class Text:
    """Paragraphs.

    Attributes:
        paragraphs: Plain text.
        quiet: Small and muted type, for remarks below a figure or a table.
    """

    kind: ClassVar[str] = "text"
    paragraphs: Sequence[str]
    quiet: bool = False


@dataclass(frozen=True)
class TableCell:
    """One cell of a table.

    Attributes:
        text: Content of the cell.
        detail: Second, muted line.
        tone: Colour and weight: "best" is bold; "good" and "bad" are coloured; "win" and "loss" also have a coloured
            background; "muted" is faint.
        shade: Strength of a neutral background in [0, 1], for matrices.
        link: Anchor of a gallery of the page that the cell leads to; empty for none.
    """

    text: str
    detail: str = ""
    tone: Literal["", "best", "good", "bad", "win", "loss", "muted"] = ""
    shade: float = 0.0
    link: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows; the other columns are right-aligned numbers.

    Attributes:
        columns: Headings, including the first column's; a cell's detail is a second line.
        rows: Cells, one per column; a string is short for a plain cell.
        caption: Caption of the table.
        words: Positions of the columns that hold words, which are left-aligned.

    Raises:
        ConfigurationError: The number of cells in a row differs from the number of columns.
    """

    kind: ClassVar[str] = "table"
    columns: Sequence[str | TableCell]
    rows: Sequence[Sequence[str | TableCell]]
    caption: str = ""
    words: Sequence[int] = (0,)

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ConfigurationError(
                    f"row {number} of the table {self.caption!r} has {len(row)} cells for {len(self.columns)} columns"
                )


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Attributes:
        svg: SVG element, inserted without escaping: accept it from `report.plots` alone.
        alt: Text alternative for screen readers.
        caption: Text below the drawing.
        narrow: The same drawing for screens below 36 rem; empty to scale `svg` down.
    """

    kind: ClassVar[str] = "figure"
    svg: str
    alt: str
    caption: str = ""
    narrow: str = ""


@dataclass(frozen=True)
class Image:
    """A thumbnail with its description.

    Attributes:
        source: Data URI from `report.thumbnails`.
        name: Image name; the text alternative and the tooltip.
        title: Line below the image, for example its class.
        values: Pairs of name and value below the title, for example scores.
    """

    source: str
    name: str
    title: str = ""
    values: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Gallery:
    """Thumbnails in a grid.

    Attributes:
        images: Thumbnails, in reading order.
        caption: Caption of the gallery.
        omitted: Number of further images that are not shown.
        wide: Whether each image is a strip of several views, shown at full width.
        anchor: Name by which cells of a table link to it; empty for none.
    """

    kind: ClassVar[str] = "gallery"
    images: Sequence[Image]
    caption: str = ""
    omitted: int = 0
    wide: bool = False
    anchor: str = ""


@dataclass(frozen=True)
class Bar:
    """One bar, for example a class and its number of images; `group` selects one of three tints (0, 1, 2)."""

    label: str
    value: float
    group: int = 0


@dataclass(frozen=True)
class Bars:
    """Small upright bars in one row.

    Attributes:
        bars: Bars, from left to right.
        caption: Caption of the row.
        top: Value of full height; None for the largest bar. Rows that a reader compares need the same.
    """

    kind: ClassVar[str] = "bars"
    bars: Sequence[Bar]
    caption: str = ""
    top: float | None = None


@dataclass(frozen=True)
class Facts:
    """Names and their values: a command, versions, settings."""

    kind: ClassVar[str] = "facts"
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Code:
    """Preformatted text to copy."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Disclosure:
    """Blocks that open on demand, behind one line.

    Attributes:
        summary: Line that opens the blocks.
        blocks: Hidden blocks.
        note: Muted words at the end of the line.
        open: Whether the blocks are visible from the start.
    """

    kind: ClassVar[str] = "disclosure"
    summary: str
    blocks: Sequence["Block"]
    note: str = ""
    open: bool = False


Block = Text | Table | Figure | Gallery | Bars | Facts | Code | Disclosure


@dataclass(frozen=True)
class Section:
    """A heading and its blocks."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class ReportPage:
    """A whole page.

    Attributes:
        title: Page title.
        summary: Findings in a few sentences, one paragraph each.
        sections: Sections in reading order. None entries are skipped, so that a caller may write
            `sections=[a, b if measured else None]`.
        eyebrow: Short line above the title: the kind of report.
        footer: Short line at the end.
    """

    title: str
    summary: Sequence[str] = ()
    sections: Sequence[Section | None] = ()
    eyebrow: str = ""
    footer: str = ""
