"""Many texts in one buffer: ten million paths as Python strings would take a gigabyte. Loads no torch."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


class PackedTexts(Sequence[str]):
    """Immutable sequence of texts, made when they are read; texts with lone surrogates are kept, too.

    Args:
        texts: Texts.

    Example:
        >>> names = PackedTexts(f"{number}.jpg" for number in range(3))
        >>> len(names), names[1], names[-1], names.take(np.array([2, 0]))[:]
        (3, '1.jpg', '2.jpg', ['2.jpg', '0.jpg'])
    """

    def __init__(self, texts: Iterable[str]) -> None:
        joined, ends = bytearray(), array("q", [0])
        for text in texts:
            joined += text.encode("utf-8", "surrogatepass")
            ends.append(len(joined))
        self._joined = bytes(joined)
        self._ends = np.frombuffer(ends, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        chosen = range(len(self))[index]
        return self._text(chosen) if isinstance(chosen, int) else [self._text(each) for each in chosen]

    def __iter__(self) -> Iterator[str]:
        return (self._text(position) for position in range(len(self)))

    def take(self, positions: NDArray[np.int64]) -> "PackedTexts":
        """Return the texts at some positions, in that order."""
        return PackedTexts(self._text(position) for position in positions.tolist())

    def _text(self, position: int) -> str:
        return self._joined[self._ends[position] : self._ends[position + 1]].decode("utf-8", "surrogatepass")
