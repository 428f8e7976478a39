"""Sorted index from content hashes to row numbers. Loads no torch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from minimax_al.errors import DataError

HASH_BYTES = 32
"""Length of a SHA-256."""

Hashes = Sequence[str] | NDArray[np.uint8]
"""Content hashes: hexadecimal strings, or bytes of shape (N, 32)."""


class HashIndex:
    """Rows by content hash, with 16 bytes per row in addition to the hashes.

    A hash is looked up by its first eight bytes in a sorted array; the candidate's other bytes are then compared. If
    a hash occurs twice, the first row counts.

    Args:
        keys: Hashes in row order, shape (N, 32) uint8.

    Example:
        >>> index = HashIndex(np.eye(3, 32, dtype=np.uint8))
        >>> index.find(np.eye(32, dtype=np.uint8)[[2, 5, 0]]).tolist()
        [2, -1, 0]
    """

    def __init__(self, keys: NDArray[np.uint8]) -> None:
        self.keys = keys
        prefixes = _prefixes(keys)
        self._order = np.argsort(prefixes, kind="stable")
        self._sorted = prefixes[self._order]

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, hashes: Hashes) -> NDArray[np.int64]:
        """Return the row of each hash, -1 where it is absent, shape (M,).

        Args:
            hashes: Hashes to look up, M of them.

        Raises:
            DataError: A hash is not 64 hexadecimal digits.
        """
        wanted = as_bytes(hashes)
        rows = np.full(len(wanted), -1, dtype=np.int64)
        place = np.searchsorted(self._sorted, prefixes := _prefixes(wanted))
        pending = np.flatnonzero(place < len(self._sorted))
        # Hashes with equal prefixes are neighbours: step right until the whole hash agrees or the prefix changes.
        while len(pending):
            pending = pending[self._sorted[place[pending]] == prefixes[pending]]
            candidates = self._order[place[pending]]
            agrees = (self.keys[candidates] == wanted[pending]).all(axis=1)
            rows[pending[agrees]] = candidates[agrees]
            pending = pending[~agrees]
            place[pending] += 1
            pending = pending[place[pending] < len(self._sorted)]
        return rows


def joined_digests(digests: Sequence[bytes]) -> NDArray[np.uint8]:
    """Return digests of `HASH_BYTES` bytes each as one array, shape (N, 32)."""
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(digests), HASH_BYTES)


def as_bytes(hashes: Hashes) -> NDArray[np.uint8]:
    """Return content hashes as bytes, shape (N, 32).

    Raises:
        DataError: A hash is not 64 hexadecimal digits.
    """
    if isinstance(hashes, np.ndarray):
        if hashes.dtype != np.uint8 or hashes.ndim != 2 or hashes.shape[1] != HASH_BYTES:
            raise DataError(f"hashes must be (N, {HASH_BYTES}) uint8, not {hashes.shape} {hashes.dtype}")
        return hashes
    wrong = next((each for each in hashes if len(each) != 2 * HASH_BYTES), None)
    try:
        joined = b"" if wrong is not None else bytes.fromhex("".join(hashes))
    except ValueError:
        wrong = next(each for each in hashes if not _is_hexadecimal(each))
    if wrong is not None:
        raise DataError(f"{wrong!r} is not a SHA-256: give {2 * HASH_BYTES} hexadecimal digits")
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, HASH_BYTES)


def _prefixes(keys: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(keys[:, :8]).view(">u8")[:, 0].astype(np.uint64)


def _is_hexadecimal(text: str) -> bool:
    try:
        return len(bytes.fromhex(text)) == HASH_BYTES
    except ValueError:
        return False
