"""Writer of a feature store: one at a time, append-only, safe against a kill at any moment. Loads no torch."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minimax_al.data.features.feature_description import DESCRIPTION, FeatureDescription
from minimax_al.data.features.feature_store import (
    LISTING,
    FeatureStore,
    ListedImage,
    listing_text,
    name_of,
)
from minimax_al.durable import write_durably
from minimax_al.errors import FeatureStoreError
from minimax_al.locks import file_lock

LOCK = "writer.lock"


class FeatureWriter:
    """Writer of one store, which holds its lock; see `open_writer`.

    Args:
        folder: Folder of the store.
        written: Callback of each file after it was written; None for none.

    Attributes:
        store: Reader of the rows so far.
    """

    def __init__(self, folder: Path, written: Callable[[Path], None] | None = None) -> None:
        self.store = FeatureStore(folder)
        self._written = written
        self._next = len(list(folder.glob("[0-9]*.json")))

    def append(
        self, keys: NDArray[np.uint8], vectors: NDArray[np.float16], set_aside: Mapping[str, str] | None = None
    ) -> None:
        """Append one shard; it is on the disk when the call returns.

        Args:
            keys: Content hashes, shape (n, 32) uint8, none of them stored yet.
            vectors: Feature vectors, shape (n, d) float16.
            set_aside: Reason per content hash of the images without features.

        Raises:
            FeatureStoreError: Shapes or dtypes do not fit the store.
        """
        width = self.store.description.width
        if vectors.shape != (len(keys), width) or vectors.dtype != np.float16:
            raise FeatureStoreError(
                f"vectors are {vectors.shape} {vectors.dtype}: this store holds ({len(keys)}, {width}) float16"
            )
        folder, name = self.store.folder, name_of(self._next)
        contents = {"features": _npy(vectors), "keys": _npy(keys)}
        for part, content in contents.items():
            self._write(folder / f"{name}.{part}.npy", content)
        record = {
            "rows": len(keys),
            "set_aside": dict(sorted((set_aside or {}).items())),
            **{f"{part}_sha256": hashlib.sha256(content).hexdigest() for part, content in contents.items()},
        }
        # The record comes last: a shard counts once all of it is on the disk.
        self._write(folder / f"{name}.json", (json.dumps(record, indent=2) + "\n").encode())
        self._next += 1
        self.store = FeatureStore(folder)

    def write_listing(self, images: Sequence[ListedImage]) -> None:
        """Replace the list of embedded images."""
        content = listing_text(images).encode()
        path = self.store.folder / LISTING
        if not path.is_file() or path.read_bytes() != content:
            self._write(path, content)
        self.store = FeatureStore(self.store.folder)

    def _write(self, path: Path, content: bytes) -> None:
        write_durably(path, content)
        if self._written is not None:
            self._written(path)


@contextmanager
def open_writer(
    root: Path | str,
    description: FeatureDescription,
    lock: AbstractContextManager[bool] | None = None,
    written: Callable[[Path], None] | None = None,
) -> Iterator[FeatureWriter]:
    """Yield the only writer of the store with this description; the store is created where it does not exist.

    Args:
        root: Folder of the pool's stores.
        description: Description of how the vectors are computed.
        lock: Lock instead of a lock file, which yields whether it is held; for folders on shared storage.
        written: Callback of each file after it was written; None for none.

    Raises:
        FeatureStoreError: Another process writes to the store, or its folder cannot be written.
    """
    folder = Path(root) / description.folder_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FeatureStoreError(f"{str(folder)!r} cannot be written: {error.strerror or error}") from error
    with lock or file_lock(folder / LOCK, error=FeatureStoreError) as is_ours:
        if not is_ours:
            raise FeatureStoreError(
                f"another process is writing to {str(folder)!r}: wait until it has ended, then run the command again"
            )
        _remove_leftovers(folder)
        if not (folder / DESCRIPTION).is_file():
            write_durably(folder / DESCRIPTION, description.to_json().encode())
            if written is not None:
                written(folder / DESCRIPTION)
        yield FeatureWriter(folder, written)


def _remove_leftovers(folder: Path) -> None:
    """Remove the leftovers of a killed writer: temporary files, and parts of a shard without a record."""
    for path in folder.glob(".*.part"):
        path.unlink()
    for path in folder.glob("[0-9]*.npy"):
        if not path.with_name(f"{path.name.split('.')[0]}.json").is_file():
            path.unlink()


def _npy(array: NDArray[np.generic]) -> bytes:
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(array), allow_pickle=False)
    return content.getvalue()
