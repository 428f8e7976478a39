"""CSV and Parquet: one line an image, `path,label,author,labelled_at,answer`.

A blank label says nothing, unless the answer is "unsure": then nobody could tell. The first two columns
suffice.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from minimax_al.campaign.exchange.formats.labelled import Context, Given, Labelled
from minimax_al.data.manifest_table import read_manifest
from minimax_al.durable import write_durably
from minimax_al.errors import DataError, ManifestError, MissingDependencyError

COLUMNS = ("path", "label", "author", "labelled_at", "answer")
_LABEL, _UNSURE = "label", "unsure"


def read(source: Path, context: Context) -> Iterator[Given]:  # noqa: ARG001 - every format is asked alike
    """The labelled rows of a CSV or Parquet file with columns `path` and `label`."""
    try:
        rows = read_manifest(source, also=("author", "answer"), repeats=True).rows
    except ManifestError as error:  # which knows of splits, that campaigns do not take
        raise ManifestError(str(error).replace("path,label[,split]", "path,label[,author,answer]")) from error
    for row in rows:
        unsure = row.also.get("answer", "").strip().lower() == _UNSURE
        where, author = f"{str(source)!r}, line {row.line}", row.also.get("author", "").strip() or None
        if unsure and row.label is not None:
            raise DataError(f"{where}: the answer is {_UNSURE!r}, but there is a label {row.label!r}: keep one of them")
        if unsure or row.label is not None:
            yield Given(row.name, where, row.label, file=row.path, author=author, unsure=unsure)


def write_csv(out: Path, labelled: Sequence[Labelled], context: Context) -> None:  # noqa: ARG001
    """Writes a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(_cells(row) for row in labelled)
    write_durably(out, text.getvalue().encode())


def write_parquet(out: Path, labelled: Sequence[Labelled], context: Context) -> None:  # noqa: ARG001
    """Writes a Parquet file.

    Raises:
        MissingDependencyError: without pyarrow.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional package
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "parquet", "writing a Parquet file") from error
    columns = list(zip(*(_cells(row) for row in labelled), strict=True)) or [()] * len(COLUMNS)
    arrays = {name: pa.array(list(column), pa.string()) for name, column in zip(COLUMNS, columns, strict=True)}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink)
    write_durably(out, sink.getvalue().to_pybytes())


def _cells(row: Labelled) -> tuple[str, ...]:
    answer = _UNSURE if row.class_name is None else _LABEL
    return row.path, row.class_name or "", row.author, row.at.isoformat(), answer
