"""Files of a campaign that are not simply images to ask about: duplicates, missing, changed and unusable ones."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, select

from minimax_al.campaign.store.schema import items

_ORIGINAL = items.alias("original")


class Duplicate(NamedTuple):
    """Image that another image represents.

    Attributes:
        path: Path of the image, relative to the images' folder.
        original: Path of its representative.
        is_copy: Whether both files have the same content; otherwise they are near duplicates.
    """

    path: str
    original: str
    is_copy: bool


class FileState(NamedTuple):
    """File of a campaign that is not simply an active image.

    Attributes:
        path: Path of the file, relative to the images' folder.
        status: "duplicate", "set-aside", "missing", "changed", or "new" after an interrupted refresh.
        reason: Why the file is set aside, or which image represents the duplicate; empty otherwise.
    """

    path: str
    status: str
    reason: str


def list_duplicates(connection: Connection, most: int | None = None) -> list[Duplicate]:
    """Return duplicates with their representatives, sorted by path.

    Args:
        connection: Connection to the campaign's database.
        most: Maximum number of duplicates; None for all.
    """
    columns = select(items.c.path, _ORIGINAL.c.path, _is_copy()).select_from(_with_original())
    wanted = columns.where(items.c.status == "duplicate").order_by(items.c.path).limit(most)
    return [Duplicate(copy, of, bool(same)) for copy, of, same in connection.execute(wanted)]


def count_near_duplicates(connection: Connection) -> int:
    """Return the number of images that a near duplicate represents; copies of files do not count."""
    near = select(func.count()).select_from(_with_original()).where(items.c.status == "duplicate", ~_is_copy())
    return int(connection.execute(near).scalar_one())


def list_unusual_files(connection: Connection) -> list[FileState]:
    """Return every file whose status is not "active", sorted by status and path."""
    columns: Select[Any] = select(
        *(items.c.path, items.c.status, items.c.reason),
        *(_ORIGINAL.c.path.label("original"), _is_copy().label("is_copy")),
    )
    joined = items.outerjoin(_ORIGINAL, items.c.duplicate_of == _ORIGINAL.c.id)
    wanted = columns.select_from(joined).where(items.c.status != "active").order_by(items.c.status, items.c.path)
    return [FileState(row.path, row.status, _reason(row)) for row in connection.execute(wanted)]


def _reason(row: Any) -> str:  # noqa: ANN401 - a row of `list_unusual_files`
    if row.status == "duplicate":
        return f"{'a copy of' if row.is_copy else 'looks like'} {row.original}"
    return (row.reason or "") if row.status == "set-aside" else ""


def _with_original() -> FromClause:
    return items.join(_ORIGINAL, items.c.duplicate_of == _ORIGINAL.c.id)


def _is_copy() -> ColumnElement[bool]:
    return items.c.content_hash == _ORIGINAL.c.content_hash
