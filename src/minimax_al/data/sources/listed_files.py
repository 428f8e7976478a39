"""Source of the images that a CSV or Parquet manifest lists."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from minimax_al.data.datasets.dataset import UNKNOWN, Dataset
from minimax_al.data.datasets.files import FileList, FileOptions, dataset_from_files
from minimax_al.data.datasets.split import stratified_test_mask
from minimax_al.data.locations.class_folders import NOT_READ
from minimax_al.data.locations.location import ManifestLocation
from minimax_al.data.locations.manifest_table import Manifest, Row, read_manifest
from minimax_al.data.locations.scan import SetAside
from minimax_al.data.object_storage.objects import local_copy
from minimax_al.data.object_storage.urls import check_url, is_url
from minimax_al.data.tables.path_spellings import find_file
from minimax_al.data.tables.table_rows import at


def load(
    root: Path | str,
    class_names: Sequence[str] | None = None,
    test_size: int | float = 0.2,
    seed: int = 0,
    files: FileOptions | None = None,
) -> Dataset:
    """Load the data set that a manifest lists.

    Args:
        root: CSV or Parquet file, or its URL in object storage, see `minimax_al.data.locations.manifest_table`.
        class_names: Class names, in order; by default the labels in the file, sorted.
        test_size: Fraction or number of labelled images that are held out for the test where no `split` column
            exists.
        seed: Seed of that draw.
        files: Options for reading the files.

    Raises:
        ManifestError: A line of the manifest is wrong.
        DataError: No image can be used, or a path may be one of two files.
    """
    location = ManifestLocation(check_url(root) if isinstance(root, str) else root)
    manifest = read_manifest(local_copy(root) if isinstance(root, str) else root, class_names)
    number = {label: i for i, label in enumerate(manifest.class_names)}
    rows = [row for row in manifest.rows if row.split != "validation"]
    targets = np.array([UNKNOWN if row.label is None else number[row.label] for row in rows], dtype=np.int64)
    if manifest.has_splits:
        in_test = np.array([row.split == "test" for row in rows])
    else:
        in_test = stratified_test_mask(targets, test_size, seed)
    everything = FileList(
        [_file(location, manifest, row) for row in rows], [row.name for row in rows], targets.tolist()
    )
    return dataset_from_files(
        PurePosixPath(root).stem,
        manifest.class_names,
        everything.take(np.flatnonzero(~in_test).tolist()),
        everything.take(np.flatnonzero(in_test).tolist()),
        files or FileOptions(),
        set_aside=[SetAside(row.name, NOT_READ) for row in manifest.rows if row.split == "validation"],
    )


def _file(location: ManifestLocation, manifest: Manifest, row: Row) -> str:
    """Return the file of a row, whose name may be spelled as other systems do; or its URL."""
    if isinstance(location.source, str) or is_url(row.name):
        return check_url(str(location / row.name))
    return find_file(os.fspath(manifest.source.parent), row.name, at(manifest.source, row.line))
