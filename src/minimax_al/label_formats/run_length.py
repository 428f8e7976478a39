"""Run-length codes of binary masks, as COCO and as Label Studio write them."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Binary = NDArray[np.bool_]

_WORD = 8
_LONGEST_RUN_BITS = 60
_SIZES = (3, 4, 8, 16)  # bits of a run's length, as Label Studio itself chooses them


def encode_coco(mask: Binary) -> dict[str, list[int]]:
    """Return a mask, shape (H, W), as COCO's uncompressed code: runs of 0, 1, 0, … down the columns.

    Example:
        >>> encode_coco(np.array([[0, 1], [0, 1]], dtype=bool))
        {'counts': [2, 2], 'size': [2, 2]}
    """
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges.tolist(), flat.size]).tolist()
    return {"counts": [0, *runs] if flat.size and flat[0] else runs, "size": [int(side) for side in mask.shape]}


def encode_coco_compressed(mask: Binary) -> dict[str, str | list[int]]:
    """Return a mask, shape (H, W), as COCO's compressed run lengths, which pycocotools reads and writes.

    Example:
        >>> encode_coco_compressed(np.array([[0, 1], [0, 1]], dtype=bool))
        {'counts': '22', 'size': [2, 2]}
    """
    code = encode_coco(mask)
    return {"counts": "".join(_compressed(code["counts"])), "size": code["size"]}


def decode_coco(counts: Sequence[int] | str | bytes, size: Sequence[int]) -> Binary:
    """Return the mask of a COCO code, uncompressed or compressed.

    Raises:
        ValueError: The runs do not fill the size, or are not whole numbers from 0 on.
    """
    given = list(_compressed_runs(counts)) if isinstance(counts, str | bytes) else list(counts)
    height, width = size
    runs = [int(run) for run in given]
    if runs != given or any(run < 0 for run in runs):
        raise ValueError("a run is not a whole number from 0 on")
    if sum(runs) != height * width:
        raise ValueError(f"the runs cover {sum(runs)} pixels, and the image has {height * width}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape((height, width), order="F")


def encode_label_studio(mask: Binary) -> list[int]:
    """Return a mask, shape (H, W), as Label Studio's code of its RGBA pixels, with equal channels."""
    values = np.repeat(mask.ravel().astype(np.uint8) * 255, 4)
    edges = np.flatnonzero(np.diff(values)) + 1
    starts = [0, *edges.tolist(), len(values)]
    bits = [_bits(len(values), 32), _bits(_WORD - 1, 5), *(_bits(size - 1, 4) for size in _SIZES)]
    longest = 1 << _SIZES[-1]
    for start, end in pairwise(starts):
        for begin in range(start, end, longest):
            length = min(longest, end - begin) - 1
            choice = next(i for i, size in enumerate(_SIZES) if length < 1 << size)
            bits += [[1], _bits(choice, 2), _bits(length, _SIZES[choice]), _bits(int(values[start]), _WORD)]
    code: list[int] = np.packbits(np.concatenate(bits).astype(np.uint8)).tolist()
    return code


def decode_label_studio(code: Sequence[int], size: Sequence[int]) -> Binary:
    """Return the mask of Label Studio's code: where the alpha channel is not 0.

    Raises:
        ValueError: The code does not fill the size.
    """
    height, width = size
    if not isinstance(code, list | tuple) or any(not 0 <= byte <= 255 for byte in code):
        raise ValueError("its code is not a list of bytes from 0 to 255")
    reader = _BitReader(np.unpackbits(np.array(code, dtype=np.uint8)))
    total, word = reader.take(32), reader.take(5) + 1
    sizes = [reader.take(4) + 1 for _ in range(4)]
    if total != 4 * height * width:
        raise ValueError(f"the code is of {total // 4} pixels, and the image has {height * width}")
    if word != _WORD:
        raise ValueError(f"the code has words of {word} bits, and pixels have {_WORD}")
    parts, done = [], 0
    while done < total:
        repeated = reader.take(1)
        length = reader.take(sizes[reader.take(2)]) + 1
        values = reader.take(word) if repeated else [reader.take(word) for _ in range(length)]
        parts.append(np.full(length, values, dtype=np.uint8))
        done += length
    pixels = np.concatenate(parts)[:total].reshape(height, width, 4)
    return np.asarray(pixels[..., 3] > 0)


class _BitReader:
    """Reader of integers from a row of bits."""

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        self.bits = bits
        self.position = 0

    def take(self, count: int) -> int:
        """Return the number of the next `count` bits, highest bit first."""
        chunk = self.bits[self.position : self.position + count]
        if len(chunk) < count:
            raise ValueError("the code ends too early")
        self.position += count
        return int("".join(map(str, chunk.tolist())), 2)


def _bits(value: int, count: int) -> list[int]:
    return [(value >> shift) & 1 for shift in range(count - 1, -1, -1)]


def _compressed(runs: Sequence[int]) -> Iterator[str]:
    """Yield the characters of runs: five bits each, from the fourth run on of the difference to the last but one."""
    for position, run in enumerate(runs):
        value = run - runs[position - 2] if position > 2 else run
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            # The last character's highest bit is the sign, so that a value ends where the rest repeats that bit.
            more = value != -1 if bits & 0x10 else value != 0
            yield chr((bits | 0x20 if more else bits) + 48)


def _compressed_runs(text: str | bytes) -> Iterator[int]:
    """Yield the runs of a compressed code, the inverse of `_compressed`."""
    characters = iter(text.encode("ascii", "replace") if isinstance(text, str) else text)
    runs: list[int] = []
    for character in characters:
        value, shift, code = 0, 0, character - 48
        while True:
            value |= (code & 0x1F) << shift
            shift += 5
            if not code & 0x20:
                break
            if shift > _LONGEST_RUN_BITS:
                raise ValueError("a run is longer than any image")
            code = next(characters, 48) - 48
        if code & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        yield runs[-1]
