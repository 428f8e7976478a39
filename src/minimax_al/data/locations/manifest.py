"""Manifest of a pool: a CSV or Parquet table with a column `path` or `uri`, and any further columns.

Further columns are kept as text. Some of them describe the image itself:

* `sha256`, `width` and `height`, all three: they are the image's properties, which is not read before its pixels are
  needed.
* `size` and `etag`, or `sha256`: an image whose cells change counts as a changed image.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from minimax_al.data.object_storage.objects import local_copy
from minimax_al.data.object_storage.urls import check_url, is_url
from minimax_al.data.tables.table_rows import at, every_column
from minimax_al.errors import ConfigurationError, ManifestError, MissingColumnError

_ENDINGS = (".csv", ".tsv", ".parquet", ".pq")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WHOLE = re.compile(r"([0-9]+)(\.0+)?")
_DIGITS = {"size": 18}
"""Digits of a number that the database can hold, by column; 9 in others."""
_STATED = ("sha256", "width", "height")
"""Columns that are stored as properties of the image where all three are there."""
_DATING = ("sha256", "etag", "size", "version")


class ManifestRow(NamedTuple):
    """Image of a manifest.

    Attributes:
        name: Path or URL as the manifest has it.
        attributes: Further cells by column; empty cells are left out.
        sha256: Content hash; None unless width and height are stated too.
        width: Width in pixels; 0 where it is unknown.
        height: Height in pixels; 0 where it is unknown.
        size_bytes: Size in bytes; 0 where it is unknown.
        version: Number of the cells that change with the content.
        is_dated: Whether there are such cells, so that the file itself need not be looked at.
    """

    name: str
    attributes: Mapping[str, str]
    sha256: str | None
    width: int
    height: int
    size_bytes: int
    version: int
    is_dated: bool


def is_manifest(address: Path | str) -> bool:
    """Return whether the name of a file or URL is that of a table."""
    return os.fspath(address).lower().endswith(_ENDINGS)


def read_rows(source: Path | str) -> Iterator[ManifestRow]:
    """Yield the rows of a manifest, without holding more than a batch of them.

    Args:
        source: CSV or Parquet file, or its URL.

    Raises:
        ManifestError: The column is missing, a path is blank or has a credential, a cell is wrong, or the file is not
            a table.
        StorageError: The storage of the manifest cannot be used now.
    """
    file = local_copy(source) if isinstance(source, str) else source
    shown = Path(os.fspath(source))
    try:
        for line, path, cells in every_column(file, shown):
            yield _row(path, cells, lambda line=line: at(shown, line))  # type: ignore[misc] # a bound default
    except MissingColumnError as error:
        raise error.expecting("path or uri, and any further columns", "with path") from error


def count_rows(source: Path | str) -> int | None:
    """Return the number of rows of a Parquet manifest; None for CSV, which would have to be read."""
    file = local_copy(source) if isinstance(source, str) else source
    if file.suffix.lower() not in {".parquet", ".pq"}:
        return None
    import pyarrow.parquet as pq  # noqa: PLC0415 - an optional package

    return int(pq.read_metadata(file).num_rows)


def _row(path: str, cells: dict[str, str], where: Callable[[], str]) -> ManifestRow:
    """Return one row; `where` is called for an error alone, since there are millions of rows."""
    if not path:
        raise ManifestError(f"{where()}: the path is blank: name an image or delete the line")
    if "\0" in path:
        raise ManifestError(f"{where()}: the path {path!r} has a zero character, which no file name can have")
    if is_url(path):
        try:
            path = check_url(path)
        except ConfigurationError as error:
            raise ManifestError(f"{where()}: {error}") from None
    sha256 = cells.get("sha256", "").lower()
    if sha256 and not _SHA256.fullmatch(sha256):
        raise ManifestError(f"{where()}: sha256={sha256!r} is not a SHA-256: give 64 hexadecimal digits")
    width, height = _number(cells, "width", where), _number(cells, "height", where)
    dating = " ".join([f"{name}={cells[name]}" for name in _DATING if cells.get(name)])
    version = int.from_bytes(hashlib.sha256(dating.encode()).digest()[:8]) >> 1
    is_stated = bool(sha256 and width and height)
    return ManifestRow(
        path,
        {name: value for name, value in cells.items() if value and not (is_stated and name in _STATED)},
        sha256 if is_stated else None,
        width,
        height,
        _number(cells, "size", where),
        version,
        bool(dating),
    )


def _number(cells: Mapping[str, str], column: str, where: Callable[[], str]) -> int:
    text = cells.get(column, "")
    if not text:
        return 0
    # Where some rows are blank, pandas writes whole numbers as 64.0.
    found, digits = _WHOLE.fullmatch(text), _DIGITS.get(column, 9)
    if found is None or len(found[1]) > digits:
        raise ManifestError(f"{where()}: {column}={text[:50]!r} is not a whole number of at most {digits} digits")
    return int(found[1])
