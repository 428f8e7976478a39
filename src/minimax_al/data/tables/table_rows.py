"""Rows of CSV and Parquet tables as text, whichever program wrote them."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from minimax_al.data.decoding.decode import IMAGE_SUFFIXES
from minimax_al.data.tables.text_files import encoding_of, why_not_text
from minimax_al.errors import ManifestError, MissingColumnError, MissingDependencyError

ALIASES = {
    "path": (
        *("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "imagepath"),
        *("image_file", "image_name", "img", "img_path", "uri", "url", "image_uri", "image_url"),
    ),
    "label": ("label", "labels", "class", "class_name", "classname", "category"),
}
"""Usual names of the columns, by content; case, spaces and hyphens do not count."""

_DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR = re.compile(r'"?sep=([^"\r\n]?)', re.IGNORECASE)
"""Line that tells Excel the delimiter."""
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
"""Characters without width, which text that was copied from a page may end in."""


class Cells(NamedTuple):
    """One row: its line (of a CSV file) or number (of a Parquet file), from 1, and its cells by column."""

    line: int
    cells: dict[str, str]


class Line(NamedTuple):
    """One row of a table with all of its columns: line, path or URL of the image, and the other cells by column."""

    line: int
    path: str
    cells: dict[str, str]


def every_column(source: Path, shown: Path | None = None) -> Iterator[Line]:
    """Yield the rows of a CSV or Parquet table of images, with all columns; a label is not needed.

    Args:
        source: CSV or Parquet file.
        shown: File that messages name; by default `source`.

    Raises:
        ManifestError: No column has the path, a column occurs twice, or the file is not a table.
        MissingDependencyError: The file is a Parquet file and pyarrow is not installed.
    """
    name = shown or source
    rows = _parquet_values(source, name) if source.suffix.lower() in {".parquet", ".pq"} else _csv_values(source, name)
    for line, names, position, values in rows:
        cells = dict(zip(names, values, strict=True))
        yield Line(line, cells.pop(names[position]), cells)


def _csv_values(source: Path, shown: Path) -> Iterator[tuple[int, list[str], int, list[str]]]:
    with _open_csv(source, shown) as file:
        rows = _records(shown, file)
        line, header = next(rows, (1, []))
        names, position = _every_name(shown, header, line)
        columns = {name: number for number, name in enumerate(names)}
        for line, values in rows:
            if any(value.strip() for value in values):
                yield line, names, position, list(_cells(shown, line, values, header, columns).values())


def _parquet_values(source: Path, shown: Path) -> Iterator[tuple[int, list[str], int, list[str]]]:
    file = _parquet_file(source, shown)
    with file:
        header = file.schema_arrow.names
        names, position = _every_name(shown, header, 1)
        line = 0
        for batch in _batches(file):
            columns = [
                cell_texts(values, key, shown, line) if number == position else [_further_text(one) for one in values]
                for number, (key, values) in enumerate(batch.to_pydict().items())
            ]
            for values in zip(*columns, strict=True):
                line += 1
                yield line, names, position, list(values)


def cell_texts(values: Sequence[object], role: str, shown: Path, line: int) -> list[str]:
    """Return the cells of a Parquet column as CSV would have them; most are text already.

    Args:
        values: Cells as Python objects.
        role: Name of the column in errors.
        shown: File in errors.
        line: Number of rows before the first cell.

    Raises:
        ManifestError: A cell is neither text nor a number.
    """
    return [
        value.strip().strip(_INVISIBLE)
        if isinstance(value, str)
        else _text(value, role, at(shown, line + number))
        if not isinstance(value, int) or isinstance(value, bool)
        else str(value)
        for number, value in enumerate(values, start=1)
    ]


def _every_name(source: Path, header: Sequence[str], line: int) -> tuple[list[str], int]:
    """Return the names of all columns, and the position of the image's path or URL."""
    names = [normal_name(column) for column in header]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ManifestError(f"{at(source, line)}: the column {twice!r} is there twice")
    return names, _column_of(source, header, names, "path", line)


def csv_rows(source: Path, also: Sequence[str], shown: Path | None = None) -> Iterator[Cells]:
    """Yield the rows of a CSV file that are not blank.

    Commas, semicolons, tabs and bars are recognised by the header or by Excel's line `sep=`, UTF-16 by its first bytes.

    Args:
        source: CSV file.
        also: Further columns to read where they exist.
        shown: File that messages name; by default `source`.

    Raises:
        ManifestError: A column is missing, a row has the wrong length, or the file is not text.
    """
    name = shown or source
    with _open_csv(source, name) as file:
        rows = _records(name, file)
        line, header = next(rows, (1, []))
        columns = _columns(name, header, also, line)
        for line, values in rows:
            if any(value.strip() for value in values):
                yield Cells(line, _cells(name, line, values, header, columns))


def _open_csv(source: Path, shown: Path) -> TextIO:
    """Open a CSV file in its encoding.

    Raises:
        ManifestError: The file is certainly not text.
    """
    kind = why_not_text(source)
    if kind is not None:
        raise ManifestError(
            f"{str(shown)!r} is {kind}, not CSV: save its table as CSV, or as Parquet in a .parquet file"
        )
    return source.open(encoding=encoding_of(source), newline="")


def _records(source: Path, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the cells of each record, the header first."""
    line = 0
    try:
        skipped, first, delimiter = _header_line(file)
        line = skipped
        reader = csv.reader(chain([first], file), delimiter=delimiter or _delimiter(first), strict=True)
        for values in reader:
            line = skipped + reader.line_num
            yield line, values
    except UnicodeError as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else error
        name = file.encoding.removesuffix("-sig").upper()
        raise ManifestError(f"{at(source, line + 1)}: not {name} ({reason}): save it as UTF-8") from error
    except csv.Error as error:
        raise ManifestError(f"{at(source, line + 1)}: not CSV ({error})") from error


def parquet_rows(source: Path, also: Sequence[str], shown: Path | None = None) -> Iterator[Cells]:
    """Yield the rows of a Parquet file.

    Args:
        source: Parquet file.
        also: Further columns to read where they exist.
        shown: File that messages name; by default `source`.

    Raises:
        ManifestError: A column is missing, or a cell is neither text nor a number.
        MissingDependencyError: pyarrow is not installed.
    """
    name = shown or source
    file = _parquet_file(source, name)
    with file:
        names = file.schema_arrow.names
        columns = _columns(name, names, also, 1)
        chosen = [names[position] for position in columns.values()]
        line = 0
        for batch in _batches(file, chosen):
            for values in batch.to_pylist():
                line += 1
                where = at(name, line)
                yield Cells(line, {role: _text(values[names[p]], role, where) for role, p in columns.items()})


def _further_text(value: object) -> str:
    """Return a cell of a further column: lists and structures as JSON, the content of images as blank."""
    if isinstance(value, dict) and "bytes" in value:  # an image of a collection
        value = value.get("path")
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return ""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return _text(value, "", "")


def _parquet_file(source: Path, shown: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional package, and only for such a file
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "parquet", "reading a Parquet manifest") from error
    try:
        return pq.ParquetFile(source, buffer_size=1 << 20)
    except (pa.ArrowInvalid, OSError) as error:
        raise ManifestError(f"{str(shown)!r} is not a Parquet file ({error})") from error


def _batches(file: Any, columns: Sequence[str] | None = None) -> Iterator[Any]:  # noqa: ANN401 - pyarrow has no types
    """Yield the batches of a Parquet file, of which memory holds one row group.

    One iteration over the whole file would keep all rows in memory: 60 bytes per row of a manifest.
    """
    for group in range(file.num_row_groups):
        yield from file.iter_batches(batch_size=4096, row_groups=[group], columns=columns)


def at(source: Path, line: int) -> str:
    """Return the start of an error's sentence: file and line."""
    return f"{str(source)!r}, line {line}"


def _header_line(lines: Iterable[str]) -> tuple[int, str, str | None]:
    """Return the number of lines before the header, the header, and the delimiter of Excel's line `sep=`.

    Comments are skipped.
    """
    delimiter = None
    for skipped, line in enumerate(lines):
        text = line.strip()
        if found := _SEPARATOR.match(line):
            delimiter = found[1] or None
        elif text and not text.startswith("#"):
            return skipped, line, delimiter
    return 0, "", None


def _delimiter(header: str) -> str:
    """Return the delimiter under which the header has most of the columns; a comma where none has any."""

    def known(delimiter: str) -> int:
        cells = {normal_name(cell.strip().strip('"')) for cell in header.split(delimiter)}
        return sum(not cells.isdisjoint(names) for names in ALIASES.values())

    return max(_DELIMITERS, key=known)


def normal_name(column: str) -> str:
    """Return the name of a column without case, spaces at its ends and hyphens.

    Example:
        >>> normal_name(" File-Name ")
        'file_name'
    """
    return "_".join(column.strip(_INVISIBLE).lower().replace("-", " ").split())


def _columns(source: Path, header: Sequence[str], also: Sequence[str], line: int) -> dict[str, int]:
    """Return the position of each column that is read, by content."""
    names = [normal_name(column) for column in header]
    found = {role: _column_of(source, header, names, role, line) for role in ALIASES}
    for name in ("split", *also):
        if name not in names:
            continue
        if names.count(name) > 1:
            raise ManifestError(f"{at(source, line)}: the column {name!r} is there twice")
        found[name] = names.index(name)
    return found


def _column_of(source: Path, header: Sequence[str], names: Sequence[str], role: str, line: int) -> int:
    if names.count(role) > 1:
        raise ManifestError(f"{at(source, line)}: the column {role!r} is there twice")
    if role in names:
        return names.index(role)
    candidates = [position for position, name in enumerate(names) if name in ALIASES[role]]
    if len(candidates) > 1:
        first, second = (header[position].strip() for position in candidates[:2])
        raise ManifestError(
            f"{at(source, line)}: the {role} may be in the column {first!r} or {second!r}: call one of them {role!r}"
        )
    if candidates:
        return candidates[0]
    first_is_row = any(cell.strip().lower().endswith(tuple(IMAGE_SUFFIXES)) for cell in header)
    raise MissingColumnError(at(source, line), role, [column.strip() for column in header], is_row=first_is_row)


def _cells(
    source: Path, line: int, values: Sequence[str], header: Sequence[str], columns: dict[str, int]
) -> dict[str, str]:
    # Excel ends rows in the delimiters of columns that are empty.
    if len(values) < len(header) or any(value.strip() for value in values[len(header) :]):
        remedy = (
            "write a delimiter for each field, blank ones too"
            if len(values) < len(header)
            else "put quotes around a field with a comma in it"
        )
        raise ManifestError(f"{at(source, line)}: {len(values)} fields under {len(header)} columns: {remedy}")
    return {role: values[position].strip().strip(_INVISIBLE) for role, position in columns.items()}


def _text(value: object, role: str, where: str) -> str:
    """Return a Parquet cell as CSV would have it.

    Where labels are missing, pandas stores integers as floats; some writers store text as bytes, and collections of
    images store the path in a structure with the image's bytes.
    """
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return ""
    if isinstance(value, dict) and "path" in value:
        if not value["path"]:
            raise ManifestError(
                f"{where}: the {role} holds the image's bytes and no path: write the images to files first, and their "
                "names into a column path"
            )
        value = value["path"]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise ManifestError(
                f"{where}: the {role} holds bytes that are not text: write images to files first, and their names into "
                "a column path"
            ) from error
    if isinstance(value, (dict, list)):
        raise ManifestError(f"{where}: the {role} {str(value)[:50]!r} is neither text nor a number: one value per row")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
