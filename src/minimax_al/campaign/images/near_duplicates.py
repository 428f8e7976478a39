"""Which images show the same, by their perceptual hashes, without comparing all with all.

Two hashes that differ in at most d bits agree in at least one of d + 1 disjoint bands of bits, and in two of d + 2
(the pigeonhole principle), so only hashes that share these are compared. Nothing within the distance is missed.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from minimax_al.campaign.images.fingerprints import hash_bytes

_BITS_OF = np.unpackbits(np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2), axis=1).sum(
    axis=1, dtype=np.uint8
)
"""How many bits of 16 are set, by their number."""
_MOST_IN_TWO = 6
"""Distances up to this look for two bands in common: 28 sortings, but far fewer images to compare where many are
alike in a part, such as things on white ground."""


def representatives(hashes: Sequence[str | None], distance: int) -> NDArray[np.int64]:
    """For every image the first one that shows the same; its own position where none does.

    An image joins the first representative within the distance, never another follower: chains of small
    differences do not grow into groups of unlike images.

    Args:
        hashes: (N,) perceptual hashes, the images that should rather stay first; None joins nothing.
        distance: most bits in which two hashes may differ.

    Returns:
        (N,) positions, each at most its own.

    Example:
        >>> representatives(["00" * 16, "ff" * 16, "00" * 15 + "01", None], distance=2).tolist()
        [0, 1, 0, 3]
    """
    of = np.arange(len(hashes))
    positions = np.array([position for position, text in enumerate(hashes) if text is not None], dtype=np.int64)
    if not len(positions):
        return of
    hashes_NB = hash_bytes([text for text in hashes if text is not None])
    earliest = first_equal(hashes_NB)
    first = np.flatnonzero(earliest == np.arange(len(earliest)))
    leader = _leaders(hashes_NB[first], first, distance)
    of[positions] = positions[first[leader[np.searchsorted(first, earliest)]]]
    return of


def first_equal(rows_NB: NDArray[np.uint8]) -> NDArray[np.int64]:
    """For every row the position of the first row that equals it.

    Args:
        rows_NB: (N, B) uint8.

    Returns:
        (N,) positions, each at most its own.

    Example:
        >>> first_equal(np.array([[1, 2], [1, 3], [1, 2]], dtype=np.uint8)).tolist()
        [0, 1, 0]
    """
    words = _words(rows_NB)
    order = np.lexsort(words.T)  # stable: of equal rows the first stays first
    is_start = np.ones(len(words), dtype=bool)
    is_start[1:] = (words[order[1:]] != words[order[:-1]]).any(axis=1)
    first = np.empty(len(words), dtype=np.int64)
    first[order] = order[np.flatnonzero(is_start)[np.cumsum(is_start) - 1]]
    return first


def _words(rows_NB: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Rows of bytes as rows of whole numbers, which are compared and sorted at once."""
    padded = np.pad(rows_NB, ((0, 0), (0, -rows_NB.shape[1] % 8)))
    return np.ascontiguousarray(padded).view(np.uint64)


def _leaders(unique_MB: NDArray[np.uint8], first: NDArray[np.int64], distance: int) -> NDArray[np.int64]:
    """For every distinct hash the row of its representative; earlier images (by `first`) lead."""
    leader = np.arange(len(unique_MB))
    pairs = list(_close_pairs(unique_MB, distance))
    if not pairs:
        return leader
    left, right = np.concatenate(pairs, axis=1)
    swap = first[left] > first[right]
    leads, follows = np.where(swap, right, left), np.where(swap, left, right)
    order = np.lexsort((first[leads], first[follows]))
    follower = np.zeros(len(unique_MB), dtype=bool)
    for lead, follow in zip(leads[order].tolist(), follows[order].tolist(), strict=True):
        if not follower[follow] and not follower[lead]:
            leader[follow], follower[follow] = lead, True
    return leader


def _close_pairs(unique_MB: NDArray[np.uint8], distance: int) -> Iterator[NDArray[np.int64]]:
    """Pairs of rows (2, P) within the distance, each pair once."""
    bits, words = np.unpackbits(unique_MB, axis=1), unique_MB.view(np.uint16)
    in_common = 2 if distance <= _MOST_IN_TWO else 1
    count = distance + in_common
    # A band is every so manyth bit: neighbours in an image go with one another, and tell less.
    bands = [first_equal(np.packbits(bits[:, offset::count], axis=1)) for offset in range(count)]
    for chosen in combinations(range(count), in_common):
        key = np.zeros(len(unique_MB), dtype=np.int64)
        for band in chosen:
            key = key * len(key) + bands[band]
        for left, right in _equal_pairs(key):
            close = _BITS_OF[words[left] ^ words[right]].sum(axis=1) <= distance
            left, right = left[close], right[close]  # noqa: PLW2901
            # One that has more bands in common comes with the first of them.
            common = sum((bands[band][left] == bands[band][right]).astype(int) for band in range(chosen[-1] + 1))
            yield np.stack([left, right])[:, common == in_common]


def _equal_pairs(key: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Positions of all pairs of equal keys: neighbours in sorted order, then the next but one, and so on."""
    order = np.argsort(key, kind="stable")
    sorted_key = key[order]
    place, shift = np.arange(len(order)), 1
    while len(place := place[place + shift < len(order)]):
        place = place[sorted_key[place] == sorted_key[place + shift]]
        yield order[place], order[place + shift]
        shift += 1
