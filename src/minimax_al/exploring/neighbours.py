"""Nearest neighbours of images in feature space, by cosine similarity, exact over the whole pool.

Converting float16 features costs more than the products with them. So each vector is also kept as one byte per number,
in a memory-mapped file. With x a unit vector and c its code, x = s c + r and ‖r‖ = e is stored, so that for a unit
vector q

    s c·q − e  ≤  x·q  ≤  s c·q + e      (Cauchy–Schwarz)

A search computes s c·q for all images, and the exact similarity of those alone whose upper bound reaches the lower
bound of the k-th best image.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimax_al.data.features.feature_store import FeatureStore
from minimax_al.durable import write_durably
from minimax_al.errors import DataError

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_BLOCK = 256
"""Rows per product: a block of float32 numbers stays in the cache of a core."""

_ROUNDING = 1e-5
"""Bound of the rounding error of a product of two unit vectors in float32."""


class Neighbours(NamedTuple):
    """Images that are nearest to a query, nearest first.

    Attributes:
        rows: Rows of the feature store, shape (k,).
        similarities: Cosine similarities, shape (k,) float32.
    """

    rows: Integers
    similarities: Floats


class _Codes(NamedTuple):
    """Codes of one shard.

    Attributes:
        values: One byte per number, shape (n, d) int8, memory-mapped.
        scales: s of each row, shape (n,) float32.
        errors: e of each row, shape (n,) float32.
    """

    values: NDArray[np.int8]
    scales: Floats
    errors: Floats


class NeighbourIndex:
    """Index of a feature store for exact searches by cosine similarity.

    Args:
        store: Feature store.
        folder: Folder for the codes; they are written once per shard.

    Raises:
        FeatureStoreError: The store is damaged.
    """

    def __init__(self, store: FeatureStore, folder: Path) -> None:
        self.store = store
        self._folder = folder / store.folder.name
        self._codes = [self._codes_of(*shard) for shard in zip(store.checksums, store.shards, strict=True)]
        self._starts = np.cumsum([0, *(len(shard) for shard in store.shards)])

    def unit_vectors(self, rows: Integers) -> Floats:
        """Return the unit vectors of rows, shape (M, d); zero where the features are zero."""
        vectors = np.empty((len(rows), self.store.shape[1]), np.float32)
        shard_of = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(shard_of).tolist():
            chosen = np.flatnonzero(shard_of == number)
            vectors[chosen] = self.store.shards[number][rows[chosen] - self._starts[number]]
        return _as_units(vectors)

    def nearest(self, examples: Integers, among: Integers, count: int) -> Neighbours:
        """Return the images that are most similar to examples.

        Args:
            examples: Rows of the examples; several are averaged as unit vectors.
            among: Rows to search, ascending.
            count: Number of images to return.

        Raises:
            DataError: The examples' features are zero or cancel out.
        """
        query = _as_units(self.unit_vectors(examples).mean(axis=0, keepdims=True))[0]
        if not query.any():
            raise DataError("the examples' features cancel out: give other examples")
        if len(among) == 0 or count < 1:
            return Neighbours(np.empty(0, np.int64), np.empty(0, np.float32))
        estimates, errors = (column[among] for column in self._estimates(query))
        kept = min(count, len(among))
        # The k-th largest lower bound: an image whose upper bound is below it is not among the k nearest.
        least = np.partition(estimates - errors, len(among) - kept)[len(among) - kept]
        candidates = among[estimates + errors >= least]
        exact = self.unit_vectors(candidates) @ query
        order = np.lexsort((candidates, -exact))[:kept]  # of equal similarities the earlier row comes first
        return Neighbours(candidates[order], exact[order])

    def _estimates(self, query: Floats) -> tuple[Floats, Floats]:
        """Return s c·q and the bound of its error, for every row of the store."""
        estimates = np.empty(len(self.store), np.float32)
        buffer = np.empty((_BLOCK, len(query)), np.float32)
        for start, codes in zip(self._starts.tolist(), self._codes, strict=False):
            for first in range(0, len(codes.values), _BLOCK):
                block = codes.values[first : first + _BLOCK]
                np.copyto(buffer[: len(block)], block)
                part = estimates[start + first : start + first + len(block)]
                # Not `@`: on a busy machine, threads of BLAS wait for one another longer than this takes.
                np.einsum("nd,d->n", buffer[: len(block)], query, out=part)
            estimates[start : start + len(codes.values)] *= codes.scales
        errors = np.concatenate([codes.errors for codes in self._codes])
        return estimates, errors + np.float32(_ROUNDING)

    def _codes_of(self, checksum: str, shard: NDArray[np.float16]) -> _Codes:
        """Read a shard's codes, or compute and write them."""
        files = [self._folder / f"{checksum[:16]}.{name}.npy" for name in ("codes", "bounds")]
        found = _read(files, shard.shape)
        if found is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            values, bounds = _encode(shard)
            write_durably(files[0], _as_file(values))
            write_durably(files[1], _as_file(bounds))
            found = _read(files, shard.shape) or (values, bounds)
        values, bounds = found
        return _Codes(values, np.ascontiguousarray(bounds[0]), np.ascontiguousarray(bounds[1]))


def _read(files: Sequence[Path], shape: tuple[int, ...]) -> tuple[NDArray[np.int8], Floats] | None:
    try:
        values = np.load(files[0], mmap_mode="r", allow_pickle=False)
        bounds = np.load(files[1], allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return (values, bounds) if values.shape == shape and bounds.shape == (2, shape[0]) else None


def _encode(shard: NDArray[np.float16]) -> tuple[NDArray[np.int8], Floats]:
    """Return the codes of a shard, and the scale and error bound of each row."""
    values = np.empty(shard.shape, np.int8)
    bounds = np.empty((2, len(shard)), np.float32)
    for first in range(0, len(shard), 8 * _BLOCK):
        units = _as_units(shard[first : first + 8 * _BLOCK].astype(np.float32))
        scales = np.abs(units).max(axis=1, keepdims=True) / 127
        codes = np.rint(units / np.where(scales > 0, scales, 1))
        values[first : first + len(units)] = codes
        bounds[0, first : first + len(units)] = scales[:, 0]
        bounds[1, first : first + len(units)] = np.linalg.norm(units - codes * scales, axis=1)
    return values, bounds


def _as_units(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    units: Floats = np.divide(vectors, lengths, dtype=np.float32)
    return units


def _as_file(array: NDArray[np.generic]) -> bytes:
    """Return an array's file in NumPy's format npy."""
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()
