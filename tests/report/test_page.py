from html.parser import HTMLParser

import numpy as np
import pytest

from minimax_al.errors import ConfigurationError
from minimax_al.report.blocks import (
    Bar,
    Bars,
    Code,
    Disclosure,
    Facts,
    Figure,
    Gallery,
    Image,
    ReportPage,
    Section,
    Table,
    TableCell,
    Text,
)
from minimax_al.report.curves import Curve
from minimax_al.report.page import render_page, write_page
from minimax_al.report.plots import plot_curves
from minimax_al.report.thumbnails import thumbnail

HOSTILE = "<script>alert('ü')</script>\" onload=\"x & 日本"
VOID = {"meta", "img", "link", "br", "hr", "input", "source"}
CURVE = Curve("digits", HOSTILE, "accuracy", (0, 1), np.array([20, 40]), np.array([[0.1, 0.2], [0.2, 0.4]]))


class Outline(HTMLParser):
    """Parser that checks the nesting of tags and collects the elements of a page."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(document)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    def named(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def everything(text: str) -> ReportPage:
    pixels = np.zeros((8, 8, 3), np.uint8)
    blocks = [
        Text([text]),
        Text([text], quiet=True),
        Table([text, TableCell(text, text)], [[text, TableCell(text, text, "win")], [text, "1"]], text),
        Figure(plot_curves([CURVE]), text, text),
        Gallery([Image(thumbnail(pixels), text, text, [(text, text)])], text, omitted=3),
        Bars([Bar(text, 1.0), Bar(text, 2.0, 2)], text),
        Facts([(text, text)]),
        Code(text),
        Disclosure(text, [Disclosure(text, [Text([text])])], text, open=True),
    ]
    return ReportPage(text, [text], [Section(text, blocks), None, *[Section(text, [])] * 3], text, text)


def test_every_block_escapes_its_text():
    document = render_page(everything(HOSTILE))
    page = Outline(document)
    assert "<script" not in document
    assert not page.named("script")
    assert not any("onload" in attributes for _, attributes in page.tags)
    plain = Outline(render_page(everything("plain")))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert "".join(page.text).count("alert('ü')") >= 20


def test_the_page_asks_for_nothing_outside_itself():
    page = Outline(render_page(everything("x")))
    assert not page.named("link")
    assert all(image["src"].startswith("data:image/png") for image in page.named("img"))
    assert all(link["href"].startswith("#section-") for link in page.named("a"))
    policy = next(m["content"] for m in page.named("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_images_and_drawings_have_words():
    page = Outline(render_page(everything("x")))
    assert all(image["alt"] for image in page.named("img"))
    assert all(drawing.get("role") == "img" for drawing in page.named("svg"))
    assert page.named("html") == [{"lang": "en"}]


def test_contents_lead_to_the_sections():
    page = Outline(render_page(everything("x")))
    targets = {heading["id"] for heading in page.named("h2")}
    assert {link["href"][1:] for link in page.named("a")} == targets
    assert len(targets) == 4  # the None left no gap


def test_short_pages_have_no_contents():
    assert not Outline(render_page(ReportPage("t", sections=[Section("a", [])]))).named("nav")


def test_the_same_page_gives_the_same_text():
    assert render_page(everything("x")) == render_page(everything("x"))


def test_bars_are_as_high_as_their_value_of_the_top():
    bars = [Bar("a", 0), Bar("b", 5), Bar("c", 10)]
    page = Outline(render_page(ReportPage("t", sections=[Section("s", [Bars(bars, top=20), Bars(bars)])])))
    assert [float(rect["height"]) for rect in page.named("rect")] == [0, 25, 50, 0, 50, 100]
    empty = Outline(render_page(ReportPage("t", sections=[Section("s", [Bars([Bar("a", 0)])])])))
    assert [float(rect["height"]) for rect in empty.named("rect")] == [0]


def test_the_first_cell_of_a_row_is_its_heading():
    table = Table(["strategy", "accuracy"], [["mal", TableCell("0.5", tone="best")]])
    page = Outline(render_page(ReportPage("t", sections=[Section("s", [table])])))
    assert [cell.get("scope") for cell in page.named("th")] == ["col", "col", "row"]
    assert page.named("td") == [{"class": "best"}]


def test_a_table_row_must_fill_the_columns():
    with pytest.raises(ConfigurationError, match="row 1 of the table 'scores' has 1 cells for 2 columns"):
        Table(["a", "b"], [["1", "2"], ["1"]], "scores")


def test_numbers_keep_their_spread_on_their_line():
    assert "83.1\u00a0±\u00a01.2%" in render_page(ReportPage("t", ["MAL has 83.1 ± 1.2%."]))


def test_writing_replaces_the_whole_file(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old " * 100_000)
    write_page(path, ReportPage("ü"))
    assert path.read_text(encoding="utf-8") == render_page(ReportPage("ü"))
    assert list(tmp_path.iterdir()) == [path]
