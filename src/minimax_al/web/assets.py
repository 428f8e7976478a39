"""Script and styles of the page under names that follow from their content, compressed, for browsers to keep.

A new version has another name, so a browser may keep its copy for ever. Only these files are compressed: they hold
nothing of the campaign, no token and no text that a client has sent, so that their size tells nothing.
"""

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response

from minimax_al.web.bundle import bundle_modules, join_styles
from minimax_al.web.refusals import declared, not_found

STATIC = Path(__file__).parent / "static"
"""Styles and scripts."""

STYLES = ("base.css", "layout.css", "views.css", "pool.css", "panel.css", "drawing.css")
"""Style sheets of the page, in their order; those that do not exist are left out."""

_FOR_EVER = "private, max-age=31536000, immutable"
_DIGITS = 16

router = APIRouter(tags=["page"])


class Asset(NamedTuple):
    """File under a name that follows from its content.

    Attributes:
        path: Path of its address below the page's.
        media_type: Media type.
        content: Content.
        compressed: The same, compressed by gzip.
    """

    path: str
    media_type: str
    content: bytes
    compressed: bytes


@cache
def page_assets() -> dict[str, Asset]:
    """Return the script, the styles and the icon of the page by name."""
    styles = join_styles([STATIC / name for name in STYLES if (STATIC / name).is_file()])
    return {
        "script": _asset("page.js", "text/javascript; charset=utf-8", bundle_modules(STATIC / "main.js").encode()),
        "styles": _asset("page.css", "text/css; charset=utf-8", styles.encode()),
        "icon": _asset("icon.svg", "image/svg+xml", (STATIC / "icon.svg").read_bytes()),
    }


def _asset(name: str, media_type: str, content: bytes) -> Asset:
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    return Asset(f"assets/{digest}/{name}", media_type, content, gzip.compress(content, mtime=0))


@router.get("/assets/{digest}/{name}", response_class=Response, include_in_schema=False, responses=declared(404))
async def asset(digest: str, name: str, request: Request) -> Response:
    """Return a file of the page, compressed if the browser takes that."""
    found = next((one for one in page_assets().values() if one.path == f"assets/{digest}/{name}"), None)
    if found is None:
        raise not_found("this version of the page is gone: reload it")
    headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
    if takes_gzip(request.headers.get("accept-encoding", "")):
        headers["Content-Encoding"] = "gzip"
        return Response(found.compressed, media_type=found.media_type, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)


def takes_gzip(accepted: str) -> bool:
    """Return whether a header Accept-Encoding takes gzip.

    Example:
        >>> takes_gzip("gzip, deflate, br"), takes_gzip("gzip;q=0, br"), takes_gzip("")
        (True, False, False)
    """
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
