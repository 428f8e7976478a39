"""Routes for drawing on images: size and layers, maps of the pixels, and previews of large images."""

import gzip
import hashlib
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args

import numpy as np
from fastapi import APIRouter, Header, Query
from fastapi.responses import Response
from numpy.typing import NDArray
from PIL import Image

from minimax_al.campaign import Campaign
from minimax_al.campaign.images.views import ViewKind
from minimax_al.data.decoding.decode import read_size
from minimax_al.data.masks.superpixels import Grain
from minimax_al.web.assets import takes_gzip
from minimax_al.web.images import (
    KnownTag,
    check_shown,
    decoded,
    find_source,
    full_image,
    has_tag,
    image_files,
    shown_answer,
    unchanged,
)
from minimax_al.web.masks import Canvas, class_numbers, drafts_of, find_canvas
from minimax_al.web.models import Author, DrawingInfo, ItemId, KnownAnswer
from minimax_al.web.refusals import declared, not_found
from minimax_al.web.roles import TheRole
from minimax_al.web.state import State, TheState
from minimax_al.web.thumbnails import PREVIEW_SIDE, make_preview

PixelKind = Literal[
    "label", "prediction", "entropy", "draft", "superpixels-fine", "superpixels-medium", "superpixels-coarse"
]
"""Maps of an image's pixels."""

_NUMBERED = ("label", "prediction", "draft")
"""Maps of class numbers."""

Read = TypeVar("Read")

router = APIRouter(tags=["masks"], responses=declared(400, 404, 422))
Encodings = Annotated[str | None, Header(alias="Accept-Encoding")]


@router.get("/api/drawing/{item}")
def drawing(item: ItemId, author: Annotated[Author, Query()], state: TheState, role: TheRole) -> DrawingInfo:
    """Return size, content and layers of an image to draw on.

    The annotator's link shows an answer to its author alone.
    """
    campaign = state.campaign
    canvas = find_canvas(campaign, item)
    height, width = canvas.size
    answer = shown_answer(campaign, item, role, author)
    return DrawingInfo(
        item=item,
        width=width,
        height=height,
        digest=canvas.content_hash,
        class_ids=class_numbers(campaign),
        draft_at=drafts_of(campaign).drawn_at(canvas.content_hash, author),
        answer=None
        if answer is None
        else KnownAnswer(id=answer.id, author=answer.author, at=int(answer.at.timestamp() * 1000)),
        label=answer is not None and campaign.view(item, "label") is not None,
        prediction=campaign.view(item, "prediction") is not None,
        entropy=campaign.view(item, "entropy") is not None,
    )


PIXELS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "headers": {
            "Pixels-Size": {"description": "WIDTHxHEIGHT of the map", "schema": {"type": "string"}, "required": True},
            "Class-Ids": {
                "description": "Ids of the classes in the order of their numbers, for a map of class numbers",
                "schema": {"type": "string"},
            },
        },
        "description": "Values row by row, one byte each; two (little-endian) for superpixels",
    },
    304: {"description": "The browser has it"},
}
"""Declaration of the answers with a map of pixels."""


@router.get("/api/pixels/{item}/{kind}", response_class=Response, responses=PIXELS)
async def pixels(
    item: ItemId,
    kind: PixelKind,
    state: TheState,
    role: TheRole,
    *,
    author: Annotated[
        Author | None, Query(description="Annotator whose draft is requested, or who asks for a label")
    ] = None,
    known: KnownTag = None,
    encodings: Encodings = None,
) -> Response:
    """Return a map of an image's pixels: class numbers, uncertainty from 0 to 255, or superpixels.

    Predictions, uncertainty and superpixels may be coarser than the image; they cover all of it.
    """

    def read(state: State, item: int, known: str | None) -> Response:
        canvas = find_canvas(state.campaign, item)
        if kind == "label":
            check_shown(state.campaign, item, role, author)
        if kind not in _NUMBERED:
            return as_map(_map_of(state, item, canvas, kind, author), known, encodings or "")
        values, ids = with_class_ids(state.campaign, lambda: _map_of(state, item, canvas, kind, author))
        return as_map(values, known, encodings or "", class_ids=ids)

    return await decoded(state, read, item, known)


@router.get("/previews/{item}", response_class=Response, responses=image_files("image/jpeg", "image/png"))
async def preview(item: ItemId, state: TheState, known: KnownTag = None) -> Response:
    """Return an image whose longer side is at most 2,048 pixels; a smaller one as it is."""
    return await decoded(state, _preview, item, known)


def _map_of(state: State, item: int, canvas: Canvas, kind: PixelKind, author: str | None) -> NDArray[Any]:
    campaign = state.campaign
    if kind == "draft":
        draft = drafts_of(campaign).load(canvas.content_hash, author or "", class_numbers(campaign))
        if draft is None:
            raise not_found(f"image {item} has no draft of {author!r}")
        return draft.mask
    for grain in get_args(Grain):
        if kind == f"superpixels-{grain}":
            source = find_source(campaign, item)
            return state.superpixels.load(source.digest, grain, source.path)
    view: ViewKind = next(one for one in get_args(ViewKind) if one == kind)
    path = campaign.view(item, view)
    if path is None:
        raise not_found(f"there is no {kind} of image {item}")
    with Image.open(path, formats=("PNG",)) as image:
        return np.asarray(image)


def with_class_ids(campaign: Campaign, read: Callable[[], Read]) -> tuple[Read, list[int]]:
    """Return what `read` returns, and the ids of the classes at that moment, in the order of their numbers.

    Args:
        campaign: Campaign.
        read: Function that reads class numbers; repeated if the classes change meanwhile.
    """
    while True:
        ids = class_numbers(campaign)
        found = read()
        if class_numbers(campaign) == ids:
            return found, ids


def as_map(
    values: NDArray[Any],
    known: str | None,
    encodings: str,
    tag: str | None = None,
    class_ids: Sequence[int] | None = None,
) -> Response:
    """Return a map of pixels as an answer.

    Args:
        values: Map, shape (h, w), dtype uint8 or uint16.
        known: ETag of the copy in the browser.
        encodings: Encodings that the browser accepts.
        tag: ETag of the map; None for that of its content.
        class_ids: Ids of the classes in the order of their numbers in the map; None for other values.
    """
    content = np.ascontiguousarray(values).tobytes()
    ids = "" if class_ids is None else ",".join(map(str, class_ids))
    tag = tag or f'"{hashlib.sha256(content + ids.encode()).hexdigest()}"'
    if has_tag(known, tag):
        return unchanged(tag)
    headers = {"ETag": tag, "Pixels-Size": f"{values.shape[1]}x{values.shape[0]}", "Vary": "Accept-Encoding"}
    if class_ids is not None:
        headers["Class-Ids"] = ids
    if takes_gzip(encodings):
        content = gzip.compress(content, compresslevel=1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(content, media_type="application/octet-stream", headers=headers)


def _preview(state: State, item: int, known: str | None) -> Response:
    source = find_source(state.campaign, item)
    if max(read_size(source.path)) <= PREVIEW_SIDE:
        return full_image(state, item, known)
    tag = f'"{source.digest}-preview"'
    if has_tag(known, tag):
        return unchanged(tag)
    return Response(make_preview(source.path), media_type="image/jpeg", headers={"ETag": tag})
