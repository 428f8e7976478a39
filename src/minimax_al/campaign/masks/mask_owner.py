"""Owner of a mask file: which image it is named after, since a mask is easily given to the wrong image."""

from pathlib import PurePosixPath

from sqlalchemy import Connection, or_, select

from minimax_al.campaign.store.schema import items
from minimax_al.data.masks.mask_names import shorter_names


def other_owner(connection: Connection, filename: str, path: str) -> str | None:
    """Return another image that a mask's file is named after, or None.

    Args:
        connection: Connection to the campaign's database.
        filename: File name of the mask, without its folder.
        path: Path of the image that the mask is given to.
    """
    stem = PurePosixPath(filename).stem
    names = (stem, *shorter_names(stem))
    if _is_called(path, names):
        return None
    likely = [
        alike
        for name in names
        for alike in (
            items.c.path == name,
            items.c.path.endswith(f"/{name}", autoescape=True),
            items.c.path.startswith(f"{name}.", autoescape=True),
            items.c.path.contains(f"/{name}.", autoescape=True),
        )
    ]
    found = connection.scalars(select(items.c.path).where(or_(*likely)).order_by(items.c.id))
    return next((other for other in found if _is_called(other, names)), None)


def _is_called(path: str, names: tuple[str, ...]) -> bool:
    image = PurePosixPath(path)
    return image.name in names or image.stem in names
