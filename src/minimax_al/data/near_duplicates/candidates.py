"""Near duplicates: images with close perceptual hashes whose pixels agree on a second look.

Two hashes that differ in at most d bits agree in at least one of d + 1 disjoint bands of bits, and in two of d + 2
(the pigeonhole principle), so only hashes that share these bands are compared. No pair within the distance is missed.

A second look decodes files, so it is bounded: each new image is compared with a few of the images with close hashes,
those with the same file name and the nearest names first.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from minimax_al.data.near_duplicates.perceptual_hash import hash_bytes

_BITS_OF = np.unpackbits(np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2), axis=1).sum(
    axis=1, dtype=np.uint8
)
"""Number of set bits of each 16-bit number."""
_MOST_IN_TWO = 6
"""Largest distance for which two common bands are required: 28 sortings, but far fewer comparisons of pools in which
many images are alike in a part, such as objects on white ground."""
_FIRST_LOOKS, _MOST_LOOKS = 6, 4
"""Maximum number of images with which a new image is compared, at first and after the trial."""
_MOST_HASHES = 16
"""Close hashes among whose images those are chosen, at most."""
_TRIAL_LOOKS, _LEAST_AGREEMENT = 100, 0.02
"""Length of the trial. With a smaller share of agreement, each further image gets one look: a fixed camera."""


@dataclass(frozen=True)
class CloseHashes:
    """Images that share a close hash with a new image.

    Attributes:
        positions: Positions of these images, shape (P,), ascending.
        hash_of: Number of the distinct hash of each of them, shape (P,).
        close_to: Numbers of the other hashes within the distance of a hash, nearest first, by number.
    """

    positions: NDArray[np.int64]
    hash_of: NDArray[np.int64]
    close_to: Mapping[int, Sequence[int]]


def close_hashes(hashes: Sequence[str | None], is_new: NDArray[np.bool_], distance: int) -> CloseHashes:
    """Return the images whose hash is close to the hash of another image, at least one of both new.

    Args:
        hashes: Perceptual hashes of N images; None is close to nothing.
        is_new: Whether an image is new, shape (N,).
        distance: Maximum number of bits in which two hashes differ.

    Example:
        >>> found = close_hashes(["00" * 16, "ff" * 16, "00" * 15 + "01", None], np.ones(4, dtype=bool), distance=2)
        >>> found.positions.tolist(), found.close_to
        ([0, 2], {0: [2], 2: [0]})
    """
    positions = np.array([position for position, text in enumerate(hashes) if text is not None], dtype=np.int64)
    if not len(positions):
        return CloseHashes(positions, positions, {})
    hashes_NB = hash_bytes([text for text in hashes if text is not None])
    earliest = first_equal(hashes_NB)  # number of a hash: its first position among the images with a hash
    unique = np.unique(earliest)
    has_new = np.zeros(len(earliest), dtype=bool)
    has_new[earliest[is_new[positions]]] = True
    neighbours: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for left, right, bits in _close_pairs(hashes_NB[unique], distance):
        matters = has_new[unique[left]] | has_new[unique[right]]
        pairs = zip(
            unique[left[matters]].tolist(), unique[right[matters]].tolist(), bits[matters].tolist(), strict=True
        )
        for one, other, differing in pairs:
            neighbours[one].append((differing, other))
            neighbours[other].append((differing, one))
    count = np.bincount(earliest, minlength=len(earliest))
    concerned = has_new & (count > 1)
    concerned[list(neighbours)] = True
    chosen = concerned[earliest]
    close_to = {number: [other for _, other in sorted(close)] for number, close in neighbours.items()}
    return CloseHashes(positions[chosen], earliest[chosen], close_to)


@dataclass
class _Hash:
    """Images of one hash that represent others, and how looks at this hash's images have ended.

    Attributes:
        names: Sorted (name, place) of these images.
        by_stem: Places of these images, by file name without ending.
        looks: Number of second looks.
        agreed: Number of those that agreed.
    """

    names: list[tuple[str, int]] = field(default_factory=list)
    by_stem: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    looks: int = 0
    agreed: int = 0


class NearDuplicateSearch:
    """Search that assigns new images to the earlier images that show the same.

    An image joins an earlier representative, never another follower: chains of small differences do not grow into
    groups of unlike images.

    Args:
        close: Images with close hashes.
        is_new: Whether each of these P images is new, shape (P,); the others stay representatives.
        names: Paths of these images.
        agree: Second look at two of them, called with their places 0 to P - 1.
    """

    def __init__(
        self,
        close: CloseHashes,
        is_new: NDArray[np.bool_],
        names: Sequence[str],
        agree: Callable[[int, int], bool],
    ) -> None:
        self._close = close
        self._is_new = is_new
        self._names = names
        self._agree = agree
        self._hashes: dict[int, _Hash] = defaultdict(_Hash)

    def run(self) -> Iterator[tuple[int, int]]:
        """Yield each new image's place and the place of its representative, which may be its own."""
        for place in np.flatnonzero(~self._is_new).tolist():
            self._represent(place)
        for place in np.flatnonzero(self._is_new).tolist():
            representative = self._representative(place)
            if representative is None:
                self._represent(place)
            yield place, place if representative is None else representative

    def _represent(self, place: int) -> None:
        own = self._hashes[int(self._close.hash_of[place])]
        insort(own.names, (self._names[place], place))
        own.by_stem[_stem(self._names[place])].append(place)

    def _representative(self, place: int) -> int | None:
        own = self._hashes[int(self._close.hash_of[place])]
        for other in self._candidates(place)[: self._most_looks(own)]:
            own.looks += 1
            if self._agree(place, other):
                own.agreed += 1
                return other
        return None

    @staticmethod
    def _most_looks(own: _Hash) -> int:
        if own.looks < _TRIAL_LOOKS:
            return _FIRST_LOOKS
        return 1 if own.agreed < _LEAST_AGREEMENT * own.looks else _MOST_LOOKS

    def _candidates(self, place: int) -> list[int]:
        """Return representatives with close hashes: same file name first, then nearest hash and name."""
        number, name = int(self._close.hash_of[place]), self._names[place]
        by_stem: list[int] = []
        by_name: list[int] = []
        for near in (number, *self._close.close_to.get(number, ())[:_MOST_HASHES]):
            entry = self._hashes.get(near)
            if entry is None:
                continue
            by_stem += entry.by_stem.get(_stem(name), [])[:_FIRST_LOOKS]
            middle = bisect_left(entry.names, (name, place))
            around = range(max(0, middle - _FIRST_LOOKS), min(len(entry.names), middle + _FIRST_LOOKS))
            by_name += [entry.names[index][1] for index in sorted(around, key=lambda index: abs(index - middle))]
        return list(dict.fromkeys([*by_stem, *by_name]))


def _stem(name: str) -> str:
    return PurePosixPath(name).stem.lower()


def first_equal(rows_NB: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return for every row the position of the first equal row.

    Args:
        rows_NB: Rows of bytes, shape (N, B), uint8.

    Returns:
        Positions, shape (N,), each at most the row's own.

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
    """Return rows of bytes as rows of 64-bit integers, which are compared and sorted at once."""
    padded = np.pad(rows_NB, ((0, 0), (0, -rows_NB.shape[1] % 8)))
    return np.ascontiguousarray(padded).view(np.uint64)


def _close_pairs(
    unique_MB: NDArray[np.uint8], distance: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Yield pairs of rows within the distance, each pair once: left (P,), right (P,) and differing bits (P,)."""
    bits, words = np.unpackbits(unique_MB, axis=1), unique_MB.view(np.uint16)
    in_common = 2 if distance <= _MOST_IN_TWO else 1
    count = distance + in_common
    # A band takes every n-th bit: bits of neighbouring cells are correlated and separate fewer images.
    bands = [first_equal(np.packbits(bits[:, offset::count], axis=1)) for offset in range(count)]
    for chosen in combinations(range(count), in_common):
        key = np.zeros(len(unique_MB), dtype=np.int64)
        for band in chosen:
            key = key * len(key) + bands[band]
        for left, right in _equal_pairs(key):
            differing = _BITS_OF[words[left] ^ words[right]].sum(axis=1, dtype=np.int64)
            close = differing <= distance
            left, right, differing = left[close], right[close], differing[close]  # noqa: PLW2901
            # A pair with more bands in common is yielded with the first of them only.
            common = sum((bands[band][left] == bands[band][right]).astype(int) for band in range(chosen[-1] + 1))
            first_time = common == in_common
            yield left[first_time], right[first_time], differing[first_time]


def _equal_pairs(key: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield positions of all pairs of equal keys: neighbours in sorted order, then the next but one, and so on."""
    order = np.argsort(key, kind="stable")
    sorted_key = key[order]
    place, shift = np.arange(len(order)), 1
    while len(place := place[place + shift < len(order)]):
        place = place[sorted_key[place] == sorted_key[place + shift]]
        yield order[place], order[place + shift]
        shift += 1
