"""Formulas become MathML while the site is built, so that no reader's browser asks anybody for a script."""

import html
import re

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: object) -> str:
    r"""Replace what the extension arithmatex marks, `\(…\)` in a line and `\[…\]` alone, by MathML."""
    return _FORMULA.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found[1] == "div" else "inline"
    return convert(html.unescape(found[2]).strip(), display=display).replace("<mi>&</mi>", "")
