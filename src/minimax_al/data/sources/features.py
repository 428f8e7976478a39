"""Feature vectors of images: a folder that `mal embed` wrote, or a file of another program.

Classes come from a table of labels (`path,label[,split]`), from the columns of a Parquet file, or from the class
folders in the paths (`CLASS/*`, or `train/CLASS/*` and `test/CLASS/*`).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from minimax_al.data.datasets.dataset import UNKNOWN, Dataset
from minimax_al.data.datasets.split import stratified_test_mask
from minimax_al.data.features.feature_store import open_store
from minimax_al.data.features.feature_tables import FeatureTable, read_feature_table
from minimax_al.data.features.features import Features
from minimax_al.data.locations.class_folders import NOT_READ, Role, part_role, without_validation
from minimax_al.data.locations.manifest_table import read_manifest
from minimax_al.data.locations.scan import SetAside
from minimax_al.data.object_storage.urls import is_url
from minimax_al.data.tables.path_spellings import spellings
from minimax_al.errors import DataError, nearest


def load(
    root: Path,
    labels: Path | None = None,
    *,
    paths: Path | None = None,
    encoder: str | None = None,
    class_names: Sequence[str] | None = None,
    test_size: int | float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Load the data set of the feature vectors in `root`.

    Args:
        root: Folder that `mal embed` wrote, or `.npy`, `.parquet` or `.safetensors` file.
        labels: CSV or Parquet table `path,label[,split]`; images that it lacks have no label.
        paths: Text file with the image path of each vector, for `.npy` and `.safetensors`.
        encoder: Encoder or subfolder to choose where the folder holds several stores.
        class_names: Class names, in order; by default those that occur, sorted.
        test_size: Fraction or number of labelled images kept for the test where nothing names the test images.
        seed: Seed of that draw.

    Raises:
        DataError: A vector is unusable, an image has no vector, or the classes are unknown; names the image.
        FeatureStoreError: The folder holds no store, or several and none was chosen.
    """
    features, table = _read(root, paths, encoder)
    known = _labels(root, features.names, labels, table)
    left_out = [SetAside(name, NOT_READ) for name, each in zip(features.names, known, strict=True) if not each.is_read]
    if left_out:
        read = [position for position, each in enumerate(known) if each.is_read]
        features, known = features.subset(torch.tensor(read)), [known[position] for position in read]
    names = tuple(class_names) if class_names is not None else tuple(sorted({k.label for k in known if k.label}))
    number = {name: i for i, name in enumerate(names)}
    for name, each in zip(features.names, known, strict=True):
        if each.label and each.label not in number:
            raise DataError(f"the label {each.label!r} of {name!r} is not a class{nearest(each.label, names)}")
    targets = np.array([number[each.label] if each.label else UNKNOWN for each in known], dtype=np.int64)
    in_test = _in_test(known, targets, test_size, seed)
    train, test = np.flatnonzero(~in_test), np.flatnonzero(in_test)
    dataset = Dataset.from_features(
        root.resolve().name if root.is_dir() else root.stem,
        names,
        (features.subset(torch.from_numpy(train)), torch.from_numpy(targets[train])),
        (features.subset(torch.from_numpy(test)), torch.from_numpy(targets[test])),
    )
    return replace(dataset, set_aside=tuple(left_out))


class _Known(NamedTuple):
    """Label and part of an image, None where unknown."""

    label: str | None = None
    part: Role | None = None

    @property
    def is_read(self) -> bool:
        """Whether the image is in the training or test part."""
        return self.part != "validation"


def _read(root: Path, paths: Path | None, encoder: str | None) -> tuple[Features, FeatureTable | None]:
    if root.is_dir():
        store = open_store(root, encoder)
        images = store.images
        if not images:
            raise DataError(f"{str(root)!r} does not list its images: run mal embed on their folder again")
        return store.features([each.sha256 for each in images], [each.path for each in images]), None
    table = read_feature_table(root, paths)
    return table.features(), table


def _labels(root: Path, names: Sequence[str], labels: Path | None, table: FeatureTable | None) -> list[_Known]:
    if labels is not None:
        return _from_manifest(root, names, labels)
    if table is not None and table.labels:
        rows = zip(names, table.labels, table.splits or ("",) * len(names), strict=True)
        return _with_test([_Known(label, _part(root, name, part)) for name, label, part in rows])
    known = [_from_folders(name) for name in names]
    if table is not None and table.splits:
        roles = [_part(root, name, part) for name, part in zip(names, table.splits, strict=True)]
        known = [each._replace(part=role or each.part) for each, role in zip(known, roles, strict=True)]
    known = _with_test(known)
    if not any(each.label for each in known):
        raise DataError(
            f"the paths in {str(root)!r} have no class folders ({names[0]!r}): give labels=, a table path,label"
        )
    # Without a test folder a share of the training folder is drawn for the test, as for its images.
    return known if any(each.part == "test" for each in known) else [_Known(each.label) for each in known]


def _with_test(known: list[_Known]) -> list[_Known]:
    """Return the images with the validation part as the test part, if no other exists."""
    parts = without_validation([each.part for each in known])
    return [each._replace(part=part) for each, part in zip(known, parts, strict=True)]


def _part(root: Path, name: str, split: str) -> Role | None:
    """Return the part that a cell of a column `split` names; None for an empty one, which is for training."""
    if not split:
        return None
    role = part_role(split)
    if role is None:
        raise DataError(f"{str(root)!r}: unknown split {split!r} of {name!r}: train or test")
    return role


def _from_manifest(root: Path, names: Sequence[str], labels: Path) -> list[_Known]:
    position = {name: i for i, name in enumerate(names)}
    known = [_Known() for _ in names]
    for row in read_manifest(labels).rows:
        plain = row.name.removeprefix("./")
        found = next((position[each] for each in (plain, *spellings(plain)) if each in position), None)
        if found is None:
            raise DataError(f"{str(labels)!r}, line {row.line}: {str(root)!r} has no vector of {row.name!r}")
        known[found] = _Known(row.label, row.split)
    return known


def _from_folders(name: str) -> _Known:
    """Return label and part from the folders in a path, as `mal embed` lists them."""
    if is_url(name) or PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts:
        return _Known()  # the first folders are those of a machine
    folders = PurePosixPath(name.replace("\\", "/")).parts[:-1]
    role = part_role(folders[0]) if len(folders) > 1 else None
    if role is not None:
        return _Known(folders[1], role)
    return _Known(folders[0] if folders else None)


def _in_test(known: list[_Known], targets: NDArray[np.int64], test_size: int | float, seed: int) -> NDArray[np.bool_]:
    if any(each.part for each in known):
        return np.array([(each.part or "train") != "train" for each in known])
    return stratified_test_mask(targets, test_size, seed)
