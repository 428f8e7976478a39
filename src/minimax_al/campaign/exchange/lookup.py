"""Finding the image that a label file means, whatever way it names it."""

import difflib
import hashlib
import os
from collections import defaultdict
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from minimax_al.campaign.exchange.formats import Given
from minimax_al.campaign.store.schema import items
from minimax_al.data.path_spellings import spellings
from minimax_al.errors import DataError

_MOST_GUESSES = 20_000  # looking for the nearest of more names than this takes seconds

_IMAGE = select(items.c.id, items.c.path, items.c.height, items.c.width)
_AT_PATH = _IMAGE.where(items.c.path == bindparam("path"))
_OF_CONTENT = _IMAGE.where(items.c.content_hash == bindparam("content")).order_by(items.c.id)


class Known(NamedTuple):
    """An image of the campaign.

    Attributes:
        id: of its row.
        path: relative to the images' folder.
        height: upright; None where it could never be read.
        width: likewise.
    """

    id: int
    path: str
    height: int | None
    width: int | None


class Lookup:
    """Finds images of a campaign by path and by content, each by one look into the database.

    Nothing is kept of the campaign's other images, unless a path without its ending is asked for.

    Args:
        connection: where they are looked up; in use as long as this is.
        images: the images' folder.
    """

    def __init__(self, connection: Connection, images: Path) -> None:
        self.images = images
        self._connection = connection
        self._root = Path(os.path.realpath(images))

    def find(self, given: Given) -> Known:
        """The image that a label is of.

        Raises:
            DataError: it lies outside of the images' folder, is no image of the campaign, or may be several.
        """
        found = self._of_content(given) if given.by_content else self._of_name(given)
        if found is None and given.any_ending:
            found = self._of_stem(given)
        if found is None:
            raise DataError(self._why_not(given))
        return found

    def size_of(self, given: Given) -> tuple[int, int]:
        """(height, width) of the image that a mask is of.

        Raises:
            DataError: there is no such image, or it could never be read.
        """
        known = self.find(given)
        if known.height is None or known.width is None:
            raise DataError(f"{given.where}: the image {known.path!r} cannot be read, so a mask says nothing")
        return known.height, known.width

    def _of_name(self, given: Given) -> Known | None:
        found = self._named(given.name) or self._at(None if given.file is None else self._inside(given.file))
        if found is not None:
            return found
        # Other systems spell the name differently; two images that it may mean are never chosen between.
        others = {known.id: known for name in spellings(given.name) if (known := self._named(name)) is not None}
        if len(others) > 1:
            first, second = (ascii(known.path) for known in list(others.values())[:2])
            raise DataError(f"{given.where}: {given.name!r} may be {first} or {second}: write the one that is meant")
        return next(iter(others.values()), None)

    def _named(self, name: str) -> Known | None:
        return self._at(name) or self._at(self._inside(Path(name)))

    def _of_content(self, given: Given) -> Known | None:
        if given.file is None:
            return None
        if (inside := self._at(self._inside(given.file))) is not None:
            return inside
        with given.file.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        copies = [Known(*row) for row in self._connection.execute(_OF_CONTENT, {"content": digest})]
        return next((known for known in copies if known.path == given.name), copies[0] if copies else None)

    def _of_stem(self, given: Given) -> Known | None:
        found = self._paths_by_stem.get(_normal(given.name), [])
        if len(found) > 1:
            raise DataError(
                f"{given.where}: it may be of {found[0]!r} or of {found[1]!r}: "
                f"call it {Path(found[0]).name + '.png'!r} or {Path(found[1]).name + '.png'!r}"
            )
        return self._at(found[0]) if found else None

    @cached_property
    def _paths_by_stem(self) -> dict[str, list[str]]:
        paths: dict[str, list[str]] = defaultdict(list)
        for path in self._connection.scalars(select(items.c.path).order_by(items.c.id)):
            paths[path.removesuffix(PurePosixPath(path).suffix)].append(path)
        return paths

    def _at(self, name: str | None) -> Known | None:
        """The image of that path below the images' folder."""
        if name is None:
            return None
        row = self._connection.execute(_AT_PATH, {"path": _normal(name)}).first()
        return None if row is None else Known(*row)

    def _inside(self, path: Path) -> str | None:
        """`path` relative to the images' folder; None where it lies elsewhere."""
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
                f"{given.where}: {given.name!r} lies outside of the campaign's images in {str(self.images)!r}: "
                "give paths below that folder"
            )
        if given.by_content:
            return (
                f"{given.where}: it is no copy of an image in {str(self.images)!r}: add it there, then run 'mal status'"
            )
        close = difflib.get_close_matches(given.name, self._guesses(), n=1)
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        return (
            f"{given.where}: {given.name!r} is no image of this campaign{guess}: "
            f"add it to {str(self.images)!r}, then run 'mal status'"
        )

    def _guesses(self) -> list[str]:
        names = list(self._connection.scalars(select(items.c.path).order_by(items.c.id).limit(_MOST_GUESSES + 1)))
        return names if len(names) <= _MOST_GUESSES else []


def _normal(name: str) -> str:
    return os.path.normpath(name).replace(os.sep, "/")
