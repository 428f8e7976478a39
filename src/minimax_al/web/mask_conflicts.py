"""Routes for conflicts between two masks of one image, for managers: both masks, and where they differ."""

from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from minimax_al.campaign.opinions.second_opinions import Opinion
from minimax_al.data.masks.mask_store import Mask
from minimax_al.errors import DataError
from minimax_al.vocabulary import IGNORED
from minimax_al.web.colours import as_heat, in_class_colours
from minimax_al.web.idempotency import RequestKey
from minimax_al.web.images import KnownTag, decoded, has_tag, image_files, unchanged
from minimax_al.web.masks import class_numbers
from minimax_al.web.models import Answered, Author, ItemId, ReplaceDecision, Request
from minimax_al.web.pixels import PIXELS, Encodings, as_map, with_class_ids
from minimax_al.web.refusals import declared, meanwhile, not_found
from minimax_al.web.roles import ManagerOnly
from minimax_al.web.state import State, TheCampaign, TheState

TILE_SIDE = 768
"""Longer side of a mask that is shown as a tile, in pixels."""

router = APIRouter(tags=["masks"], dependencies=[ManagerOnly], responses=declared(400, 404, 422))


class DecideMaskRequest(Request):
    """Request to decide a conflict by taking one annotator's mask."""

    author: Author
    item: ItemId
    mask: Annotated[Opinion, Field(description="Annotator whose mask is right, as in the list of conflicts")]
    replace: ReplaceDecision = False


@router.get("/api/opinions/{item}/{which}", response_class=Response, responses=PIXELS)
async def opinion(
    item: ItemId, which: Opinion, state: TheState, *, known: KnownTag = None, encodings: Encodings = None
) -> Response:
    """Return the class numbers of one annotator's mask, row by row, one byte each."""

    def read(state: State, item: int, known: str | None) -> Response:
        version = state.campaign.opinion_version(item, which)
        tag = f'"{version}-{"-".join(map(str, class_numbers(state.campaign)))}"'
        if has_tag(known, tag):
            return unchanged(tag)
        values, ids = with_class_ids(state.campaign, lambda: state.campaign.opinion_mask(item, which))
        return as_map(values, known, encodings or "", tag, ids)

    return await decoded(state, read, item, known)


@router.get("/opinions/{item}/{layer}.png", response_class=Response, responses=image_files("image/png"))
async def tile(
    item: ItemId, layer: Literal["first", "second", "difference"], state: TheState, known: KnownTag = None
) -> Response:
    """Return one of the two masks in the colours of the classes, or where they differ, reduced to a tile."""

    def read(state: State, item: int, known: str | None) -> Response:
        campaign = state.campaign
        sides: tuple[Opinion, ...] = ("first", "second") if layer == "difference" else (layer,)
        versions = "-".join(campaign.opinion_version(item, side) for side in sides)
        tag = f'"{layer}-{len(campaign.classes)}-{versions}"'
        if has_tag(known, tag):
            return unchanged(tag)
        if layer == "difference":
            one, other = (_reduced(campaign.opinion_mask(item, which)) for which in ("first", "second"))
            content = as_heat(np.where(one == other, 0, IGNORED).astype(np.uint8))
        else:
            content = in_class_colours(_reduced(campaign.opinion_mask(item, layer)), len(campaign.classes))
        return Response(content, media_type="image/png", headers={"ETag": tag})

    return await decoded(state, read, item, known)


@router.post("/api/decide-mask", responses=declared(408, 409, 413))
def decide_mask(asked: DecideMaskRequest, campaign: TheCampaign, key: RequestKey) -> Answered:
    """Decide a conflict: one annotator's mask replaces both.

    It is refused with 409 if another manager has decided it, or if the image is not a conflict any more.
    """
    try:
        with meanwhile():
            campaign.decide_mask(asked.item, asked.mask, asked.author, replace=asked.replace, request=key)
    except DataError as error:
        raise not_found(error) from error
    return Answered(answered=1)


def _reduced(mask: Mask) -> Mask:
    """Return a mask by nearest neighbour, at most `TILE_SIDE` pixels long."""
    step = max(1, -(-max(mask.shape) // TILE_SIDE))
    return mask[step // 2 :: step, step // 2 :: step] if step > 1 else mask
