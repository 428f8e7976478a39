"""Source of class folders: `train/CLASS/*` and `test/CLASS/*`, or `CLASS/*` alone.

Parts may have any of the usual names in any case (`Train`, `training`, `valid`, `dev`, ...), see
`locations/class_folders.py`. Class folders may have subfolders. Without a test part a fixed random part of every
class is held out for the test.
"""

import os
from pathlib import Path

import numpy as np

from minimax_al.data.datasets.dataset import Dataset
from minimax_al.data.datasets.files import FileList, FileOptions, dataset_from_files
from minimax_al.data.datasets.split import stratified_test_mask
from minimax_al.data.decoding.decode import IMAGE_SUFFIXES
from minimax_al.data.locations.class_folders import Parts, class_folders, find_parts
from minimax_al.data.locations.scan import SetAside, is_hidden, list_files, printable
from minimax_al.data.object_storage.urls import check_url
from minimax_al.data.sources.object_folders import load_objects
from minimax_al.errors import DataError, nearest


def load(root: Path | str, test_size: int | float = 0.2, seed: int = 0, files: FileOptions | None = None) -> Dataset:
    """Load the data set in a folder; each class folder's name is a class.

    Args:
        root: Folder of class folders, or of the parts of a split; or its URL in object storage.
        test_size: Fraction or number of images that are held out for the test where no test part exists.
        seed: Seed of that draw.
        files: Options for reading the files.

    Raises:
        DataError: The folder has no class folders or no images, a class of the test part is not in the training part,
            or the parts of a split would become classes.
    """
    if isinstance(root, str):
        return load_objects(check_url(root), test_size, seed, files)
    parts = find_parts(root)
    class_names = class_folders(parts.train)
    if not class_names:
        raise DataError(
            f"{str(parts.train)!r} has no class folders: put each class's images in a folder of its name, "
            "or list images without a class in a manifest"
        )
    train = list_classes(root, parts.train, class_names)
    if not len(train):
        raise DataError(f"{str(parts.train)!r} is a folder without images: its class folders hold no files")
    if parts.test is not None:
        _check_test_classes(parts.test, class_names)
        test = list_classes(root, parts.test, class_names)
    else:
        in_test = stratified_test_mask(np.array(train.targets), test_size, seed)
        test = train.take(np.flatnonzero(in_test).tolist())
        train = train.take(np.flatnonzero(~in_test).tolist())
    return dataset_from_files(
        root.resolve().name,
        class_names,
        train,
        test,
        files or FileOptions(),
        set_aside=_not_read(root, parts),
    )


def list_classes(root: Path, part: Path, class_names: list[str]) -> FileList:
    """List all files in the class folders of a part.

    Args:
        root: Folder that the files' names are relative to.
        part: Folder that holds the class folders.
        class_names: Class names in the order of their numbers.
    """
    listed = FileList()
    prefix = "" if part == root else f"{part.relative_to(root).as_posix()}/"
    present = set(class_folders(part))
    for target, class_name in enumerate(class_names):
        if class_name not in present:
            continue
        for name in list_files(part / class_name):
            relative = f"{prefix}{class_name}/{name}"
            listed.add(os.path.join(root, relative), relative, target)  # noqa: PTH118 - a million times
    return listed


def _check_test_classes(test_root: Path, class_names: list[str]) -> None:
    for name in class_folders(test_root):
        if name not in class_names:
            hint = nearest(name, class_names)
            raise DataError(f"the class {name!r} in {str(test_root)!r} has no training folder{hint}")


def _not_read(root: Path, parts: Parts) -> list[SetAside]:
    """Return the images outside of every class folder, and the folders next to the parts that are read."""
    read = {parts.train, *(() if parts.test is None else (parts.test,))}
    tree = parts.train if parts.train == root else parts.train.parent
    loose = [
        SetAside(printable(entry.relative_to(root).as_posix()), "it is not in a class folder")
        for part in sorted({root, tree, *read})
        for entry in sorted(part.iterdir())
        if entry.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(entry.name) and entry.is_file()
    ]
    if parts.train == root:
        return loose
    others = (tree / name for name in class_folders(tree))
    return loose + [
        SetAside(
            printable(folder.relative_to(root).as_posix()), "a folder next to the training and test parts is not read"
        )
        for folder in others
        if folder not in read
    ]
