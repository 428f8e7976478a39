"""Features that other programs computed: `.npy` with a list of paths, Parquet, safetensors. Reading loads no torch."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minimax_al.data.tables.path_spellings import spellings
from minimax_al.data.tables.table_rows import ALIASES, at, cell_texts, normal_name
from minimax_al.data.tables.text_files import read_text
from minimax_al.errors import DataError, MissingDependencyError, nearest

if TYPE_CHECKING:
    from minimax_al.data.features.features import Features

VECTOR_COLUMNS = ("embedding", "embeddings", "feature", "features", "vector", "vectors", "emb")
"""Names that the column or tensor of the vectors may have."""

Vectors = NDArray[np.floating[Any]]

_BLOCK = 16_384
_FEW = 50
"""Longest list of known names in an error's sentence."""


@dataclass(frozen=True)
class FeatureTable:
    """Feature vectors by image path.

    Attributes:
        source: File that the vectors come from.
        paths: Image paths as the file has them, N strings, all different.
        vectors: Feature vectors, shape (N, d) of a floating dtype; memory-mapped where the format allows it.
        labels: Class of each image, None where unknown; empty where the file has no such column.
        splits: Part of each image ("train", "test", …), empty text where unknown; () where the file has no such column.
    """

    source: Path
    paths: tuple[str, ...]
    vectors: Vectors
    labels: tuple[str | None, ...] = ()
    splits: tuple[str, ...] = ()

    def rows(self, names: Sequence[str], *, every: bool = False) -> NDArray[np.int64]:
        """Return the row of each image, shape (M,).

        Backslashes, percent-encoded names and Unicode forms are recognised, see `spellings`.

        Args:
            names: Image paths, M of them.
            every: Whether each vector must belong to one of the names.

        Raises:
            DataError: An image has no vector, or a vector no image; names it.
        """
        row_of = {path: row for row, path in enumerate(self.paths)}
        for path, row in list(row_of.items()):
            for other in spellings(path.removeprefix("./")):
                row_of.setdefault(other, row)
        found = [self._row(name, row_of) for name in names]
        missing = [name for name, row in zip(names, found, strict=True) if row is None]
        if missing:
            raise DataError(f"{str(self.source)!r} has no vector of {missing[0]!r}{_more(missing)}")
        rows = np.array(found, dtype=np.int64)
        unknown = sorted(set(range(len(self.paths))) - set(rows.tolist())) if every else []
        if unknown:
            raise DataError(
                f"{str(self.source)!r} has a vector of {self.paths[unknown[0]]!r}{_more(unknown)}, which is not among "
                f"the {len(names):,} images"
            )
        return rows

    def features(self, names: Sequence[str] | None = None) -> "Features":
        """Return the vectors as samples of a data set. Loads torch.

        Args:
            names: Image paths to choose, in this order; default all in the table's order.

        Raises:
            DataError: An image has no vector; names it.
        """
        from minimax_al.data.features.features import Features  # noqa: PLC0415 - loads torch

        if names is None:
            return Features(self.vectors, names=self.paths)
        return Features(self.vectors, self.rows(names), names)

    @staticmethod
    def _row(name: str, row_of: dict[str, int]) -> int | None:
        plain = name.removeprefix("./")
        return next((row_of[each] for each in (name, plain, *spellings(plain)) if each in row_of), None)


def read_feature_table(source: Path | str, paths: Path | str | Sequence[str] | None = None) -> FeatureTable:
    """Read feature vectors that another program computed.

    Args:
        source: `.npy` file with an array (N, d); `.parquet` file with a path and a vector column, and perhaps `label`
            and `split`; or `.safetensors` file with one tensor (N, d), or with one vector per path.
        paths: Image paths, N of them, or a text file with one path per line; for `.npy` and for a safetensors file
            with one tensor. By default the file of the same name that ends in `.txt`.

    Raises:
        DataError: A path is missing or occurs twice, widths differ, or a vector has NaN, infinite values or zeros
            alone; names the image. Or the file cannot be read.
        MissingDependencyError: The file is a Parquet file and pyarrow is not installed.
    """
    path = Path(source)
    readers: dict[str, Callable[[Path, Any], FeatureTable]] = {
        ".npy": _read_npy,
        ".parquet": _read_parquet,
        ".pq": _read_parquet,
        ".safetensors": _read_safetensors,
    }
    if path.suffix.lower() not in readers:
        raise DataError(f"{str(path)!r} is not a file of features: give .npy, .parquet or .safetensors")
    if not path.is_file():
        raise DataError(f"{str(path)!r} does not exist: give a file of features")
    table = readers[path.suffix.lower()](path, paths)
    _check_paths(table)
    _check_vectors(table)
    return table


def _read_npy(path: Path, paths: Path | str | Sequence[str] | None) -> FeatureTable:
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{str(path)!r} cannot be read as an array: {error}") from error
    return FeatureTable(path, _paths(path, paths), _floating(path, vectors))


def _read_safetensors(path: Path, paths: Path | str | Sequence[str] | None) -> FeatureTable:
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - rarely used

    try:
        with safe_open(path, "numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except (OSError, SafetensorError, TypeError) as error:  # TypeError: bfloat16, which NumPy lacks
        raise DataError(f"{str(path)!r} cannot be read as safetensors: {error}") from error
    wide = {name: tensor for name, tensor in tensors.items() if tensor.ndim == 2}
    if len(wide) == 1:
        (vectors,) = wide.values()
        given = _paths_of_metadata(path, metadata["paths"]) if paths is None and "paths" in metadata else paths
        return FeatureTable(path, _paths(path, given), _floating(path, vectors))
    if wide or not tensors or any(tensor.ndim != 1 for tensor in tensors.values()):
        raise DataError(
            f"{str(path)!r} holds {len(tensors)} tensors: give one of shape (N, d), or one of shape (d,) per image path"
        )
    return FeatureTable(path, tuple(tensors), _stack(path, list(tensors), list(tensors.values())))


def _paths_of_metadata(path: Path, text: str) -> list[str] | None:
    """Return the paths that a safetensors file lists in its metadata, as JSON; None for an empty list."""
    try:
        paths = json.loads(text)
    except ValueError as error:
        raise DataError(
            f"{str(path)!r} has metadata 'paths' that is not JSON ({error}): write a list of paths"
        ) from error
    if not isinstance(paths, list) or not all(isinstance(each, str) for each in paths):
        raise DataError(f"{str(path)!r} has metadata 'paths' that is not a list of texts: write one path per vector")
    return paths or None


def _read_parquet(path: Path, _: object) -> FeatureTable:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional package, and only for such a file
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "parquet", "reading features from Parquet") from error
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{str(path)!r} is not a Parquet file: {error}") from error
    if not table.num_rows:
        raise DataError(f"{str(path)!r} has no rows: write one per image")
    names = [normal_name(name) for name in table.column_names]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{str(path)!r} has the column {twice!r} twice: keep one of the two")

    def texts(column: str) -> list[str]:
        return cell_texts(table.column(names.index(column)).to_pylist(), column, path, 0)

    images = texts(_column(path, names, ALIASES["path"], "path"))
    blank = next((row for row, image in enumerate(images, start=1) if not image), None)
    if blank is not None:
        raise DataError(f"{at(path, blank)}: the path is blank: name an image or delete the row")
    vectors = table.column(names.index(_column(path, names, VECTOR_COLUMNS, "vector"))).combine_chunks()
    label = next((alias for alias in ALIASES["label"] if alias in names), None)
    return FeatureTable(
        path,
        tuple(images),
        _vectors_of_column(path, images, vectors.storage if isinstance(vectors, pa.ExtensionArray) else vectors),
        tuple(text or None for text in texts(label)) if label else (),
        tuple(texts("split")) if "split" in names else (),
    )


def _vectors_of_column(path: Path, images: list[str], column: Any) -> Vectors:  # noqa: ANN401 - pyarrow is untyped
    empty = next((i for i, valid in enumerate(column.is_valid().to_pylist()) if not valid), None)
    if empty is not None:
        raise DataError(f"{str(path)!r} has no vector of {images[empty]!r}: the cell is empty")
    try:
        lengths = np.asarray(column.value_lengths())
        flat = column.flatten().to_numpy(zero_copy_only=False)
    except AttributeError as error:
        raise DataError(f"{str(path)!r} has vectors of type {column.type}: write lists of numbers") from error
    differs = np.flatnonzero(lengths != lengths[0]) if len(lengths) else lengths
    if len(differs):
        raise _unequal(path, images[0], int(lengths[0]), images[differs[0]], int(lengths[differs[0]]))
    return _floating(path, flat.reshape(len(images), -1))


def _stack(path: Path, names: list[str], vectors: list[Vectors]) -> Vectors:
    for name, vector in zip(names, vectors, strict=True):
        if len(vector) != len(vectors[0]):
            raise _unequal(path, names[0], len(vectors[0]), name, len(vector))
    return _floating(path, np.stack(vectors))


def _unequal(path: Path, first: str, width: int, other: str, its_width: int) -> DataError:
    return DataError(
        f"{str(path)!r}: the vector of {other!r} has {its_width} numbers, and that of {first!r} has {width}: "
        "compute both with one encoder"
    )


def _floating(path: Path, vectors: NDArray[Any]) -> Vectors:
    if vectors.ndim != 2 or not np.issubdtype(vectors.dtype, np.floating) or 0 in vectors.shape:
        raise DataError(
            f"{str(path)!r} holds {vectors.dtype} of shape {vectors.shape}: features are (N, d) of a floating dtype"
        )
    return vectors


def _paths(source: Path, paths: Path | str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the image paths: as given, of a text file, or of the text file next to the vectors."""
    if paths is not None and not isinstance(paths, Path | str):
        return tuple(str(path) for path in paths)
    file = Path(paths) if paths is not None else source.with_suffix(".txt")
    if not file.is_file():
        raise DataError(
            f"{str(file)!r} does not exist: list the path of each vector's image in it, one per line, or give paths="
        )
    # Not by splitlines(), which would cut names at rare characters such as U+2028.
    lines = read_text(file).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return tuple(line for line in lines if line.strip())


def _check_paths(table: FeatureTable) -> None:
    if len(table.paths) != len(table.vectors):
        raise DataError(
            f"{str(table.source)!r} holds {len(table.vectors):,} vectors, and the list of paths names "
            f"{len(table.paths):,} images: give one path per vector"
        )
    row_of: dict[str, int] = {}
    for row, path in enumerate(table.paths):
        first = row_of.setdefault(path, row)
        if first != row:
            raise DataError(
                f"{str(table.source)!r} has two vectors of {path!r}, in rows {first} and {row}: keep one of the two"
            )


def _check_vectors(table: FeatureTable) -> None:
    for start in range(0, len(table.vectors), _BLOCK):
        block = np.asarray(table.vectors[start : start + _BLOCK])
        finite, zero = (np.atleast_1d(which.all(axis=1)) for which in (np.isfinite(block), block == 0))
        bad = np.flatnonzero(~finite | zero)
        if len(bad):
            fault = "zeros alone" if finite[bad[0]] else "NaN or an infinite value"
            raise DataError(
                f"{str(table.source)!r}: the vector of {table.paths[start + bad[0]]!r} has {fault}: compute it again "
                "or leave the image out"
            )


def _column(path: Path, names: Sequence[str], known: Sequence[str], what: str) -> str:
    found = next((alias for alias in known if alias in names), None)
    if found is None:
        listed = names if len(names) <= _FEW else names[:_FEW]
        raise DataError(f"{str(path)!r} has no {what} column {known[0]!r}{nearest(known[0], listed)}")
    return found


def _more(items: Iterable[object]) -> str:
    others = len(list(items)) - 1
    return f" (and {others:,} more)" if others else ""
