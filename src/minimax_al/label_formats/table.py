"""CSV and Parquet: one row per label, `path,label,author,labelled_at,answer,origin`, then the manifest's columns.

A row with a blank label is skipped, unless its answer is "unsure". Only the first two columns are required. An image
may have several rows, of which the latest counts.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from minimax_al.data.locations.manifest_table import read_manifest
from minimax_al.data.tables.table_rows import at
from minimax_al.durable import write_durably
from minimax_al.errors import DataError, MissingColumnError, MissingDependencyError
from minimax_al.label_formats.labelled import Context, Given, Labelled
from minimax_al.label_formats.spreadsheets import escape_formula, unescape_formula
from minimax_al.label_formats.times import read_time

COLUMNS = ("path", "label", "author", "labelled_at", "answer", "origin")
_LABEL, _UNSURE = "label", "unsure"


def read(source: Path, context: Context) -> Iterator[Given | DataError]:
    """Yield the labelled rows of a CSV or Parquet file with columns `path` and `label`, and an error for wrong ones."""
    try:
        rows = read_manifest(source, also=("author", "answer", "labelled_at"), repeats=True, shown=context.shown).rows
    except MissingColumnError as error:  # campaigns have no splits
        raise error.expecting("path,label[,author,answer]", "path,label") from error
    for row in rows:
        where = at(context.shown or source, row.line)
        unsure = row.also.get("answer", "").strip().lower() == _UNSURE
        if unsure and row.label is not None:
            yield DataError(f"{where}: the answer is {_UNSURE!r}, but there is a label {row.label!r}: keep one of them")
        elif unsure or row.label is not None:
            author = unescape_formula(row.also.get("author", "").strip()) or None
            label = row.label
            if label is not None and label not in context.class_names:
                label = unescape_formula(label)
            given = Given(row.name, where, label, file=row.path, author=author, unsure=unsure)
            try:
                yield replace(given, at=read_time(row.also.get("labelled_at", ""), where))
            except DataError as error:
                yield error


def write_csv(out: Path, labelled: Sequence[Labelled], context: Context) -> None:
    """Write a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    further = _further_columns(labelled)
    escape = escape_formula if context.escape_formulas else str
    writer.writerow([*COLUMNS, *(escape(name) for name in further)])
    writer.writerows([escape(cell) for cell in _cells(row, further)] for row in labelled)
    write_durably(out, text.getvalue().encode())


def write_parquet(out: Path, labelled: Sequence[Labelled], context: Context) -> None:  # noqa: ARG001
    """Write a Parquet file.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional package
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "parquet", "writing a Parquet file") from error
    names = [*COLUMNS, *_further_columns(labelled)]
    columns = list(zip(*(_cells(row, names[len(COLUMNS) :]) for row in labelled), strict=True)) or [()] * len(names)
    arrays = {name: pa.array(list(column), pa.string()) for name, column in zip(names, columns, strict=True)}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink)
    write_durably(out, sink.getvalue().to_pybytes())


def _further_columns(labelled: Sequence[Labelled]) -> list[str]:
    """Return the columns of the images' manifest that are not this format's own, in their order there."""
    names = dict.fromkeys(name for row in labelled for name in row.attributes or ())
    return [name for name in names if name not in COLUMNS]


def _cells(row: Labelled, further: Sequence[str]) -> tuple[str, ...]:
    answer = _UNSURE if row.class_name is None else _LABEL
    own = row.path, row.class_name or "", row.author, row.at.isoformat(), answer, row.origin or ""
    attributes = row.attributes or {}
    return (*own, *(attributes.get(name, "") for name in further))
