"""Import and export of labels."""

import re
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from minimax_al.campaign import Import
from minimax_al.errors import DataError
from minimax_al.web.models import Author
from minimax_al.web.overview import campaign_name
from minimax_al.web.refusals import declared
from minimax_al.web.roles import ManagerOnly
from minimax_al.web.state import TheCampaign, TheState

ExportFormat = Literal["csv", "parquet", "coco", "label-studio"]
"""Formats that are one file."""

FILES: dict[ExportFormat, tuple[str, str]] = {
    "csv": (".csv", "text/csv; charset=utf-8"),
    "parquet": (".parquet", "application/vnd.apache.parquet"),
    "coco": ("-coco.json", "application/json"),
    "label-studio": ("-label-studio.json", "application/json"),
}
"""Ending and media type of each format's files."""

_NAME_LENGTH = 60

router = APIRouter(prefix="/api", tags=["transfer"], responses=declared(400, 422))


async def _raw_body(request: Request) -> bytes:
    return await request.body()


RawBody = Annotated[bytes, Depends(_raw_body)]


def takes(*types: str) -> dict[str, Any]:
    """Return the declaration of a route's binary body."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "content": dict.fromkeys(types, binary)}}


def _gives(*types: str) -> dict[int | str, dict[str, Any]]:
    """Return the declaration of a route that answers with a file."""
    binary = {"type": "string", "format": "binary"}
    content = {kind: {"schema": {} if kind == "application/json" else binary} for kind in types}
    return {200: {"content": content, "description": "The file"}}


@router.get(
    "/export/{format}",
    response_class=Response,
    responses=_gives(*(kind for _, kind in FILES.values())),
    dependencies=[ManagerOnly],
)
def export(format: ExportFormat, campaign: TheCampaign) -> Response:  # noqa: A002
    """Return all current labels as a file."""
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


@router.post(
    "/import",
    responses=declared(408, 413, 429),
    openapi_extra=takes("application/octet-stream"),
    dependencies=[ManagerOnly],
)
def import_labels(
    *,
    filename: Annotated[
        str, Query(min_length=1, max_length=255, description="Name of the file; its ending determines the format")
    ],
    body: RawBody,
    state: TheState,
    author: Annotated[Author, Query(description="Author of labels for which the file has none")] = "import",
    create_classes: Annotated[bool, Query(description="Whether to add unknown classes")] = False,
) -> Import:
    """Import labels from a file: all of them, or none if one is wrong."""
    with tempfile.TemporaryDirectory(prefix="labels-") as folder:
        path = Path(folder) / _plain_name(filename)
        path.write_bytes(body)
        try:
            # Messages name the file without the temporary folder, which means nothing to the caller.
            done = state.campaign.import_labels(
                path, author=author, create_classes=create_classes, shown=Path(path.name)
            )
        except UnicodeEncodeError as error:  # JSON can spell half of a character
            raise DataError(f"{path.name!r} holds text that no file can: {error.object[:40]!r}") from error
    state.readings.forget()
    return done


def _plain_name(filename: str) -> str:
    """Return the name of an uploaded file without characters that could lead out of a folder."""
    plain = re.sub(r"[^\w.() -]", "_", filename).lstrip(".")
    return plain[-_NAME_LENGTH:] or "labels"
