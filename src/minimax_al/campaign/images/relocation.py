"""Check that another location holds the images that a campaign knows, before it is used instead."""

from pathlib import PurePosixPath

from sqlalchemy import Connection, select

from minimax_al.campaign.store.schema import items
from minimax_al.data.locations.location import Location, is_there, list_images
from minimax_al.errors import DataError

_LOOKED_UP = 1000
"""Known images that are looked up by their path before the location is listed."""


def check_holds_images(connection: Connection, location: Location) -> None:
    """Refuse a location that holds none of the known images, neither under their paths nor under their names.

    Args:
        connection: Connection to the campaign's database.
        location: Location to use from now on.

    Raises:
        DataError: The location holds none of the images.
    """
    known = select(items.c.path).where(items.c.status != "set-aside").order_by(items.c.id)
    paths = list(connection.scalars(known))
    if not paths or any(is_there(location / path) for path in paths[:_LOOKED_UP]):
        return
    names = {PurePosixPath(path).name for path in paths}
    if not any(PurePosixPath(file.name).name in names for file in list_images(location)):
        raise DataError(
            f"{str(location)!r} holds none of the campaign's {len(paths):,} images: give the folder in which the path "
            f"{paths[0]!r} begins"
        )
