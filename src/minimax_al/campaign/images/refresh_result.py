"""Result of a refresh, and the names that are collected for it."""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

_log = logging.getLogger(__name__)

MOST_NAMES = 100_000
"""Paths of one kind that a `Refresh` lists at most; its counts have all."""

_MOST_WARNINGS = 10
"""Names listed twice that are logged at most."""


@dataclass(frozen=True)
class Refresh:
    """Differences that a refresh found; paths are relative to the images' folder, at most `MOST_NAMES` of one kind.

    Attributes:
        added: New images, including duplicates.
        exact_duplicates: New images that are copies of another file.
        near_duplicates: New images that show the same as another image.
        moved: New paths of images whose file was moved or renamed; their labels moved along.
        changed: Images with labels whose file has other content now.
        missing: Images whose file is gone.
        returned: Missing images whose file is back.
        set_aside: Files that cannot be used.
        counts: Number of each kind by its name above; empty where it is the number of the listed paths.
    """

    added: tuple[str, ...] = ()
    exact_duplicates: tuple[str, ...] = ()
    near_duplicates: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    def count(self, kind: str) -> int:
        """Return the number of images of a kind, such as "added"."""
        return self.counts.get(kind, len(getattr(self, kind)))

    def __str__(self) -> str:
        """Return the counts that are not zero."""
        kinds = [name for name in vars(self) if name != "counts"]
        counts = {name.replace("_", " "): self.count(name) for name in kinds}
        return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "nothing new"


class NamesByKind:
    """Names by kind: all are counted, the first ones are kept."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.kept: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, name: str) -> None:
        """Count a name, and keep it if there are few."""
        self.counts[kind] += 1
        if self.counts[kind] <= MOST_NAMES:
            self.kept[kind].append(name)


class Repeats:
    """Names that a location lists again: the first ones are logged, and the number of the others."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, name: str) -> None:
        """Count a name, and warn of it if it is one of the first."""
        self._count += 1
        if self._count <= _MOST_WARNINGS:
            _log.warning("%r is listed twice: its first line counts", name)

    def end(self) -> None:
        """Warn of the number of the others."""
        if self._count > _MOST_WARNINGS:
            _log.warning("%s further lines name an image again", f"{self._count - _MOST_WARNINGS:,}")
