"""A manifest: a CSV or Parquet table of images, `path,label[,split]`.

A blank label means that nobody has said the class yet. Relative paths start at the manifest's folder.
`split` is "train" or "test" ("val" and "validation" count as test; blank as train). Other columns are left
alone.
"""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from minimax_al.errors import ManifestError, MissingDependencyError, nearest

SPLITS = {"": "train", "train": "train", "test": "test", "val": "test", "validation": "test"}


class Row(NamedTuple):
    """One image of a manifest.

    Attributes:
        path: the file, absolute or relative to the working directory.
        name: the path as the manifest has it.
        label: the class, or None where it is blank.
        split: "train" or "test"; None when the manifest has no such column.
        line: where it stands: a line of a CSV file (the first is 1), a row of a Parquet file (likewise).
        also: cells of the further columns that were asked for and are there, by column.
    """

    path: Path
    name: str
    label: str | None
    split: str | None
    line: int
    also: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Manifest:
    """The rows of a manifest and the classes that they may have.

    Attributes:
        source: the file.
        rows: in the file's order.
        class_names: as given, or all labels in the file, sorted.
    """

    source: Path
    rows: tuple[Row, ...]
    class_names: tuple[str, ...]

    @property
    def has_splits(self) -> bool:
        """Whether the manifest itself says what is for training and what for the test."""
        return any(row.split is not None for row in self.rows)


def read_manifest(path: Path | str, class_names: Sequence[str] | None = None, *, also: Sequence[str] = ()) -> Manifest:
    """Reads and checks a manifest; the images themselves are not looked at.

    Args:
        path: a `.csv` file (UTF-8, commas) or a `.parquet` file (extra `parquet`).
        class_names: the classes that labels may name, in order; by default those in the file, sorted.
        also: further columns to read where they are there.

    Raises:
        ManifestError: a missing column, a path that is blank or there twice, an unknown label or split, a
            row of the wrong length, or a file that is not text; says the file and the line.
        MissingDependencyError: a Parquet file without pyarrow.
    """
    source = Path(path)
    if not source.is_file():
        raise ManifestError(f"there is no manifest {str(source)!r}: give a CSV or Parquet file")
    parquet = source.suffix.lower() in {".parquet", ".pq"}
    known = None if class_names is None else tuple(class_names)
    lines_of: dict[str, int] = {}
    rows = []
    for line, cells in _parquet_rows(source, also) if parquet else _csv_rows(source):
        row = _row(source, line, cells, known)._replace(also={name: cells[name] for name in also if name in cells})
        key = os.path.normpath(row.path)
        if key in lines_of:
            raise ManifestError(
                f"{_at(source, line)}: {row.name!r} is there already, in line {lines_of[key]}: keep one of the two"
            )
        lines_of[key] = line
        rows.append(row)
    if not rows:
        raise ManifestError(f"{str(source)!r} has no rows: add one line an image below the header")
    labels = known if known is not None else tuple(sorted({row.label for row in rows if row.label is not None}))
    return Manifest(source, tuple(rows), labels)


def _row(source: Path, line: int, cells: Mapping[str, str], class_names: tuple[str, ...] | None) -> Row:
    name, label = cells["path"].strip(), cells["label"].strip()
    if not name:
        raise ManifestError(f"{_at(source, line)}: the path is blank: name an image or delete the line")
    if label and class_names is not None and label not in class_names:
        raise ManifestError(f"{_at(source, line)}: unknown label {label!r}{nearest(label, class_names)}")
    split = cells.get("split")
    if split is not None:
        if split.strip().lower() not in SPLITS:
            raise ManifestError(f"{_at(source, line)}: unknown split {split!r}: train or test")
        split = SPLITS[split.strip().lower()]
    if split == "test" and not label:
        raise ManifestError(f"{_at(source, line)}: a test image has a blank label: label it or move it to train")
    return Row(source.parent / name, name, label or None, split, line)


def _csv_rows(source: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with source.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = [column.strip() for column in next(reader, [])]
            _check_columns(source, header)
            for values in reader:
                if not any(value.strip() for value in values):
                    continue
                if len(values) != len(header):
                    raise ManifestError(
                        f"{_at(source, reader.line_num)}: {len(values)} fields under {len(header)} columns: "
                        "put quotes around a field with a comma in it"
                    )
                yield reader.line_num, dict(zip(header, values, strict=True))
        except UnicodeDecodeError as error:
            raise ManifestError(
                f"{_at(source, reader.line_num + 1)}: not UTF-8 ({error.reason}): save it so"
            ) from error
        except csv.Error as error:
            raise ManifestError(f"{_at(source, reader.line_num)}: not CSV ({error})") from error


def _parquet_rows(source: Path, also: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional package, and only for such a file
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "parquet", "reading a Parquet manifest") from error
    try:
        file = pq.ParquetFile(source)
    except (pa.ArrowInvalid, OSError) as error:
        raise ManifestError(f"{str(source)!r} is no Parquet file ({error})") from error
    columns = file.schema_arrow.names
    _check_columns(source, columns)
    wanted = [column for column in ("path", "label", "split", *also) if column in columns]
    line = 0
    with file:
        for batch in file.iter_batches(columns=wanted):
            for cells in batch.to_pylist():
                line += 1
                yield line, {column: _text(value) for column, value in cells.items()}


def _text(value: object) -> str:
    """A Parquet cell as CSV would have it; where labels are missing, whole numbers may have become floats."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _check_columns(source: Path, header: Sequence[str]) -> None:
    for column in ("path", "label"):
        if column not in header:
            found = ", ".join(header) if header else "an empty file"
            hint = " (columns are separated by commas)" if any(mark in "".join(header) for mark in ";\t") else ""
            raise ManifestError(
                f"{_at(source, 1)}: no column {column!r}; expected path,label[,split], found {found}{hint}"
            )
    for column in ("path", "label", "split"):
        if list(header).count(column) > 1:
            raise ManifestError(f"{_at(source, 1)}: the column {column!r} is there twice")


def _at(source: Path, line: int) -> str:
    return f"{str(source)!r}, line {line}"
