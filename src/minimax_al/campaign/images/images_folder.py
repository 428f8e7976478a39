"""Location of a campaign's images: checks before it is used, at first and after a move."""

from pathlib import Path, PurePosixPath

from sqlalchemy import Connection, select

from minimax_al.campaign.images.fingerprints import examine_listed
from minimax_al.campaign.store.schema import items
from minimax_al.data.decoding.decode import IMAGE_SUFFIXES
from minimax_al.data.locations.location import Location, is_there, known_location, list_images, locate
from minimax_al.errors import ConfigurationError, DataError

_LOOKED_UP = 1000
"""Known images that are looked up by their path before the location is listed."""


def images_folder(images: Path | str) -> str:
    """Return a folder or manifest of images as an absolute path, or a URL without credentials.

    Raises:
        DataError: The folder or manifest does not exist.
        ConfigurationError: The URL has credentials.
    """
    return str(locate(images))


def check_apart(folder: Path, images: str) -> None:
    """Refuse a campaign among the images, where nothing is ever written.

    Raises:
        ConfigurationError: The campaign's folder is the images' folder, or inside of it.
    """
    location = known_location(images)
    if isinstance(location, Path) and folder.resolve().is_relative_to(location):
        raise ConfigurationError(
            f"the campaign's folder {str(folder)!r} is in the folder of its images {images!r}, where nothing is "
            "ever written: give a folder outside of it"
        )


def check_usable(images: str) -> None:
    """Refuse a location without a usable image.

    Raises:
        DataError: All files in it are set aside, or it is empty.
    """
    root, first, files = known_location(images), "", 0
    for file in list_images(root):
        found = examine_listed(root, file)
        if found.reason is None:
            return
        first, files = first or f" ({found.name!r}: {found.reason})", files + 1
    raise DataError(
        f"{images!r} holds no image that can be used, and {files:,} other files{first}: give a folder of images, "
        f"whose names end in {', '.join(sorted(IMAGE_SUFFIXES))}"
    )


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
