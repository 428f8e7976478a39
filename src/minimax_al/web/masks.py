"""Routes for masks: save one, and keep drafts of them."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from anyio import to_thread
from fastapi import APIRouter, HTTPException, Query
from pydantic import Field
from sqlalchemy import select

from minimax_al.campaign import Campaign
from minimax_al.campaign.masks.drafts import DRAFTS, Draft, DraftFiles
from minimax_al.campaign.masks.mask_owner import other_owner
from minimax_al.campaign.store.schema import items
from minimax_al.data.masks.legend import Legend
from minimax_al.data.masks.mask_files import read_png_mask
from minimax_al.data.masks.mask_store import Mask, check_mask_size
from minimax_al.errors import CampaignError, DataError
from minimax_al.vocabulary import IGNORED
from minimax_al.web.idempotency import RequestKey
from minimax_al.web.models import Author, Drawn, IfWaiting, ItemId, Labelled
from minimax_al.web.refusals import conflict, declared, meanwhile, not_found
from minimax_al.web.roles import TheRole
from minimax_al.web.state import TheState
from minimax_al.web.transfer import RawBody, takes

FileName = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=255,
        description="Name of the mask's file; refused with 409 if it is the name of another image",
    ),
]

Replaces = Annotated[
    int | None,
    Query(ge=0, le=2**63 - 1, description="Id of the answer that the mask corrects, 0 for none: see the drawing"),
]

DrawnWith = Annotated[
    list[Annotated[int, Field(ge=0, le=2**63 - 1)]] | None,
    Query(
        alias="class_id",
        max_length=IGNORED,
        description="Ids of the classes, in the order of the numbers in the mask; by default the classes of now",
    ),
]

_FACTS = select(items.c.path, items.c.height, items.c.width, items.c.content_hash)

router = APIRouter(prefix="/api", tags=["masks"], responses=declared(400, 404, 408, 413, 422, 429))


class Canvas(NamedTuple):
    """Image to draw on.

    Attributes:
        path: Path of the image below the images' folder.
        size: (height, width) in pixels, upright.
        content_hash: sha256 of its file.
    """

    path: str
    size: tuple[int, int]
    content_hash: str


@router.put("/masks/{item}", responses=declared(409), openapi_extra=takes("image/png"))
async def put_mask(
    *,
    item: ItemId,
    author: Author,
    body: RawBody,
    state: TheState,
    key: RequestKey,
    role: TheRole,
    if_waiting: IfWaiting = False,
    replaces: Replaces = None,
    decides: Annotated[bool, Query(description="Whether the mask decides a conflict between two annotators")] = False,
    filename: FileName = None,
    drawn_with: DrawnWith = None,
) -> Labelled:
    """Label an image with a mask: a PNG of class numbers in the image's size, 255 = ignore.

    Numbers may be kept in any mode, and in colour where red, green and blue are equal. The annotator's draft of the
    image is removed. A correction is refused with 409 if the image has another answer than the corrected one; so is a
    mask with a class that has left the campaign. Other changes of the classes renumber the mask.
    """
    own_only = role != "manager"
    if decides and own_only:
        raise HTTPException(403, "conflicts are for managers: open the manager's link, which the server has printed")

    def save() -> list[int]:
        campaign = state.campaign
        canvas = find_canvas(campaign, item)
        if filename is not None:
            _check_owner(campaign, filename, canvas.path)
        drawn = drawn_with or class_numbers(campaign)
        mask = _read(drawn, body, canvas, filename)
        with meanwhile():
            late = campaign.label_mask(
                item,
                mask,
                author,
                request=key,
                if_waiting=if_waiting,
                own_only=own_only,
                replaces=replaces,
                decides=decides,
                origin="page",
                drawn_with=drawn,
            )
        drafts_of(campaign).remove(canvas.content_hash, author)
        return late

    late = await to_thread.run_sync(save, limiter=state.decoders)
    return Labelled(labelled=1 - len(late), answered_before=late)


@router.put("/drafts/{item}", openapi_extra=takes("image/png"))
async def put_draft(
    *,
    item: ItemId,
    author: Author,
    body: RawBody,
    state: TheState,
    at: Annotated[int, Query(ge=0, le=2**53, description="Time of the last change, in milliseconds since 1970")],
    drawn_with: DrawnWith = None,
) -> Drawn:
    """Keep an annotator's unfinished mask: a PNG as for a mask, 255 = not drawn."""

    def keep() -> None:
        campaign = state.campaign
        canvas = find_canvas(campaign, item)
        drawn = drawn_with or class_numbers(campaign)
        draft = Draft(_read(drawn, body, canvas, None), at)
        drafts_of(campaign).save(canvas.content_hash, author, draft, drawn)

    await to_thread.run_sync(keep, limiter=state.decoders)
    return Drawn(at=at)


def drafts_of(campaign: Campaign) -> DraftFiles:
    """Return the drafts of a campaign."""
    return DraftFiles(campaign.folder / DRAFTS)


def class_numbers(campaign: Campaign) -> list[int]:
    """Return the ids of the classes, in the order of their numbers in masks."""
    return list(campaign.class_ids.values())


def find_canvas(campaign: Campaign, item: int) -> Canvas:
    """Return an image of a segmentation campaign whose file exists.

    Raises:
        HTTPException: The image does not exist (404).
        CampaignError: The campaign is of classes.
        DataError: The image cannot be read.
    """
    try:
        campaign.image(item)
    except DataError as error:
        raise not_found(error) from error
    if campaign.settings.task != "segmentation":
        raise CampaignError("this campaign is of classes, not of masks: use label")
    with campaign.store.reading() as connection:
        path, height, width, content_hash = connection.execute(_FACTS.where(items.c.id == item)).one()
    if height is None or width is None or content_hash is None:
        raise DataError(f"image {item} cannot be read: a mask of it is useless")
    return Canvas(path, (height, width), content_hash)


def _read(drawn: Sequence[int], body: bytes, canvas: Canvas, filename: str | None) -> Mask:
    legend, name = Legend.of_numbers([str(identity) for identity in drawn]), filename or f"{canvas.path}.png"
    return read_png_mask(body, legend, name, lambda found: check_mask_size(found, canvas.size, repr(canvas.path)))


def _check_owner(campaign: Campaign, filename: str, path: str) -> None:
    with campaign.store.reading() as connection:
        other = other_owner(connection, filename, path)
    if other is not None:
        raise conflict(f"{filename!r} is named after the image {other!r}, and this is {path!r}")
