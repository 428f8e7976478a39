"""Which picture a task shows, and its file as browsers can show it."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from minimax_al.campaign.formats.label_studio import path_of_task
from minimax_al.campaign.label_studio.client import Upload
from minimax_al.campaign.schema import items
from minimax_al.campaign.store import portions
from minimax_al.data.formats import read_picture
from minimax_al.errors import DataError

_MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
}


class Picture(NamedTuple):
    """A picture of the campaign.

    Attributes:
        item: its id.
        path: relative to the pictures' folder.
        content_hash: sha256 of its file.
        width: upright, in pixels.
        height: likewise.
    """

    item: int
    path: str
    content_hash: str | None
    width: int | None
    height: int | None


_COLUMNS = (items.c.id, items.c.path, items.c.content_hash, items.c.width, items.c.height)


def active_pictures(connection: Connection, item_ids: Sequence[int]) -> dict[int, Picture]:
    """Those of the pictures that are there, by id."""
    found = select(*_COLUMNS).where(items.c.status == "active")
    rows = [row for portion in portions(item_ids) for row in connection.execute(found.where(items.c.id.in_(portion)))]
    return {row.id: _picture(row) for row in rows}


def picture_of_task(connection: Connection, data: Mapping[str, Any], where: str) -> Picture:
    """The picture that a task shows: by its content where the task says it, by its path where not.

    Args:
        connection: to the campaign.
        data: of the task.
        where: the start of a message.

    Raises:
        DataError: it is no picture of the campaign, or its file had other content when the task was made.
    """
    content = data.get("content_hash")
    if content is not None:
        rows = connection.execute(select(*_COLUMNS).where(items.c.content_hash == str(content))).all()
        # Of copies the one that was asked about; it may have moved since.
        rows = sorted(rows, key=lambda row: (row.id != data.get("item"), row.path != data.get("path"), row.id))
        if rows:
            return _picture(rows[0])
    try:
        path = path_of_task(data)
    except KeyError:
        raise DataError(f"{where} does not say which picture it shows: delete it there") from None
    row = connection.execute(select(*_COLUMNS).where(items.c.path == path)).first()
    if row is None:
        raise DataError(f"{where} shows {path!r}, which is no picture of this campaign: delete the task there")
    if content is not None:
        raise DataError(
            f"{where} shows {path!r} as it was before its file changed: delete the task there, and push again"
        )
    return _picture(row)


def as_upload(picture: Picture, file: Path) -> Upload:
    """A picture's file to send; what browsers cannot show becomes a PNG file.

    Raises:
        DataError: the file is not what the campaign has seen.
    """
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != picture.content_hash:
        raise DataError(f"{picture.path!r} has changed since the campaign looked at it: run 'mal status' first")
    suffix = Path(picture.path).suffix.lower()
    if suffix not in _MEDIA_TYPES:
        buffer = io.BytesIO()
        read_picture(file).save(buffer, format="PNG")
        content, suffix = buffer.getvalue(), ".png"
    return f"item-{picture.item}-{picture.content_hash[:12]}{suffix}", content, _MEDIA_TYPES[suffix]


def _picture(row: Any) -> Picture:  # noqa: ANN401 - a row of `_COLUMNS`
    return Picture(row.id, row.path, row.content_hash, row.width, row.height)
