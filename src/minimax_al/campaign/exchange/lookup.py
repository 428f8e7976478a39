"""Search for the image of a label, however the source names it."""

import difflib
import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from minimax_al.campaign.store.schema import items
from minimax_al.data.locations.location import Location, name_in
from minimax_al.data.object_storage.urls import is_url
from minimax_al.data.tables.path_spellings import spellings
from minimax_al.errors import DataError
from minimax_al.label_formats import Given
from minimax_al.label_formats.spreadsheets import unescape_formula

_MOST_GUESSES = 20_000
"""Names among which the nearest one is looked for, at most: more take seconds."""
_USUAL_FOLDERS = frozenset({"images", "image", "imgs", "img", "data", "jpegimages"})
"""Folders, in lower case, that tools put before the names of images."""

_IMAGE = select(items.c.id, items.c.path, items.c.height, items.c.width, items.c.status)
_AT_PATH = _IMAGE.where(items.c.path == bindparam("path"))
_OF_CONTENT = _IMAGE.where(items.c.content_hash == bindparam("content")).order_by(items.c.id)


class StoredImage(NamedTuple):
    """Image of the campaign.

    Attributes:
        id: Id of its row.
        path: Path relative to the images' folder.
        height: Height, upright, in pixels; None if it could never be read.
        width: Width, upright, in pixels; None if it could never be read.
        status: Status of its row.
    """

    id: int
    path: str
    height: int | None
    width: int | None
    status: str


class Lookup:
    """Search for images of a campaign by path and by content, one database query each.

    No other images of the campaign are kept, unless a path without its ending is looked up.

    Args:
        connection: Connection for the queries.
        images: Location of the images.
        strip_prefix: Start of all names that the campaign's paths do not have.

    Attributes:
        prefix: Start of the names to leave out; without `strip_prefix`, the first one that made a name fit, such as
            "images/" or the path of the images' folder on another computer.
        has_stripped: Whether a name fitted without the prefix alone.
        guesses: Whether an error about an unknown name suggests the nearest known name, which takes a while.
    """

    def __init__(self, connection: Connection, images: Location, strip_prefix: str = "") -> None:
        self.images = images
        self.prefix = strip_prefix
        self.guesses = True
        self.has_stripped = False
        self._connection = connection
        self._root = Path(os.path.realpath(images)) if isinstance(images, Path) else None
        self._infers_prefix = not strip_prefix

    def find(self, given: Given) -> StoredImage:
        """Return the image of a label.

        Raises:
            DataError: The image is outside of the images' folder or not in the campaign, or several images fit.
        """
        found = self._of_content(given) if given.by_content else self._of_name(given)
        if found is None and given.any_ending:
            found = self._of_stem(given)
        if found is None and not given.by_content:
            found = self._without_prefix(given)
            self.has_stripped |= found is not None
        if found is None:
            raise DataError(self._why_not(given))
        return found

    def size_of(self, given: Given) -> tuple[int, int]:
        """Return (height, width) of the image of a mask.

        Raises:
            DataError: The image does not exist, or could never be read.
        """
        known = self.find(given)
        if known.height is None or known.width is None:
            raise DataError(f"{given.where}: the image {known.path!r} cannot be read, so its mask is useless")
        return known.height, known.width

    def _of_name(self, given: Given) -> StoredImage | None:
        found = self._named(given.name)
        if given.readings:
            return self._of_link(given, found)
        found = found or self._at(None if given.file is None else self._inside(given.file))
        if found is not None:
            self._infers_prefix = False  # names that fit as they are and names that do not are not mixed
            return found
        # Other systems spell the name differently; two images that it may mean are never chosen between.
        names = [*spellings(given.name), unescape_formula(given.name)]
        return self._only(given, [self._named(name) for name in names])

    def _of_link(self, given: Given, found: StoredImage | None) -> StoredImage | None:
        """Return the image that a link shows: quoted or raw, which the link does not tell."""
        shown = [known for name in given.readings if (known := self._named(name)) is not None]
        if found is None or not given.by_path:
            if shown:
                return self._only(given, shown)
            return self._only(given, [self._named(other) for name in given.readings for other in spellings(name)])
        # The task names the path besides; the link may be to a copy elsewhere, but not to another image.
        if shown and all(known.id != found.id for known in shown):
            raise DataError(
                f"{given.where}: it names {found.path!a}, but its link shows {shown[0].path!a}: keep the one meant"
            )
        return found

    @staticmethod
    def _only(given: Given, candidates: Iterable[StoredImage | None]) -> StoredImage | None:
        """Return the only image among the candidates, or None.

        Raises:
            DataError: There are two different images.
        """
        found = {known.id: known for known in candidates if known is not None}
        if len(found) > 1:
            first, second = (known.path for known in list(found.values())[:2])
            raise DataError(
                f"{given.where}: {given.name!a} may be {first!a} or {second!a}: write the one that is meant, "
                "or rename one of the two images"
            )
        return next(iter(found.values()), None)

    def _without_prefix(self, given: Given) -> StoredImage | None:
        """Return the image of a name without its first folders, which must be the same for all names of a source."""
        names = dict.fromkeys(name.replace("\\", "/") for name in (given.name, *given.readings))
        if self.prefix:
            tails = [name.removeprefix(self.prefix) for name in names if name.startswith(self.prefix)]
            return self._only(given, [self._named(tail) for tail in tails if tail]) or self._stem_of(given, tails)
        if not self._infers_prefix:
            return None
        for name in names:
            for prefix, tail in _cuts(name, PurePosixPath(str(self.images)).name):
                found = self._named(tail) or self._stem_of(given, [tail])
                if found is not None:
                    self.prefix = prefix
                    return found
        return None

    def _stem_of(self, given: Given, tails: Sequence[str]) -> StoredImage | None:
        found = (self._of_stem(replace(given, name=tail)) for tail in tails if given.any_ending)
        return next((known for known in found if known is not None), None)

    def _named(self, name: str) -> StoredImage | None:
        return self._at(name) or self._at(name_in(self.images, name) if is_url(name) else self._inside(Path(name)))

    def _of_content(self, given: Given) -> StoredImage | None:
        if given.file is None:
            return None
        if (inside := self._at(self._inside(given.file))) is not None:
            return inside
        if not given.file.is_file():  # a pipe would be waited for
            return None
        with given.file.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        copies = [StoredImage(*row) for row in self._connection.execute(_OF_CONTENT, {"content": digest})]
        return next((known for known in copies if known.path == given.name), copies[0] if copies else None)

    def _of_stem(self, given: Given) -> StoredImage | None:
        stems = (_normal(name) for name in (given.name, *spellings(given.name)))
        found = next((paths for stem in stems if (paths := self._paths_by_stem.get(stem))), [])
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

    def _at(self, name: str | None) -> StoredImage | None:
        """Return the image of that path below the images' folder, or None."""
        if name is None:
            return None
        row = self._connection.execute(_AT_PATH, {"path": _normal(name)}).first()
        return None if row is None else StoredImage(*row)

    def _inside(self, path: Path) -> str | None:
        """Return `path` relative to the images' folder; None if it is elsewhere, or the images are in no folder."""
        if self._root is None:
            return None
        if not path.is_absolute():
            path = Path.cwd() / path
        # Resolve links in the folder only: the file itself may be a link to another folder.
        real = Path(os.path.realpath(path.parent)) / path.name
        return real.relative_to(self._root).as_posix() if real.is_relative_to(self._root) else None

    def _why_not(self, given: Given) -> str:
        if given.by_content:
            folder = str(self.images)
            return f"{given.where}: it is not a copy of an image in {folder!r}: add it there, then run 'mal status'"
        cuts = _all_cuts(given.name) if self.guesses and not self.prefix else ()
        tail = next((tail for _, tail in cuts if self._named(tail) is not None), None)
        if tail is not None:
            start = given.name.replace("\\", "/").removesuffix(tail)
            return (
                f"{given.where}: {given.name!r} is not an image of this campaign, but {tail!r} is: if all names begin "
                f"with {start!r}, import with --strip-prefix {start!r}"
            )
        path = Path(given.name)
        leaves = _normal(given.name).startswith("../") or (path.is_absolute() and self._inside(path) is None)
        if leaves:
            return (
                f"{given.where}: {given.name!r} is outside of the campaign's images in {str(self.images)!r}: "
                "give paths below that folder"
            )
        close = difflib.get_close_matches(given.name, self._guesses(), n=1) if self.guesses else []
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        return (
            f"{given.where}: {given.name!r} is not an image of this campaign{guess}: "
            f"add it to {str(self.images)!r}, then run 'mal status'"
        )

    def _guesses(self) -> list[str]:
        names = list(self._connection.scalars(select(items.c.path).order_by(items.c.id).limit(_MOST_GUESSES + 1)))
        return names if len(names) <= _MOST_GUESSES else []


def _normal(name: str) -> str:
    return name if is_url(name) else os.path.normpath(name).replace(os.sep, "/")


def _all_cuts(name: str) -> Iterator[tuple[str, str]]:
    """Yield every way to cut the first folders off a name: (prefix, rest), the shortest prefix first."""
    parts = name.replace("\\", "/").split("/")
    for length in range(1, len(parts)):
        yield "/".join(parts[:length]) + "/", "/".join(parts[length:])


def _cuts(name: str, folder: str) -> Iterator[tuple[str, str]]:
    """Yield the cuts behind the name of the images' folder, or behind a name that every tool uses."""
    for prefix, rest in _all_cuts(name):
        if PurePosixPath(prefix).name.lower() in {folder.lower(), *_USUAL_FOLDERS}:
            yield prefix, rest
