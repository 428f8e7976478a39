"""Parts of an extraction that any scheduler starts by number, and their join by content hash.

Part I of N computes the features of the I-th of N equal slices of the listed images, into

    OUT/parts/I-of-N/STORE/...          see `minimax_al.data.features.feature_store`

where OUT is a folder or a URL of object storage. A run without a part joins the finished shards of all parts into its
own store and computes the missing rows: a lost part costs itself alone.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimax_al.data.features.feature_description import DESCRIPTION, FeatureDescription
from minimax_al.data.features.feature_store import LISTING, listing_of, name_of
from minimax_al.data.features.feature_writer import FeatureWriter
from minimax_al.data.features.hash_index import HashIndex
from minimax_al.data.locations.location import Address, StorageLocation, read_bytes
from minimax_al.data.object_storage.objects import list_objects, object_cache, write_object
from minimax_al.data.object_storage.urls import as_address, check_url, redacted
from minimax_al.errors import ConfigurationError, FeatureStoreError, StorageError, UnreadableImageError

PARTS = "parts"
"""Folder of the parts."""

_PART = re.compile(r"([1-9]\d*)/([1-9]\d*)")
_STORE = re.compile(r"(?:^|/)(\d+)-of-(\d+)/([^/]+)$")
_RECORD = re.compile(r"\d+\.json")


class JobPart(NamedTuple):
    """One of several equal parts of an extraction.

    Attributes:
        number: Number of the part, from 1.
        of: Number of parts.
    """

    number: int
    of: int

    @property
    def name(self) -> str:
        """Name of the part's folder."""
        return f"{self.number}-of-{self.of}"

    def slice_of(self, count: int) -> slice:
        """Return the part's slice of `count` images.

        Example:
            >>> [JobPart(number, 3).slice_of(10) for number in (1, 2, 3)]
            [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
        """
        return slice((self.number - 1) * count // self.of, self.number * count // self.of)


def parse_part(text: str) -> JobPart:
    """Return the part that a user names, such as "3/8".

    Raises:
        ConfigurationError: The text is not I/N with 1 ≤ I ≤ N.
    """
    match = _PART.fullmatch(text.strip())
    part = None if match is None else JobPart(int(match[1]), int(match[2]))
    if part is None or part.number > part.of:
        raise ConfigurationError(f"part={text!r} is not a part: give I/N with I from 1 to N, such as 3/8")
    return part


class PartFolder:
    """Folder in which a part is computed; the files of a part in object storage are copied there as they are written.

    Args:
        out: Folder of the feature stores, or its URL.
        part: Part that is computed.

    Attributes:
        folder: Local folder of the part's stores.
        url: URL of the part's stores; None for a local folder.
    """

    def __init__(self, out: Address, part: JobPart) -> None:
        address = as_address(out)
        self.url = f"{check_url(address)}/{PARTS}/{part.name}" if isinstance(address, str) else None
        if self.url is None:
            self.folder = Path(address) / PARTS / part.name
        else:
            name = hashlib.sha256(self.url.encode()).hexdigest()[:32]
            self.folder = object_cache().folder.parent / "parts" / name

    def fetch_records(self, description: FeatureDescription) -> None:
        """Copy the finished shards of an interrupted part, without vectors: keys and records.

        Args:
            description: Description of the part's store.
        """
        if self.url is None:
            return
        for name in _files(StorageLocation(self.url)):
            store, _, file = name.partition("/")
            target = self.folder / name
            if store == description.folder_name and not target.exists() and not file.endswith(".features.npy"):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(read_bytes(f"{self.url}/{name}"))

    @property
    def written(self) -> Callable[[Path], None] | None:
        """Callback of each file that is written; None for a local folder."""
        if self.url is None:
            return None
        url = self.url

        def upload(path: Path) -> None:
            write_object(f"{url}/{path.relative_to(self.folder).as_posix()}", path.read_bytes())
            if path.name.endswith(".features.npy"):
                path.unlink()  # the storage has it, and nothing reads it here

        return upload


class Joined(NamedTuple):
    """Result of a join.

    Attributes:
        rows: Number of rows that were added.
        parts: Names of the parts that were found.
        hashes: Content hash of each image of the finished parts that added rows now, by name.
    """

    rows: int
    parts: tuple[str, ...]
    hashes: Mapping[str, str]


def join_parts(writer: FeatureWriter, source: Address) -> Joined:
    """Add the rows of all parts to a store; shards whose rows are stored are not read again.

    Args:
        writer: Writer of the store.
        source: Folder or URL that has the parts, or the folder `parts` itself.

    Raises:
        FeatureStoreError: A shard of a part is damaged.
        StorageError: The storage cannot be used now.
    """
    location = _location(source)
    rows, parts = 0, []
    hashes: dict[str, str] = {}
    for folder, names in _stores(location, writer.store.description.folder_name):
        parts.append(folder.split("/")[-2])
        shards = sorted(name for name in names if _RECORD.fullmatch(name))
        added = sum(_join_shard(writer, location, folder, int(name.removesuffix(".json"))) for name in shards)
        rows += added
        # A list is written when its part comes to its end. It spares this run the reading of the part's images. Once
        # the rows have been joined, images may have changed since: later runs read them again.
        if added and LISTING in names:
            hashes |= {image.path: image.sha256 for image in listing_of(read_bytes(location / f"{folder}/{LISTING}"))}
    return Joined(rows, tuple(parts), hashes)


def check_parts(source: Address, description: FeatureDescription) -> None:
    """Refuse a location without parts of these features.

    Args:
        source: Folder or URL of `join_parts`.
        description: Description of the features to join.

    Raises:
        ConfigurationError: The location does not exist, has no parts, or has parts of other features alone.
        StorageError: The storage cannot be used now.
    """
    location, start = _location(source), f"join={redacted(str(source))!r}"
    if isinstance(location, Path) and not location.is_dir():
        kind = "is a file" if location.is_file() else "does not exist"
        raise ConfigurationError(f"{start} {kind}: give the folder or URL that has the parts, or leave join out")
    names = _files(location)
    stores = {match[3] for name in names if (match := _STORE.search(name.rpartition("/")[0])) is not None}
    if not stores:
        raise ConfigurationError(
            f"{start} has no parts, whose files are named {PARTS}/1-of-8/…: give the folder or URL in which "
            "'mal embed --part I/N' wrote them, or leave join out"
        )
    if description.folder_name not in stores:
        raise ConfigurationError(
            f"{start} has parts of other features alone ({', '.join(sorted(stores))}), not of "
            f"{description.folder_name}: give the encoder and settings of the parts, or leave join out"
        )


def has_parts(out: Path) -> bool:
    """Return whether a folder of feature stores has parts."""
    return (out / PARTS).is_dir()


def _stores(location: Path | StorageLocation, store: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the folder of each part's store and the names of its files, by the parts' numbers."""
    found: dict[str, set[str]] = {}
    for name in _files(location):
        folder, _, file = name.rpartition("/")
        if _STORE.search(folder) and folder.endswith(f"/{store}"):
            found.setdefault(folder, set()).add(file)
    for folder in sorted(found, key=_order):
        if DESCRIPTION in found[folder]:
            yield folder, found[folder]


def _order(folder: str) -> tuple[int, int]:
    match = _STORE.search(folder)
    assert match is not None
    return int(match[2]), int(match[1])


def _location(source: Address) -> Path | StorageLocation:
    address = as_address(source)
    return StorageLocation(check_url(address)) if isinstance(address, str) else address


def _files(location: Path | StorageLocation) -> list[str]:
    """Return the names of the files below a folder or URL; none where it does not exist.

    Raises:
        StorageError: The storage cannot be used now.
    """
    if isinstance(location, Path):
        return sorted(path.relative_to(location).as_posix() for path in location.rglob("*") if path.is_file())
    try:
        return [each.name for each in list_objects(location.url)]
    except StorageError as error:
        # An error of the URL alone, such as one where nothing is written yet; otherwise the storage is at fault,
        # and to go on would compute everything again.
        if isinstance(error.__cause__, UnreadableImageError):
            return []
        raise


def _join_shard(writer: FeatureWriter, location: Path | StorageLocation, folder: str, shard: int) -> int:
    """Add a shard's rows that the store lacks; return their number."""
    start = f"{folder}/{name_of(shard)}"
    record: dict[str, Any] = json.loads(read_bytes(location / f"{start}.json"))
    keys = _array(location, f"{start}.keys.npy", record["keys_sha256"])
    is_new = writer.store.index.find(keys) < 0
    # Content that occurs twice within the shard keeps its first row.
    is_new &= HashIndex(keys).find(keys) == np.arange(len(keys))
    aside = {key: why for key, why in record["set_aside"].items() if key not in writer.store.set_aside}
    if not is_new.any() and not aside:
        return 0
    vectors = np.empty((0, writer.store.description.width), np.float16)
    if is_new.any():
        vectors = _array(location, f"{start}.features.npy", record["features_sha256"])[is_new]
    writer.append(np.ascontiguousarray(keys[is_new]), np.ascontiguousarray(vectors), aside)
    return int(is_new.sum())


def _array(location: Path | StorageLocation, name: str, checksum: str) -> NDArray[Any]:
    try:
        content = read_bytes(location / name)
    except (OSError, UnreadableImageError) as error:
        raise FeatureStoreError(f"{str(location / name)!r} is missing: compute the part again") from error
    if hashlib.sha256(content).hexdigest() != checksum:
        raise FeatureStoreError(f"{str(location / name)!r} is damaged (its checksum differs): compute the part again")
    array: NDArray[Any] = np.load(BytesIO(content), allow_pickle=False)
    return array
