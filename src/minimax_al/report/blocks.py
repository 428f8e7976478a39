"""What a page is made of: small blocks of plain data, which the page's template turns into HTML.

All text is plain: the template escapes it. The one exception is `Figure.svg`, which is markup and must come
from this package's own drawing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from minimax_al.errors import ConfigurationError


@dataclass(frozen=True)
class Text:
    """Paragraphs.

    Attributes:
        paragraphs: plain text.
        quiet: set small and muted, for remarks below a figure or a table.
    """

    kind: ClassVar[str] = "text"
    paragraphs: Sequence[str]
    quiet: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what it shows.
        detail: a second, muted line.
        tone: colour and weight: "best" is bold, "good" and "bad" are coloured, "win" and "loss" have a
            coloured ground too, "muted" steps back.
    """

    text: str
    detail: str = ""
    tone: Literal["", "best", "good", "bad", "win", "loss", "muted"] = ""


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows; all other columns are set as numbers, right-aligned.

    Attributes:
        columns: headings, that of the first column too; a cell's detail is a second line.
        rows: cells, as many a row as there are columns; text stands for a plain cell.
        caption: what the table shows.
        words: columns (by position) that hold words, not numbers; left-aligned.

    Raises:
        ConfigurationError: a row has another number of cells than there are columns.
    """

    kind: ClassVar[str] = "table"
    columns: Sequence[str | Cell]
    rows: Sequence[Sequence[str | Cell]]
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
        svg: the SVG element, put into the page as it is: only ever from `report.plots`.
        alt: what it shows, for who cannot see it.
        caption: text below.
    """

    kind: ClassVar[str] = "figure"
    svg: str
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Image:
    """A thumbnail with what is to be said about it.

    Attributes:
        source: a data URI, from `report.thumbnails`.
        name: the image's name; alternative text and tooltip.
        title: one line below the image, a class say.
        values: pairs of a name and a value below, the scores say.
    """

    source: str
    name: str
    title: str = ""
    values: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Gallery:
    """Thumbnails in a grid.

    Attributes:
        images: what is shown.
        caption: what they have in common.
        omitted: how many more there are that are not shown.
        wide: each image is a strip of several views, and takes the room it needs.
    """

    kind: ClassVar[str] = "gallery"
    images: Sequence[Image]
    caption: str = ""
    omitted: int = 0
    wide: bool = False


@dataclass(frozen=True)
class Bar:
    """One bar: a class and how many images it has, say; `group` picks one of three tints (0, 1, 2)."""

    label: str
    value: float
    group: int = 0


@dataclass(frozen=True)
class Bars:
    """Small upright bars in one row.

    Attributes:
        bars: from left to right.
        caption: what they count.
        top: value of full height; None for the largest bar. Give rows that are compared the same.
    """

    kind: ClassVar[str] = "bars"
    bars: Sequence[Bar]
    caption: str = ""
    top: float | None = None


@dataclass(frozen=True)
class Facts:
    """Names and what they stand for: a command, versions, settings."""

    kind: ClassVar[str] = "facts"
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Code:
    """Text to copy, set as it is."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Disclosure:
    """Blocks that open on demand, behind one line.

    Attributes:
        summary: the line.
        blocks: what it opens.
        note: muted words at the end of the line.
        open: open from the start.
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
        title: the page's title.
        summary: the findings in a few sentences, one paragraph each.
        sections: in reading order; None entries are left out, so that a caller may write
            `sections=[a, b if measured else None]`.
        eyebrow: a short line above the title: what kind of report this is.
        footer: a short line at the end.
    """

    title: str
    summary: Sequence[str] = ()
    sections: Sequence[Section | None] = ()
    eyebrow: str = ""
    footer: str = ""
