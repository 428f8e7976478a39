"""Which pictures show the same, by their perceptual hashes, without comparing all with all.

Two hashes that differ in at most d bits agree in at least one of d + 1 disjoint bands of bits (the pigeonhole
principle), so only hashes that share a band are compared. Nothing within the distance is missed.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from minimax_al.campaign.fingerprints import HASH_BYTES, hash_bytes

_BITS_OF_BYTE = np.array([byte.bit_count() for byte in range(256)], dtype=np.uint8)


def representatives(hashes: Sequence[str | None], distance: int) -> NDArray[np.int64]:
    """For every picture the first one that shows the same; its own position where none does.

    A picture joins the first representative within the distance, never another follower: chains of small
    differences do not grow into groups of unlike pictures.

    Args:
        hashes: (N,) perceptual hashes, the pictures that should rather stay first; None joins nothing.
        distance: most bits in which two hashes may differ.

    Returns:
        (N,) positions, each at most its own.

    Example:
        >>> representatives(["00" * 16, "ff" * 16, "00" * 15 + "01", None], distance=2).tolist()
        [0, 1, 0, 3]
    """
    of = np.arange(len(hashes))
    known = [position for position, text in enumerate(hashes) if text is not None]
    if not known:
        return of
    hashes_NB = hash_bytes([text for text in hashes if text is not None])
    unique_MB, first, inverse = np.unique(hashes_NB, axis=0, return_index=True, return_inverse=True)
    leader = _leaders(unique_MB, first, distance)
    positions = np.array(known)
    of[positions] = positions[first[leader[inverse.ravel()]]]
    return of


def _leaders(unique_MB: NDArray[np.uint8], first: NDArray[np.int64], distance: int) -> NDArray[np.int64]:
    """For every distinct hash the row of its representative; earlier pictures (by `first`) lead."""
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
    """Pairs of rows (2, P) within the distance; a pair may come from several bands."""
    bits = np.unpackbits(unique_MB, axis=1)
    for band in np.array_split(np.arange(8 * HASH_BYTES), distance + 1):
        packed = np.packbits(bits[:, band], axis=1)
        _, key = np.unique(packed, axis=0, return_inverse=True)
        order = np.argsort(key.ravel(), kind="stable")
        sorted_key = key.ravel()[order]
        # Neighbours in the sorted order, then the next but one, … as long as any share the band.
        for shift in range(1, len(order)):
            same = np.flatnonzero(sorted_key[shift:] == sorted_key[:-shift])
            if not len(same):
                break
            left, right = order[same], order[same + shift]
            close = _BITS_OF_BYTE[unique_MB[left] ^ unique_MB[right]].sum(axis=1) <= distance
            yield np.stack([left[close], right[close]])
