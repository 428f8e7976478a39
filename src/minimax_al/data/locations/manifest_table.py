"""Manifest: a CSV or Parquet table of images, `path,label[,split]`.

A blank label means that the class is unknown. Relative paths start at the manifest's folder. `split` is "train" or
"test" (blank is train); "val" and "validation" are the test part if no other exists, and are not read next to one, as
those of folders. Columns may have other usual names (`filename`, `class`,
...), see `minimax_al.data.tables.table_rows`; further columns are ignored.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from minimax_al.data.locations.class_folders import Role, part_role, without_validation
from minimax_al.data.tables.table_rows import at, csv_rows, parquet_rows
from minimax_al.errors import ManifestError, nearest


class Row(NamedTuple):
    """One image of a manifest.

    Attributes:
        path: Image file, absolute or relative to the working directory.
        name: Path as the manifest has it.
        label: Class, or None where it is blank.
        split: "train" or "test", or "validation" for an image that is in neither; None when the manifest has no such
            column.
        line: Line of a CSV file or row of a Parquet file, from 1.
        also: Cells of the further columns that were requested and exist, by column.
    """

    path: Path
    name: str
    label: str | None
    split: Role | None
    line: int
    also: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Manifest:
    """Rows of a manifest, and the classes that they may have.

    Attributes:
        source: Manifest file.
        rows: Rows in the file's order.
        class_names: Class names as given, or all labels in the file, sorted.
    """

    source: Path
    rows: tuple[Row, ...]
    class_names: tuple[str, ...]

    @property
    def has_splits(self) -> bool:
        """Whether the manifest itself splits the images into training and test."""
        return any(row.split is not None for row in self.rows)


def read_manifest(
    path: Path | str,
    class_names: Iterable[object] | None = None,
    *,
    also: Sequence[str] = (),
    repeats: bool = False,
    shown: Path | None = None,
) -> Manifest:
    """Read and check a manifest; the images themselves are not opened.

    Args:
        path: `.csv` file or `.parquet` file (extra `parquet`).
        class_names: Classes that labels may name, in order; by default those in the file, sorted.
        also: Further columns to read where they exist.
        repeats: Whether several rows may have the same path.
        shown: File that messages name; by default `path`.

    Raises:
        ManifestError: A column is missing, a path is blank or occurs twice, a label or split is unknown, a row has
            the wrong length, or the file is not text. The sentence has the file and the line.
        MissingDependencyError: The file is a Parquet file and pyarrow is not installed.
    """
    source = Path(path)
    name = shown or source
    if not source.is_file():
        raise ManifestError(f"the manifest {str(name)!r} does not exist: give a CSV or Parquet file")
    parquet = source.suffix.lower() in {".parquet", ".pq"}
    known = None if class_names is None else tuple(str(name) for name in class_names)
    lines_of: dict[str, int] = {}
    rows = []
    for line, cells in parquet_rows(source, also, name) if parquet else csv_rows(source, also, name):
        row = _row(source.parent, at(name, line), line, cells, known)._replace(
            also={name: cells[name] for name in also if name in cells}
        )
        before = lines_of.setdefault(os.path.normpath(row.path), line)
        if before != line and not repeats:
            raise ManifestError(
                f"{at(name, line)}: {row.name!r} is there already, in line {before}: keep one of the two"
            )
        rows.append(row)
    if not rows:
        raise ManifestError(f"{str(name)!r} has no rows: add one line per image below the header")
    splits = without_validation([row.split for row in rows])
    rows = [row._replace(split=split) for row, split in zip(rows, splits, strict=True)]
    for row in rows:
        if row.split == "test" and row.label is None:
            raise ManifestError(f"{at(name, row.line)}: a test image has a blank label: label it or move it to train")
    labels = known if known is not None else tuple(sorted({row.label for row in rows if row.label is not None}))
    return Manifest(source, tuple(rows), labels)


def _row(folder: Path, where: str, line: int, cells: Mapping[str, str], class_names: tuple[str, ...] | None) -> Row:
    name, label = cells["path"], cells["label"]
    if not name:
        raise ManifestError(f"{where}: the path is blank: name an image or delete the line")
    if label and class_names is not None and label not in class_names:
        raise ManifestError(f"{where}: unknown label {label!r}{nearest(label, class_names)}")
    split: Role | None = None
    if "split" in cells:
        split = "train" if not cells["split"] else part_role(cells["split"])
        if split is None:
            raise ManifestError(f"{where}: unknown split {cells['split']!r}: train or test")
    return Row(folder / name, name, label or None, split, line)
