"""The images that a CSV or Parquet manifest lists."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minimax_al.data.dataset import UNKNOWN, Dataset
from minimax_al.data.files import FileList, FileOptions, dataset_from_files
from minimax_al.data.manifest_table import read_manifest
from minimax_al.data.split import stratified_test_mask


def load(
    root: Path,
    class_names: Sequence[str] | None = None,
    test_size: int | float = 0.2,
    seed: int = 0,
    files: FileOptions | None = None,
) -> Dataset:
    """The data set in the manifest `root`.

    Args:
        root: the CSV or Parquet file, see `minimax_al.data.manifest_table`.
        class_names: the classes, in order; by default the labels in the file, sorted.
        test_size: without a `split` column, this part of the labelled images (or so many) is kept for the
            test.
        seed: of that draw.
        files: how the files are read.

    Raises:
        ManifestError: a line of the manifest is wrong.
        DataError: no image can be used.
    """
    manifest = read_manifest(root, class_names)
    number = {label: i for i, label in enumerate(manifest.class_names)}
    targets = np.array([UNKNOWN if row.label is None else number[row.label] for row in manifest.rows], dtype=np.int64)
    if manifest.has_splits:
        in_test = np.array([row.split == "test" for row in manifest.rows])
    else:
        in_test = stratified_test_mask(targets, test_size, seed)
    everything = FileList([row.path for row in manifest.rows], [row.name for row in manifest.rows], targets.tolist())
    return dataset_from_files(
        root.stem,
        manifest.class_names,
        everything.take(np.flatnonzero(~in_test).tolist()),
        everything.take(np.flatnonzero(in_test).tolist()),
        files or FileOptions(),
    )
