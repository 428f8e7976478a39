"""Folder of a campaign's images: it exists, lies outside of the campaign folder, and has a usable image."""

from pathlib import Path

from minimax_al.campaign.images.fingerprints import examine
from minimax_al.data.decode import IMAGE_SUFFIXES
from minimax_al.data.scan import list_files
from minimax_al.errors import ConfigurationError, DataError


def images_folder(images: Path | str) -> str:
    """Return a folder of images as an absolute path.

    Raises:
        DataError: The folder does not exist.
    """
    path = Path(images)
    if not path.is_dir():
        raise DataError(
            f"{str(images)!r} {'is a file' if path.is_file() else 'does not exist'}: give a folder of images"
        )
    return str(path.resolve())


def check_apart(folder: Path, images: str) -> None:
    """Refuse a campaign among the images, where nothing is ever written.

    Raises:
        ConfigurationError: The campaign's folder is the images' folder, or inside of it.
    """
    if folder.resolve().is_relative_to(images):
        raise ConfigurationError(
            f"the campaign's folder {str(folder)!r} is in the folder of its images {images!r}, where nothing is "
            "ever written: give a folder outside of it"
        )


def check_usable(images: str) -> None:
    """Refuse a folder without a usable image.

    Raises:
        DataError: All files in it are set aside, or it is empty.
    """
    root, first, files = Path(images), "", 0
    for name in list_files(root):
        found = examine(root, name)
        if found.reason is None:
            return
        first, files = first or f" ({found.name!r}: {found.reason})", files + 1
    raise DataError(
        f"{images!r} holds no image that can be used, and {files:,} other files{first}: give a folder of images, "
        f"whose names end in {', '.join(sorted(IMAGE_SUFFIXES))}"
    )
