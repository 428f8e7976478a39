"""Images of tasks: which image a task shows, and its file in a format that browsers can show."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from minimax_al.campaign.exchange.lookup import Lookup
from minimax_al.campaign.store.database import portions
from minimax_al.campaign.store.schema import items
from minimax_al.data.decoding.decode import read_image
from minimax_al.data.locations.location import Address, Location, read_bytes
from minimax_al.errors import DataError
from minimax_al.label_formats import Given
from minimax_al.label_formats.label_studio import names_of_task
from minimax_al.label_studio.client import Upload

_MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
}


class TaskImage(NamedTuple):
    """Image of the campaign.

    Attributes:
        item: Id of the image.
        path: Path relative to the images' folder.
        content_hash: sha256 of its file.
        width: Width, upright, in pixels.
        height: Height, upright, in pixels.
    """

    item: int
    path: str
    content_hash: str | None
    width: int | None
    height: int | None


_COLUMNS = (items.c.id, items.c.path, items.c.content_hash, items.c.width, items.c.height)


def active_images(connection: Connection, item_ids: Sequence[int]) -> dict[int, TaskImage]:
    """Return those of these images that are active, by id."""
    found = select(*_COLUMNS).where(items.c.status == "active")
    rows = [row for portion in portions(item_ids) for row in connection.execute(found.where(items.c.id.in_(portion)))]
    return {row.id: _image(row) for row in rows}


def image_of_task(connection: Connection, images: Location, data: Mapping[str, Any], where: str) -> TaskImage:
    """Return the image that a task shows.

    The content hash identifies it; a task without a hash is matched by name.

    Args:
        connection: Connection to the campaign's database.
        images: Location of the campaign's images.
        data: Data of the task.
        where: Start of the error's sentence.

    Raises:
        DataError: The image is not in the campaign, its name fits two images, or its file had other content when the
            task was created.
    """
    content = data.get("content_hash")
    if content is not None:
        rows = connection.execute(select(*_COLUMNS).where(items.c.content_hash == str(content))).all()
        # Copies have one hash: prefer the image that was picked, then the same path (the image may have moved).
        rows = sorted(rows, key=lambda row: (row.id != data.get("item"), row.path != data.get("path"), row.id))
        if rows:
            return _image(rows[0])
    try:
        names = names_of_task(data)
    except KeyError:
        raise DataError(f"{where} does not name its image: delete it there") from None
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    try:
        known = Lookup(connection, images).find(
            Given(names.name, where, readings=names.readings, by_path="path" in data)
        )
    except DataError as error:
        raise DataError(f"{error}; or delete the task in Label Studio") from error
    if content is not None:
        raise DataError(
            f"{where} shows {known.path!r} as it was before its file changed: delete the task there, and push again"
        )
    return _image(connection.execute(select(*_COLUMNS).where(items.c.id == known.id)).one())


def as_upload(image: TaskImage, file: Address) -> Upload:
    """Return an image's file as an upload; formats that browsers cannot show become PNG.

    Raises:
        DataError: The file has changed since the last refresh.
    """
    content = read_bytes(file)
    if hashlib.sha256(content).hexdigest() != image.content_hash:
        raise DataError(f"{image.path!r} has changed since the campaign read it: run 'mal status' first")
    suffix = Path(image.path).suffix.lower()
    if suffix not in _MEDIA_TYPES:
        buffer = io.BytesIO()
        read_image(file).save(buffer, format="PNG")
        content, suffix = buffer.getvalue(), ".png"
    return f"item-{image.item}-{image.content_hash[:12]}{suffix}", content, _MEDIA_TYPES[suffix]


def _image(row: Any) -> TaskImage:  # noqa: ANN401 - a row of `_COLUMNS`
    return TaskImage(row.id, row.path, row.content_hash, row.width, row.height)
