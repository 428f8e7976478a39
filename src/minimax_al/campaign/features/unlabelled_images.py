"""Unlabelled images of a training as columns: as objects, ten million would take six gigabytes."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from minimax_al.data.features.hash_index import HASH_BYTES, as_bytes
from minimax_al.data.tables.packed_texts import PackedTexts


class UnlabelledImage(NamedTuple):
    """Image without a label.

    Attributes:
        id: Id of the image.
        path: Path relative to the images' folder.
        content_hash: Hash of its file.
        height: Height of the upright image, in pixels.
        width: Width of the upright image, in pixels.
    """

    id: int
    path: str
    content_hash: str
    height: int
    width: int


class UnlabelledImages(Sequence[UnlabelledImage]):
    """Sequence of unlabelled images, each made when it is read.

    Args:
        ids: Ids, shape (N,) int64.
        hashes: Content hashes, shape (N, 32) uint8.
        sizes: Height and width, shape (N, 2) int32.
        paths: Paths, N of them.

    Attributes:
        ids: Ids, shape (N,) int64.
        hashes: Content hashes, shape (N, 32) uint8.
        paths: Paths, N of them.
    """

    def __init__(
        self, ids: NDArray[np.int64], hashes: NDArray[np.uint8], sizes: NDArray[np.int32], paths: PackedTexts
    ) -> None:
        self.ids, self.hashes, self.paths, self._sizes = ids, hashes, paths, sizes

    @classmethod
    def read(cls, rows: Iterable[Any]) -> "UnlabelledImages":
        """Return the images of rows with the fields of `UnlabelledImage`."""
        ids, hashes, sizes = array("q"), bytearray(), array("i")

        def paths() -> Iterator[str]:
            for item, path, content_hash, height, width in rows:
                ids.append(item)
                hashes.extend(bytes.fromhex(content_hash))
                sizes.extend((height or 0, width or 0))
                yield path

        packed = PackedTexts(paths())
        return cls(
            np.array(ids, dtype=np.int64),
            np.frombuffer(bytes(hashes), dtype=np.uint8).reshape(-1, HASH_BYTES),
            np.array(sizes, dtype=np.int32).reshape(-1, 2),
            packed,
        )

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> UnlabelledImage: ...
    @overload
    def __getitem__(self, index: slice) -> list[UnlabelledImage]: ...
    def __getitem__(self, index: int | slice) -> UnlabelledImage | list[UnlabelledImage]:
        chosen = range(len(self))[index]
        return self._image(chosen) if isinstance(chosen, int) else [self._image(each) for each in chosen]

    def __iter__(self) -> Iterator[UnlabelledImage]:
        return (self._image(position) for position in range(len(self)))

    def take(self, positions: NDArray[np.int64]) -> "UnlabelledImages":
        """Return the images at some positions, in that order."""
        return UnlabelledImages(
            self.ids[positions], self.hashes[positions], self._sizes[positions], self.paths.take(positions)
        )

    def _image(self, position: int) -> UnlabelledImage:
        height, width = self._sizes[position].tolist()
        content_hash = self.hashes[position].tobytes().hex()
        return UnlabelledImage(int(self.ids[position]), self.paths[position], content_hash, height, width)


def hashes_of(images: Sequence[Any]) -> NDArray[np.uint8]:
    """Return the content hashes of images, shape (N, 32) uint8."""
    if isinstance(images, UnlabelledImages):
        return images.hashes
    return as_bytes([image.content_hash for image in images])


def ids_of(images: Sequence[Any]) -> NDArray[np.int64]:
    """Return the ids of images, shape (N,) int64."""
    if isinstance(images, UnlabelledImages):
        return images.ids
    return np.array([image.id for image in images], dtype=np.int64)


def paths_of(images: Sequence[Any]) -> Iterable[str]:
    """Return the paths of images."""
    return images.paths if isinstance(images, UnlabelledImages) else [image.path for image in images]
