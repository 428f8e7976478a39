"""Wrong labels of a source: all of them are counted, and the first ones are listed in one error."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from minimax_al.errors import DataError

MOST_LISTED = 20
"""Wrong labels that an error lists; the others are counted."""

T = TypeVar("T")


class Problems:
    """Collector of the errors of one import.

    Args:
        source: File or folder of the labels.

    Example:
        >>> problems = Problems(Path("labels.csv"))
        >>> problems.add(DataError("line 2: unknown class 'bird'"), count=3)
        >>> problems.add(DataError("line 4: 'x.jpg' is not an image of this campaign"))
        >>> problems.count
        4
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        self.count = 0
        self._first: list[DataError] = []

    def add(self, error: DataError, count: int = 1) -> None:
        """Add an error that `count` labels have."""
        self.count += count
        if len(self._first) < MOST_LISTED:
            self._first.append(error)

    @property
    def are_listed_all(self) -> bool:
        """Whether a further error would be listed."""
        return len(self._first) < MOST_LISTED

    def without(self, labels: Iterable[T | DataError]) -> Iterator[T]:
        """Yield the labels that are not errors, and add the errors."""
        for label in labels:
            if isinstance(label, DataError):
                self.add(label)
            else:
                yield label

    def check(self) -> None:
        """Raise one error for all problems.

        Raises:
            DataError: There are problems.
        """
        if not self._first:
            return
        if self.count == 1:
            raise self._first[0]
        lines = "".join(f"\n- {error}" for error in self._first)
        more = self.count - len(self._first)
        rest = f"\n- and {more:,} more" if len(self._first) == MOST_LISTED and more > 0 else ""
        raise DataError(
            f"{self.count:,} labels of {str(self.source)!r} are wrong, and nothing was imported:{lines}{rest}"
        )
