"""Labels in and out: files of labels, and masks."""

import io
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, Response
from PIL import Image
from sqlalchemy import bindparam, select
from starlette.background import BackgroundTask

from minimax_al.campaign import Campaign
from minimax_al.campaign.masks import Mask, check_mask_size
from minimax_al.campaign.schema import items
from minimax_al.errors import DataError, MinimaxALError
from minimax_al.web.models import Author, IfWaiting, Import, ItemId, Labelled
from minimax_al.web.overview import campaign_name
from minimax_al.web.refusals import declared, not_found
from minimax_al.web.repeats import RequestWord
from minimax_al.web.state import TheCampaign, TheState

ExportFormat = Literal["csv", "parquet", "coco", "label-studio"]
"""The formats that are one file."""

FILES: dict[ExportFormat, tuple[str, str]] = {
    "csv": (".csv", "text/csv; charset=utf-8"),
    "parquet": (".parquet", "application/vnd.apache.parquet"),
    "coco": ("-coco.json", "application/json"),
    "label-studio": ("-label-studio.json", "application/json"),
}
"""How their files end, and how they are announced."""

_NAME_LENGTH = 60
_MASK_MODES = ("L", "P", "1", "RGB", "RGBA")
_SIZE = select(items.c.height, items.c.width).where(items.c.id == bindparam("item"))

router = APIRouter(prefix="/api", tags=["transfer"], responses=declared(400, 422))


async def _raw_body(request: Request) -> bytes:
    return await request.body()


RawBody = Annotated[bytes, Depends(_raw_body)]


def _takes(*types: str) -> dict[str, Any]:
    """The body of a route, in words for its description."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "content": dict.fromkeys(types, binary)}}


def _gives(*types: str) -> dict[int | str, dict[str, Any]]:
    """The file that a route answers with, in words for its description."""
    binary = {"type": "string", "format": "binary"}
    content = {kind: {"schema": {} if kind == "application/json" else binary} for kind in types}
    return {200: {"content": content, "description": "The file"}}


@router.get("/export/{format}", response_class=Response, responses=_gives(*(kind for _, kind in FILES.values())))
def export(format: ExportFormat, campaign: TheCampaign) -> Response:  # noqa: A002
    """All labels that hold, as a file to download."""
    ending, media_type = FILES[format]
    folder = tempfile.TemporaryDirectory(prefix="labels-")
    try:
        path = Path(folder.name) / f"{campaign_name(campaign.folder)}{ending}"
        campaign.export(format, path)
        tidy = BackgroundTask(folder.cleanup)
        return FileResponse(path, media_type=media_type, filename=path.name, background=tidy)
    except BaseException:
        folder.cleanup()
        raise


@router.post("/import", responses=declared(408, 413, 429), openapi_extra=_takes("application/octet-stream"))
def import_labels(
    *,
    filename: Annotated[str, Query(min_length=1, max_length=255, description="its ending tells the format")],
    body: RawBody,
    state: TheState,
    author: Annotated[Author, Query(description="who said them, where the file does not say")] = "import",
    create_classes: Annotated[bool, Query(description="take unknown classes as new ones")] = False,
) -> Import:
    """Takes labels from a file: all of them, or none and a sentence that says which is wrong."""
    with tempfile.TemporaryDirectory(prefix="labels-") as folder:
        path = Path(folder) / _plain_name(filename)
        path.write_bytes(body)
        try:
            done = state.campaign.import_labels(path, author=author, create_classes=create_classes)
        except MinimaxALError as error:
            # The sentence names the file; where it lay for a moment says nothing to anybody.
            raise DataError(str(error).replace(f"{folder}/", "")) from error.__cause__
        except UnicodeEncodeError as error:  # JSON can spell half of a character
            raise DataError(f"{path.name!r} holds text that no file can: {error.object[:40]!r}") from error
    state.readings.forget()
    fields = {**vars(done), "source": path.name, "new_classes": list(done.new_classes)}
    return Import(**fields)


@router.put("/masks/{item}", responses=declared(404, 408, 413, 429), openapi_extra=_takes("image/png"))
async def put_mask(
    item: ItemId, author: Author, body: RawBody, state: TheState, word: RequestWord, *, if_waiting: IfWaiting = False
) -> Labelled:
    """Labels a picture with a mask: a PNG of class numbers, 255 where ignored, in the picture's size."""

    def say() -> list[int]:
        mask = read_mask(body, _size(state.campaign, item))
        return state.campaign.label_mask(item, mask, author, request=word, if_waiting=if_waiting)

    late = await to_thread.run_sync(say, limiter=state.decoders)
    return Labelled(labelled=1 - len(late), answered_before=late)


def _size(campaign: Campaign, item: int) -> tuple[int, int]:
    """(height, width) of a picture whose file is there."""
    try:
        campaign.picture(item)
    except DataError as error:
        raise not_found(error) from error
    with campaign.store.reading() as connection:
        height, width = connection.execute(_SIZE, {"item": item}).one()
    if height is None or width is None:
        raise DataError(f"picture {item} cannot be read, so a mask says nothing")
    return height, width


def read_mask(content: bytes, size: tuple[int, int]) -> Mask:
    """A PNG file of class numbers: grey, palette, or equal parts of red, green and blue without transparency.

    Browsers draw in colour only, so that the last is what a page can make.

    Args:
        content: of the file; decoded only where it claims to be of that size.
        size: (height, width) of the picture.

    Raises:
        DataError: it is none.
    """
    with _readable():
        image = Image.open(io.BytesIO(content), formats=("PNG",))
    if image.mode not in _MASK_MODES:
        raise _no_numbers(image.mode)
    check_mask_size((image.height, image.width), size, "the file")
    with _readable():
        pixels = np.array(image)
    if pixels.ndim == 2:
        return pixels.astype(np.uint8)
    if np.ptp(pixels[..., :3], axis=2).any() or (pixels[..., 3:] != 255).any():
        raise _no_numbers(image.mode)
    return np.ascontiguousarray(pixels[..., 0])


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a damaged file makes a decoder raise anything
        raise DataError(f"the mask cannot be read as PNG: {error}") from error


def _no_numbers(mode: str) -> DataError:
    return DataError(f"a mask of mode {mode} is no map of class numbers: save 8-bit numbers, or a palette")


def _plain_name(filename: str) -> str:
    """The name of an uploaded file, without whatever could lead elsewhere."""
    plain = re.sub(r"[^\w.() -]", "_", filename).lstrip(".")
    return plain[-_NAME_LENGTH:] or "labels"
