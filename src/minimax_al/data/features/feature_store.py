"""Feature store: float16 vectors on disk, keyed by the content hash of their image. Loads no torch.

One folder holds the stores of one pool, one subfolder per description (encoder, weights, preprocessing, precision):

    FEATURES/timm-tf_efficientnet_lite0-224px-1f3a9c02/
        description.json            what computed the vectors
        images.csv                  path and content hash of the images that were embedded last
        00000.features.npy          (n, d) float16, memory-mapped
        00000.keys.npy              (n, 32) uint8, SHA-256 of each row's file
        00000.json                  row count, checksum and images without features; written last

Shards are only ever appended. A shard without its `.json` is unfinished: readers ignore it and the next writer
replaces it. Since rows are keyed by content, renamed and moved files keep their rows.
"""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimax_al.data.features.feature_description import DESCRIPTION, read_description
from minimax_al.data.features.hash_index import HASH_BYTES, Hashes, HashIndex
from minimax_al.errors import FeatureStoreError

if TYPE_CHECKING:
    from minimax_al.data.features.features import Features

LISTING = "images.csv"

_MAPPED_BYTES = 1 << 20
"""Smaller shards are read into memory: each map holds a file descriptor."""


class ListedImage(NamedTuple):
    """One image that was embedded.

    Attributes:
        path: Path relative to the folder of images.
        sha256: Content hash, hexadecimal.
    """

    path: str
    sha256: str


class FeatureStore:
    """Reader of one store.

    Args:
        folder: Folder with `description.json`, see `open_store`.

    Attributes:
        folder: Folder of the store.
        description: Description of how the vectors are computed.
        set_aside: Reason per content hash of the images without features.

    Raises:
        FeatureStoreError: The folder is not a store, is of another format version, or is damaged.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.description = read_description(self.folder)
        self.set_aside: dict[str, str] = {}
        self._records = [_read_record(path) for path in sorted(self.folder.glob("[0-9]*.json"))]
        for number, record in enumerate(self._records):
            if record["shard"] != number:
                raise FeatureStoreError(f"{str(self.folder)!r} lacks shard {number}: embed the images again elsewhere")
            self.set_aside |= record["set_aside"]

    def __len__(self) -> int:
        return sum(record["rows"] for record in self._records)

    def __repr__(self) -> str:
        return f"FeatureStore({str(self.folder)!r}, shape={self.shape})"

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, d)."""
        return len(self), self.description.width

    @cached_property
    def shards(self) -> list[NDArray[np.float16]]:
        """Vectors of each shard that has any, (n, d) float16, memory-mapped and read-only."""
        width = self.description.width
        return [
            _read_array(self.folder / f"{name_of(record['shard'])}.features.npy", (record["rows"], width), np.float16)
            for record in self._records
            if record["rows"]
        ]

    @cached_property
    def checksums(self) -> list[str]:
        """SHA-256 of the file of each shard in `shards`, hexadecimal."""
        return [record["features_sha256"] for record in self._records if record["rows"]]

    @cached_property
    def index(self) -> HashIndex:
        """Index from content hashes to rows."""
        keys = [
            _read_array(self.folder / f"{name_of(record['shard'])}.keys.npy", (record["rows"], HASH_BYTES), np.uint8)
            for record in self._records
        ]
        return HashIndex(np.concatenate([np.empty((0, HASH_BYTES), dtype=np.uint8), *keys]))

    def rows(self, hashes: Hashes) -> NDArray[np.int64]:
        """Return the row of each image, -1 where the store lacks it, shape (M,).

        Args:
            hashes: Content hashes, M of them.

        Raises:
            DataError: A hash is not 64 hexadecimal digits.
        """
        return self.index.find(hashes)

    def features(self, hashes: Hashes, names: Sequence[str]) -> "Features":
        """Return the vectors of images as samples of a data set. Loads torch.

        Args:
            hashes: Content hashes, M of them.
            names: Image names, M of them, for messages and pages.

        Raises:
            FeatureStoreError: The store lacks an image; names it and the reason, if one is known.
        """
        from minimax_al.data.features.features import Features  # noqa: PLC0415 - loads torch

        rows = self.rows(hashes)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            raise FeatureStoreError(self._why_missing(hashes, names, missing))
        return Features(self.shards or np.empty((0, self.description.width), np.float16), rows, names, self.description)

    @cached_property
    def images(self) -> list[ListedImage]:
        """Images that were embedded last, with their paths; images without features included."""
        return read_listing(self.folder)

    def verify(self) -> None:
        """Compare every shard with its checksum.

        Raises:
            FeatureStoreError: A shard's content has changed; names the file.
        """
        for record in self._records:
            for part in ("features", "keys"):
                path = self.folder / f"{name_of(record['shard'])}.{part}.npy"
                if hashlib.sha256(path.read_bytes()).hexdigest() != record[f"{part}_sha256"]:
                    raise FeatureStoreError(
                        f"{str(path)!r} is damaged (its checksum differs): remove the store and embed again"
                    )

    def _why_missing(self, hashes: Hashes, names: Sequence[str], missing: NDArray[np.int64]) -> str:
        first = int(missing[0])
        key = hashes[first] if not isinstance(hashes, np.ndarray) else hashes[first].tobytes().hex()
        reason = self.set_aside.get(str(key))
        more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
        remedy = f"it was set aside: {reason}" if reason else "run mal embed on its folder again"
        return f"the features in {str(self.folder)!r} lack {names[first]!r}{more}: {remedy}"


def open_store(root: Path | str, encoder: str | None = None) -> FeatureStore:
    """Open the store in a folder.

    Args:
        root: Folder of one store, or folder that `mal embed --out` wrote.
        encoder: Encoder or subfolder to choose where there are several stores.

    Raises:
        FeatureStoreError: The folder holds no store, or several and none was chosen.
    """
    folder = Path(root)
    if (folder / DESCRIPTION).is_file():
        return FeatureStore(folder)
    found = list_stores(folder)
    chosen = [store for store in found if encoder in {None, store.description.encoder, store.folder.name}]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(store.folder.name for store in found)
    if not found:
        raise FeatureStoreError(f"{str(folder)!r} does not hold features: run mal embed FOLDER --out {folder}")
    which = f"{len(chosen)} stores" if encoder is None or chosen else f"no store of encoder {encoder!r}"
    raise FeatureStoreError(f"{str(folder)!r} holds {which}: give one of its folders, {names}")


def list_stores(root: Path) -> list[FeatureStore]:
    """Return the stores in the subfolders of a folder, by name."""
    return [FeatureStore(path.parent) for path in sorted(root.glob(f"*/{DESCRIPTION}"))]


def name_of(shard: int) -> str:
    """Return the start of the names of a shard's files."""
    return f"{shard:05d}"


def listing_text(images: Sequence[ListedImage]) -> str:
    """Return the text of `images.csv`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(ListedImage._fields)
    writer.writerows(images)
    return text.getvalue()


def listing_of(content: bytes) -> list[ListedImage]:
    """Return the images of the text of `images.csv`."""
    rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
    next(rows)
    return [ListedImage(name, key) for name, key in rows]


def read_listing(folder: Path) -> list[ListedImage]:
    """Return the images of `images.csv`; empty where the file does not exist.

    Raises:
        FeatureStoreError: The file is damaged.
    """
    path = folder / LISTING
    if not path.is_file():
        return []
    try:
        return listing_of(path.read_bytes())
    except (ValueError, StopIteration, csv.Error) as error:
        raise FeatureStoreError(f"{str(path)!r} is damaged ({error}): remove it and run mal embed again") from error


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {"shard": int(path.stem), "rows": int(record["rows"]), "set_aside": dict(record["set_aside"])} | {
            name: str(record[name]) for name in ("features_sha256", "keys_sha256")
        }
    except (ValueError, KeyError, TypeError) as error:
        raise FeatureStoreError(f"{str(path)!r} is damaged ({error}): embed the images again elsewhere") from error


def _read_array(path: Path, shape: tuple[int, int], dtype: type[np.generic]) -> NDArray[Any]:
    try:
        mapped = path.stat().st_size >= _MAPPED_BYTES
        array: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FeatureStoreError(f"{str(path)!r} cannot be read ({error}): embed the images again elsewhere") from error
    if array.shape != shape or array.dtype != dtype:
        raise FeatureStoreError(
            f"{str(path)!r} holds {array.shape} {array.dtype} where {shape} {np.dtype(dtype)} was recorded: "
            "embed the images again elsewhere"
        )
    array.flags.writeable = False
    return array
