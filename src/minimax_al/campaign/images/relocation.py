"""Check that another folder holds the images that a campaign knows, before it is used instead."""

from pathlib import Path

from sqlalchemy import Connection, select

from minimax_al.campaign.store.schema import items
from minimax_al.data.scan import list_files
from minimax_al.errors import DataError


def check_holds_images(connection: Connection, folder: Path) -> None:
    """Refuse a folder that holds none of the known images, neither under their paths nor under their names.

    Args:
        connection: Connection to the campaign's database.
        folder: Folder to use from now on.

    Raises:
        DataError: The folder holds none of the images.
    """
    known = select(items.c.path).where(items.c.status != "set-aside").order_by(items.c.id)
    paths = list(connection.scalars(known))
    if not paths or any((folder / path).is_file() for path in paths):
        return
    names = {Path(path).name for path in paths}
    if not any(Path(path).name in names for path in list_files(folder)):
        raise DataError(
            f"{str(folder)!r} holds none of the campaign's {len(paths):,} images: give the folder in which the path "
            f"{paths[0]!r} begins"
        )
