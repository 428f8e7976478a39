"""Location of a campaign's images: it exists, is outside of the campaign folder, and has a usable image."""

from pathlib import Path

from minimax_al.campaign.images.fingerprints import examine_listed
from minimax_al.data.decode import IMAGE_SUFFIXES
from minimax_al.data.locations.location import known_location, list_images, locate
from minimax_al.errors import ConfigurationError, DataError


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
