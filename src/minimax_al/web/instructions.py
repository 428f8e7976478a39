"""Instructions for annotators: a Markdown text of the campaign's owner, with example images from the same folder.

Raw HTML in the text is shown as text, links of dangerous schemes are not made, and images come from the folder alone.
"""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import APIRouter
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from markdown_it import MarkdownIt
from markdown_it.token import Token

from minimax_al.campaign import Campaign
from minimax_al.web.refusals import declared, not_found
from minimax_al.web.state import TheCampaign

TEXT = "instructions.md"
"""File of the text, in the folder that the setting `instructions` names."""

_IMAGE = r"^[\w][\w .()-]*\.(?:png|jpe?g|webp|gif)$"
_MOST_BYTES = 200_000

router = APIRouter(tags=["page"])


def render_instructions(campaign: Campaign) -> str:
    """Return the instructions as HTML that is safe to show; empty without a text."""
    try:
        text = (_folder(campaign) / TEXT).read_bytes()[:_MOST_BYTES].decode("utf-8", "replace")
    except OSError:
        return ""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        if token.tag in ("h1", "h2", "h3", "h4") and token.type.startswith("heading"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"  # below the headings of the page
        _keep_own_images(token)
    return str(parser.renderer.render(tokens, parser.options, {}))


def _keep_own_images(token: Token) -> None:
    """Let images of the folder be loaded by this server; others become their description."""
    for child in token.children or []:
        if child.type == "image":
            name = unquote(str(child.attrs.get("src", "")))  # the parser has escaped spaces and letters beyond ASCII
            if re.fullmatch(_IMAGE, name):
                child.attrs = {**child.attrs, "src": f"instructions/{quote(name)}", "loading": "lazy"}
            else:
                child.type, child.children = "text", None


@router.get("/instructions/{name}", response_class=FileResponse, responses=declared(404, 422))
def example(name: Annotated[str, InPath(pattern=_IMAGE, max_length=255)], campaign: TheCampaign) -> FileResponse:
    """Return an example image of the instructions."""
    path = _folder(campaign) / name
    if not path.is_file() or path.is_symlink():
        raise not_found(f"the instructions have no image {name!r}")
    return FileResponse(path)


def _folder(campaign: Campaign) -> Path:
    return campaign.folder / campaign.settings.instructions
