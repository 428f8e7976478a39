"""Images by id: in full size, as thumbnails, and as views of masks, predictions and entropy."""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NamedTuple

from anyio import to_thread
from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import Row, bindparam, select
from starlette.types import Receive, Scope, Send

from minimax_al.campaign import Campaign, ViewKind
from minimax_al.campaign.store.history import answer_of
from minimax_al.campaign.store.schema import items
from minimax_al.data.decoding.decode import why_unreadable
from minimax_al.data.locations.location import read_bytes
from minimax_al.data.object_storage.urls import is_url
from minimax_al.errors import DataError
from minimax_al.web.colours import coloured
from minimax_al.web.models import Author, ItemId
from minimax_al.web.refusals import declared, not_found
from minimax_al.web.roles import Role, TheRole
from minimax_al.web.state import State, TheState
from minimax_al.web.thumbnails import as_png, differs_from_model, transcode

SHOWN = {
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/avif": re.compile(rb"....ftypavi[fs]", re.DOTALL),
    "image/bmp": re.compile(rb"BM"),
}
"""Formats that browsers show: the first bytes of a file, by media type."""

_CHUNK = 1 << 18
_AS_FOUND = select(items.c.content_hash, items.c.size_bytes, items.c.modified_ns).where(items.c.id == bindparam("item"))

router = APIRouter(tags=["images"], responses=declared(404, 422))
KnownTag = Annotated[str | None, Header(alias="If-None-Match", description="ETag of the copy in the browser")]


class Source(NamedTuple):
    """The file of an image.

    Attributes:
        path: below the images' folder, all links followed; a URL in object storage.
        digest: sha256 of its content.
    """

    path: Path | str
    digest: str


def image_files(*types: str) -> dict[int | str, dict[str, Any]]:
    """Return the declaration of a file of these types, or of 304 if the browser has it."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        200: {"content": dict.fromkeys(types, binary), "description": "The file"},
        304: {"description": "The browser has it"},
    }


@router.get("/images/{item}", response_class=Response, responses=image_files(*SHOWN))
async def image(item: ItemId, state: TheState, known: KnownTag = None) -> Response:
    """Return an image in full size; as JPEG if browsers do not show its format."""
    return await decoded(state, full_image, item, known)


@router.get("/thumbnails/{item}", response_class=Response, responses=image_files("image/jpeg"))
async def thumbnail(item: ItemId, state: TheState, known: KnownTag = None) -> Response:
    """Return a small image, upright."""
    return await decoded(state, _thumbnail, item, known)


@router.get("/views/{item}/{kind}.png", response_class=Response, responses=image_files("image/png"))
async def view(
    item: ItemId,
    kind: ViewKind,
    state: TheState,
    role: TheRole,
    *,
    author: Annotated[Author | None, Query(description="Annotator who asks for a label")] = None,
    only: Annotated[int | None, Query(ge=0, lt=255, description="Only class number to show of a label")] = None,
    known: KnownTag = None,
) -> Response:
    """Return a view of an image's pixels: classes in their colours, or uncertainty as a heat map.

    The annotator's link shows a label to its author alone.
    """

    def read(state: State, item: int, known: str | None) -> Response:
        if kind == "label":
            check_shown(state.campaign, item, role, author)
        return _view(state, item, kind, known, only if kind == "label" else None)

    return await decoded(state, read, item, known)


async def decoded(
    state: State, answer: Callable[[State, int, str | None], Response], item: int, known: str | None
) -> Response:
    """Run in one of a few separate threads, so that many thumbnails do not delay a label."""
    try:
        return await to_thread.run_sync(answer, state, item, known, limiter=state.decoders)
    except (DataError, OSError) as error:  # not in the campaign, gone, or broken
        raise not_found(_sentence(error)) from error


def full_image(state: State, item: int, known: str | None) -> Response:
    """Return an image's file, or the pixels that the model sees where browsers would show none or others."""
    source = find_source(state.campaign, item)
    as_seen = differs_from_model(source.path)
    tag = f'"{source.digest}{"-seen" if as_seen else ""}"'
    if has_tag(known, tag):
        return unchanged(tag)
    if as_seen:
        return Response(as_png(source.path), media_type="image/png", headers={"ETag": tag})
    if is_url(source.path):
        return _object(source, tag)
    file = Path(source.path).open("rb")  # noqa: SIM115 - the answer closes it
    media_type = _media_type(file.peek(16))
    if media_type is None:
        file.close()
        return Response(transcode(source.path), media_type="image/jpeg", headers={"ETag": tag})
    headers = {"ETag": tag, "Content-Length": str(os.fstat(file.fileno()).st_size)}
    return _FileResponse(file, media_type, headers)


def _object(source: Source, tag: str) -> Response:
    """Return an object through this server: browsers get neither its URL nor a signature."""
    content = read_bytes(source.path)
    media_type = _media_type(content[:16])
    if media_type is None:
        return Response(transcode(source.path), media_type="image/jpeg", headers={"ETag": tag})
    return Response(content, media_type=media_type, headers={"ETag": tag})


def _thumbnail(state: State, item: int, known: str | None) -> Response:
    source = find_source(state.campaign, item)
    tag = f'"{source.digest}-small"'
    if has_tag(known, tag):
        return unchanged(tag)
    content = state.thumbnails.of(source.path, source.digest)
    return Response(content, media_type="image/jpeg", headers={"ETag": tag})


def _view(state: State, item: int, kind: ViewKind, known: str | None, only: int | None) -> Response:
    path = state.campaign.view(item, kind)
    if path is None:
        raise not_found(f"there is no {kind} of image {item}")
    classes = len(state.campaign.classes)
    tag = f'"{_sha256(path)}-{classes}{"" if only is None else f"-{only}"}"'
    if has_tag(known, tag):
        return unchanged(tag)
    return Response(coloured(path, kind, classes, only), media_type="image/png", headers={"ETag": tag})


def shown_answer(campaign: Campaign, item: int, role: Role, author: str | None) -> Row[Any] | None:
    """Return the current answer to an image as a row of the history; None if it is hidden, or does not exist.

    Args:
        campaign: Campaign.
        item: Id of the image.
        role: Role of the request: annotators see their own answers alone.
        author: Annotator of the request.
    """
    with campaign.store.reading() as connection:
        answer = answer_of(connection, item)
    return None if answer is None or (role != "manager" and answer.author != author) else answer


def check_shown(campaign: Campaign, item: int, role: Role, author: str | None) -> None:
    """Raise an error if the label of an image is hidden, as if it did not exist.

    Raises:
        HTTPException: The label is another annotator's (404).
    """
    if role != "manager" and shown_answer(campaign, item, role, author) is None:
        raise not_found(f"there is no label of image {item}")


def find_source(campaign: Campaign, item: int) -> Source:
    """Return the file of an image, and the digest of its content.

    The digest of the last refresh is used while the file has the same size and time.

    Raises:
        DataError: The image does not exist, its file does not lie in the folder, or it was broken since.
        OSError: The file is gone, or cannot be read.
    """
    path = campaign.image(item)
    with campaign.store.reading() as connection:
        row = connection.execute(_AS_FOUND, {"item": item}).one()
    if is_url(path):
        return Source(path, row.content_hash or hashlib.sha256(read_bytes(path)).hexdigest())
    path = Path(path)
    stat = path.stat()
    same = (row.size_bytes, row.modified_ns) == (stat.st_size, stat.st_mtime_ns)
    if same and row.content_hash is not None:
        return Source(path, row.content_hash)
    if (reason := why_unreadable(path)) is not None:
        raise DataError(f"the file {path.name!r} cannot be shown: {reason}")
    return Source(path, _sha256(path))


def _media_type(start: bytes) -> str | None:
    """Return the media type of a file that starts with these bytes; None if browsers do not show it."""
    return next((media_type for media_type, pattern in SHOWN.items() if pattern.match(start)), None)


class _FileResponse(StreamingResponse):
    """Answer with an open file, which is closed even if the browser disconnects early."""

    def __init__(self, file: BinaryIO, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(iter(partial(file.read, _CHUNK), b""), media_type=media_type, headers=headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        with self._file:
            await super().__call__(scope, receive, send)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_tag(known: str | None, tag: str) -> bool:
    """Return whether the browser has the content with this ETag."""
    return known is not None and tag in {part.strip().removeprefix("W/") for part in known.split(",")}


def unchanged(tag: str) -> Response:
    """Return the answer 304, for a content that the browser has."""
    return Response(status_code=304, headers={"ETag": tag})


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"the image's file cannot be read: {error.strerror}"
    return str(error)
