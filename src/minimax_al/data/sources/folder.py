"""A folder of class folders: `train/CLASS/*` and `test/CLASS/*`, or `CLASS/*` alone.

Class folders may have subfolders. Without a test folder a fixed random part of every class is kept for the
test.
"""

import os
from pathlib import Path

import numpy as np

from minimax_al.data.dataset import Dataset
from minimax_al.data.decode import IMAGE_SUFFIXES
from minimax_al.data.files import FileList, FileOptions, dataset_from_files
from minimax_al.data.scan import SetAside, is_hidden, list_files, printable
from minimax_al.data.split import stratified_test_mask
from minimax_al.errors import DataError, nearest

TEST_FOLDERS = ("test", "val", "validation")


def load(root: Path, test_size: int | float = 0.2, seed: int = 0, files: FileOptions | None = None) -> Dataset:
    """The data set in the folder `root`; each class folder's name is a class.

    Args:
        root: the folder.
        test_size: without a test folder, this part of the images (or so many) is kept for the test.
        seed: of that draw.
        files: how the files are read.

    Raises:
        DataError: no class folders, no images, or a class in the test that training lacks.
    """
    train_root, test_root = _parts(root)
    class_names = class_folders(train_root)
    if not class_names:
        raise DataError(
            f"{str(train_root)!r} has no class folders: put each class's images in a folder of its name, "
            "or list images without a class in a manifest"
        )
    train = list_classes(root, train_root, class_names)
    if not len(train):
        raise DataError(f"{str(train_root)!r} is a folder without images: its class folders hold no files")
    if test_root is not None:
        _check_test_classes(test_root, class_names)
        test = list_classes(root, test_root, class_names)
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
        set_aside=_not_read(root, train_root, test_root),
    )


def class_folders(root: Path) -> list[str]:
    """Names of the folders in `root` that are not hidden, sorted.

    Raises:
        DataError: `root` is not a folder.
    """
    if not root.is_dir():
        raise DataError(f"{str(root)!r} is not a folder: give the folder that holds the class folders")
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not is_hidden(entry.name))


def list_classes(root: Path, part: Path, class_names: list[str]) -> FileList:
    """All files in the class folders of `part`: names relative to `root`, numbers those of `class_names`."""
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


def _parts(root: Path) -> tuple[Path, Path | None]:
    folders = class_folders(root)
    test = next((name for name in TEST_FOLDERS if name in folders), None)
    if "train" in folders and test is not None:
        return root / "train", root / test
    # "train" beside other names may be a class of vehicles; alone, it is the training part.
    return (root / "train" if folders == ["train"] else root), None


def _check_test_classes(test_root: Path, class_names: list[str]) -> None:
    for name in class_folders(test_root):
        if name not in class_names:
            hint = nearest(name, class_names)
            raise DataError(f"the class {name!r} in {str(test_root)!r} has no training folder{hint}")


def _not_read(root: Path, train_root: Path, test_root: Path | None) -> list[SetAside]:
    """Images outside of every class folder, and folders beside the training and test parts."""
    parts = {part for part in (root, train_root, test_root) if part is not None}
    loose = [
        SetAside(printable(entry.relative_to(root).as_posix()), "it lies in no class folder")
        for part in sorted(parts)
        for entry in sorted(part.iterdir())
        if entry.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(entry.name) and entry.is_file()
    ]
    if train_root == root:
        return loose
    others = (root / name for name in class_folders(root))
    return loose + [
        SetAside(printable(folder.name), "a folder beside the training and test parts is not read")
        for folder in others
        if folder not in parts
    ]
