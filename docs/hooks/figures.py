"""Drawings become part of the page while the site is built, so that they follow its light and dark."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page

_DRAWING = re.compile(r"^!\[([^\]]*)\]\(([^)]+\.svg)\)$", re.MULTILINE)
_NOT_HTML = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->", re.DOTALL)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Replace every line `![caption](drawing.svg)` by the drawing; its path is relative to the page's file."""
    folder = Path(config.docs_dir, page.file.src_uri).parent

    def figure(found: re.Match[str]) -> str:
        path = folder / found[2]
        svg = _NOT_HTML.sub("", path.read_text(encoding="utf-8"))
        # An empty line would end the block of HTML.
        lines = [line for line in svg.splitlines() if line.strip()]
        return "\n".join(['<figure class="drawing">', *lines, f"<figcaption>{found[1]}</figcaption>", "</figure>"])

    return _DRAWING.sub(figure, markdown)
