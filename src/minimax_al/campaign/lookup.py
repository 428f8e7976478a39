"""Finding the picture that a label file means, whatever way it names it."""

import difflib
import hashlib
import os
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sqlalchemy import Connection, select

from minimax_al.campaign.formats import Given
from minimax_al.campaign.schema import items
from minimax_al.errors import DataError

_MOST_GUESSES = 20_000  # looking for the nearest of more names than this takes seconds


class Known(NamedTuple):
    """A picture of the campaign.

    Attributes:
        id: of its row.
        path: relative to the pictures' folder.
        height: upright; None where it could never be read.
        width: likewise.
    """

    id: int
    path: str
    height: int | None
    width: int | None


class Lookup:
    """All pictures of a campaign by path, by path without its ending, and by content.

    Args:
        connection: where they are read from, once.
        images: the pictures' folder.
    """

    def __init__(self, connection: Connection, images: Path) -> None:
        self.images = images
        self._root = Path(os.path.realpath(images))
        self._by_path: dict[str, Known] = {}
        self._by_stem: dict[str, list[Known]] = defaultdict(list)
        self._by_content: dict[str, list[Known]] = defaultdict(list)
        columns = (items.c.id, items.c.path, items.c.height, items.c.width, items.c.content_hash)
        for *fields, content in connection.execute(select(*columns).order_by(items.c.id)):
            known = Known(*fields)
            self._by_path[known.path] = known
            self._by_stem[str(PurePosixPath(known.path).with_suffix(""))].append(known)
            if content is not None:
                self._by_content[content].append(known)

    def find(self, given: Given) -> Known:
        """The picture that a label is of.

        Raises:
            DataError: it lies outside of the pictures' folder, is no picture of the campaign, or may be several.
        """
        found = self._of_content(given) if given.by_content else self._of_name(given)
        if found is None and given.any_ending:
            found = self._of_stem(given)
        if found is None:
            raise DataError(self._why_not(given))
        return found

    def size_of(self, given: Given) -> tuple[int, int]:
        """(height, width) of the picture that a mask is of.

        Raises:
            DataError: there is no such picture, or it could never be read.
        """
        known = self.find(given)
        if known.height is None or known.width is None:
            raise DataError(f"{given.where}: the picture {known.path!r} cannot be read, so a mask says nothing")
        return known.height, known.width

    def _of_name(self, given: Given) -> Known | None:
        for name in (given.name, self._inside(Path(given.name)), given.file and self._inside(given.file)):
            if name is not None and (known := self._by_path.get(_normal(str(name)))) is not None:
                return known
        return None

    def _of_content(self, given: Given) -> Known | None:
        if given.file is None:
            return None
        inside = self._inside(given.file)
        if inside is not None and inside in self._by_path:
            return self._by_path[inside]
        with given.file.open("rb") as file:
            copies = self._by_content.get(hashlib.file_digest(file, "sha256").hexdigest(), [])
        return next((known for known in copies if known.path == given.name), copies[0] if copies else None)

    def _of_stem(self, given: Given) -> Known | None:
        found = self._by_stem.get(_normal(given.name), [])
        if len(found) > 1:
            raise DataError(
                f"{given.where}: it may be of {found[0].path!r} or of {found[1].path!r}: "
                f"call it {Path(found[0].path).name + '.png'!r} or {Path(found[1].path).name + '.png'!r}"
            )
        return found[0] if found else None

    def _inside(self, path: Path) -> str | None:
        """`path` relative to the pictures' folder; None where it lies elsewhere."""
        if not path.is_absolute():
            path = Path.cwd() / path
        # The file itself may be a link to elsewhere; its folder says where it lies.
        real = Path(os.path.realpath(path.parent)) / path.name
        return real.relative_to(self._root).as_posix() if real.is_relative_to(self._root) else None

    def _why_not(self, given: Given) -> str:
        path = Path(given.name)
        leaves = _normal(given.name).startswith("../") or (path.is_absolute() and self._inside(path) is None)
        if leaves:
            return (
                f"{given.where}: {given.name!r} lies outside of the campaign's pictures in {str(self.images)!r}: "
                "give paths below that folder"
            )
        if given.by_content:
            return (
                f"{given.where}: it is no copy of a picture in {str(self.images)!r}: "
                "add it there, then run 'mal status'"
            )
        names = self._by_path if len(self._by_path) <= _MOST_GUESSES else ()
        close = difflib.get_close_matches(given.name, names, n=1)
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        return (
            f"{given.where}: {given.name!r} is no picture of this campaign{guess}: "
            f"add it to {str(self.images)!r}, then run 'mal status'"
        )


def _normal(name: str) -> str:
    return os.path.normpath(name).replace(os.sep, "/")
