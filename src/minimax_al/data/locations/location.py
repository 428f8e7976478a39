"""Locations of images: a folder (a plain `Path`), a manifest, or a URL of object storage.

A location divides like a path: `location / name` is the address of an image, a path or a URL, which every reader of
this package accepts.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from minimax_al.data.decoding.foreign_formats import is_archive
from minimax_al.data.locations.manifest import ManifestRow, count_rows, is_manifest, read_rows
from minimax_al.data.locations.scan import SetAside, is_hidden, list_files, sort_out
from minimax_al.data.object_storage.objects import list_objects, object_state, read_object
from minimax_al.data.object_storage.urls import as_address, check_url, is_url
from minimax_al.data.tables.path_spellings import find_file
from minimax_al.errors import DataError, UnreadableImageError
from minimax_al.vocabulary import Progress

Address = Path | str
"""File or URL of an image."""


class Location(Protocol):
    """Location of images; a `Path` is one."""

    def __truediv__(self, name: str, /) -> Address:
        """Return the address of an image.

        Args:
            name: Name of the image in the location.
        """


class Stated(NamedTuple):
    """Properties of an image that a manifest states, so that the image need not be read.

    Attributes:
        sha256: Content hash, hexadecimal.
        width: Width, upright, in pixels.
        height: Height, upright, in pixels.
    """

    sha256: str
    width: int
    height: int


class FoundImage(NamedTuple):
    """File that a location lists.

    Attributes:
        name: Name in the location.
        size_bytes: Size in bytes; 0 where it is unknown.
        version: Time of modification in nanoseconds, or another number that changes with the content.
        attributes: Further columns of a manifest; None elsewhere.
        stated: Properties that a manifest states; None elsewhere.
    """

    name: str
    size_bytes: int
    version: int
    attributes: Mapping[str, str] | None = None
    stated: Stated | None = None


@dataclass(frozen=True)
class StorageLocation:
    """Images below a URL of object storage.

    Attributes:
        url: URL without credentials.
    """

    url: str

    def __truediv__(self, name: str) -> str:
        """Return the URL of an image."""
        return f"{self.url}/{name}"

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class ManifestLocation:
    """Images that a manifest lists, each by a path relative to the manifest, an absolute path, or a URL.

    Attributes:
        source: Manifest file, or its URL.
    """

    source: Address

    def __truediv__(self, name: str) -> Address:
        """Return the address of an image, in the spelling that exists.

        Raises:
            DataError: Two spellings of the name are two files.
        """
        if is_url(name):
            return name
        if isinstance(self.source, Path):
            # Other systems spell names differently; ordinary names, of which there may be millions, cost no look.
            odd = "\\" in name or "%" in name or not name.isascii() or name[:5].lower() == "file:"
            return (
                Path(find_file(str(self.source.parent), name, repr(str(self.source))))
                if odd
                else self.source.parent / name
            )
        return f"{self.source.rsplit('/', 1)[0]}/{name}"

    def __str__(self) -> str:
        return str(self.source)


def locate(given: Path | str) -> Location:
    """Return the location that a user names: an existing folder, a manifest file, or a URL.

    Args:
        given: Folder, CSV or Parquet file, or URL; a URL that ends in `.csv` or `.parquet` is a manifest.

    Raises:
        DataError: The folder or manifest does not exist, or the file is not a manifest.
        ConfigurationError: The URL has credentials.
    """
    address = as_address(given)
    if isinstance(address, str):
        url = check_url(address)
        return ManifestLocation(url) if is_manifest(url) else StorageLocation(url)
    if address.is_dir():
        return address.resolve()
    if is_manifest(address) and address.is_file():
        return ManifestLocation(address.resolve())
    if address.is_file() and is_archive(address):
        raise DataError(f"{os.fspath(address)!r} is an archive: unpack it, and give its folder")
    kind = "is a file" if address.is_file() else "does not exist"
    raise DataError(f"{os.fspath(address)!r} {kind}: give a folder of images, a manifest (CSV or Parquet) or a URL")


def known_location(stored: str) -> Location:
    """Return the location of a stored setting, which may be unavailable now.

    Args:
        stored: Text of a location that `locate` has accepted.
    """
    if is_url(stored):
        return ManifestLocation(stored) if is_manifest(stored) else StorageLocation(stored)
    path = Path(stored)
    return ManifestLocation(path) if is_manifest(path) and not path.is_dir() else path


def list_images(location: Location) -> Iterator[FoundImage]:
    """Yield every file of a location that is not hidden, in a fixed order.

    Args:
        location: Folder, manifest or URL.

    Raises:
        DataError: The location does not exist.
        ManifestError: A line of the manifest is wrong.
        StorageError: The storage cannot be used now.
    """
    if isinstance(location, Path):
        return (found_file(location, name) for name in list_files(location))
    if isinstance(location, ManifestLocation):
        return (_listed(location, row) for row in read_rows(location.source))
    assert isinstance(location, StorageLocation)
    return (
        FoundImage(each.name, each.state.size_bytes, each.state.version)
        for each in list_objects(location.url)
        if not any(is_hidden(part) for part in each.name.split("/"))
    )


def count_images(location: Location) -> int | None:
    """Return the number of files that `list_images` yields; None where counting would list them all."""
    if isinstance(location, Path):
        return sum(1 for _ in list_files(location))
    return count_rows(location.source) if isinstance(location, ManifestLocation) else None


class ScannedImages(NamedTuple):
    """Images of a location that can be used, and the other files with the reasons.

    Attributes:
        images: Names of the usable images.
        set_aside: Other files.
    """

    images: tuple[str, ...]
    set_aside: tuple[SetAside, ...]


def scan_images(location: Location, progress: Progress | None = None) -> ScannedImages:
    """Decode every file of a location, and return which can be used.

    Args:
        location: Folder, manifest or URL.
        progress: Callback of the files checked so far.

    Raises:
        DataError: The location does not exist.
        StorageError: The storage cannot be used now.
    """
    names = [file.name for file in list_images(location)]
    usable, set_aside = sort_out([join(location, name) for name in names], names, progress=progress)
    return ScannedImages(tuple(names[i] for i in usable), tuple(set_aside))


def found_file(location: Location, name: str) -> FoundImage:
    """Return a file as it is now; size 0 where it cannot be accessed.

    Args:
        location: Folder, manifest or URL.
        name: Name of the file in the location.
    """
    address = join(location, name)
    if is_url(address):
        state = object_state(address)
        return FoundImage(name, state.size_bytes, state.version)
    try:
        status = os.stat(address)  # noqa: PTH116 - a million times
    except OSError:
        return FoundImage(name, 0, 0)  # for example a dangling link: the examination of the file finds the reason
    return FoundImage(name, status.st_size, status.st_mtime_ns)


def join(location: Location, name: str) -> str:
    """Return the address of an image as text: for millions of images, faster than `location / name`.

    Args:
        location: Folder, manifest or URL.
        name: Name of the image in the location.
    """
    return os.path.join(location, name) if isinstance(location, Path) else os.fspath(location / name)  # noqa: PTH118


def read_bytes(address: Address) -> bytes:
    """Return the content of an image's file or object.

    Raises:
        OSError: The file is gone, or cannot be read.
        UnreadableImageError: The object does not exist, or cannot be read although others can.
        StorageError: The storage cannot be used now.
    """
    return read_object(os.fspath(address)) if is_url(address) else Path(address).read_bytes()


def copy_image(address: Address, target: Path) -> None:
    """Copy an image's file or object to a file.

    Raises:
        FileNotFoundError: The file or object is gone.
        StorageError: The storage cannot be used now.
    """
    if not is_url(address):
        shutil.copy2(address, target)
        return
    try:
        target.write_bytes(read_object(os.fspath(address)))
    except UnreadableImageError as error:
        raise FileNotFoundError(os.fspath(address)) from error


def is_there(address: Address) -> bool:
    """Return whether an image's file or object exists; an object costs one request."""
    if not is_url(address):
        return Path(address).is_file()
    try:
        return object_state(os.fspath(address)).size_bytes > 0
    except UnreadableImageError:
        return False


def relative_name(name: str) -> str:
    """Return the path below a folder under which a copy of an image is stored.

    Example:
        >>> relative_name("a/b.jpg"), relative_name("s3://bucket/a/b.jpg"), relative_name("/data/../b.jpg")
        ('a/b.jpg', 'bucket/a/b.jpg', 'data/b.jpg')
    """
    path = name.split("://", 1)[1] if is_url(name) else name
    return "/".join(part for part in path.split("/") if part not in {"", ".", ".."})


def name_in(location: Location, address: Address) -> str | None:
    """Return the name of an image in a location by its address; None if it is elsewhere."""
    text = os.fspath(address)
    if isinstance(location, StorageLocation):
        return _below(location.url, text)
    if isinstance(location, ManifestLocation):
        if is_url(text):
            return _below(str(location.source).rsplit("/", 1)[0], text) or text
        relative = os.path.relpath(text, Path(str(location.source)).parent)
        return text if relative.startswith("..") else Path(relative).as_posix()
    relative = os.path.relpath(text, str(location))
    return None if Path(relative).parts[:1] == ("..",) else Path(relative).as_posix()


def _below(url: str, text: str) -> str | None:
    return text[len(url) + 1 :] if text.startswith(f"{url}/") else None


def _listed(location: ManifestLocation, row: ManifestRow) -> FoundImage:
    """Return an image that a manifest lists; a local file is looked at, an object is not."""
    stated = None if row.sha256 is None else Stated(row.sha256, row.width, row.height)
    if row.is_dated or is_url(join(location, row.name)):
        return FoundImage(row.name, row.size_bytes, row.version, row.attributes, stated)
    now = found_file(location, row.name)
    return FoundImage(row.name, now.size_bytes, now.version, row.attributes, stated)
