"""Figures become part of the page while the site is built; drawings then follow its light and dark."""

import re
from base64 import b64encode
from html import escape
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page

_FIGURE = re.compile(r"^!\[([^\]]*)\]\(([^)]+\.(?:svg|webp))\)$", re.MULTILINE)
_NOT_HTML = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->", re.DOTALL)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Replace every line `![caption](figure.svg)` by the figure; its path is relative to the page's file."""
    folder = Path(config.docs_dir, page.file.src_uri).parent

    def figure(found: re.Match[str]) -> str:
        caption, path = found[1], folder / found[2]
        shown = _drawing(path) if path.suffix == ".svg" else _image(path, caption)
        return "\n".join(['<figure class="drawing">', shown, f"<figcaption>{caption}</figcaption>", "</figure>"])

    return _FIGURE.sub(figure, markdown)


def _drawing(path: Path) -> str:
    svg = _NOT_HTML.sub("", path.read_text(encoding="utf-8"))
    # An empty line would end the block of HTML.
    return "\n".join(line for line in svg.splitlines() if line.strip())


def _image(path: Path, caption: str) -> str:
    return f'<img alt="{escape(caption)}" src="data:image/webp;base64,{b64encode(path.read_bytes()).decode()}">'
