"""Class folders in object storage: `CLASS/*`, or `train/CLASS/*` and `test/CLASS/*`, below a URL."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from minimax_al.data.datasets.dataset import Dataset
from minimax_al.data.datasets.files import FileList, FileOptions, dataset_from_files
from minimax_al.data.datasets.split import stratified_test_mask
from minimax_al.data.decoding.decode import IMAGE_SUFFIXES
from minimax_al.data.locations.class_folders import NOT_READ, part_role, refuse_other_folders
from minimax_al.data.locations.location import list_images, locate
from minimax_al.data.locations.scan import SetAside
from minimax_al.errors import DataError, nearest


def load_objects(url: str, test_size: int | float, seed: int, files: FileOptions | None) -> Dataset:
    """Load the data set below a URL; each class folder's name is a class.

    Args:
        url: URL of the class folders, or of the parts of a split.
        test_size: Fraction or number of images that are held out for the test where no test part exists.
        seed: Seed of that draw.
        files: Options for reading the images.

    Raises:
        DataError: Class folders are missing, or a class of the test part is not in the training part.
        StorageError: The storage cannot be used now.
    """
    root = locate(url)
    names, loose = _by_class(image.name for image in list_images(root))
    train, test = names["train"], names["test"] or names["validation"]
    if not train:
        raise DataError(
            f"{str(root)!r} has no class folders: put each class's images below a name of its own, or list images "
            "without a class in a manifest"
        )
    class_names = sorted({class_name for class_name, _ in train})
    refuse_other_folders(class_names, str(root))
    number = {name: position for position, name in enumerate(class_names)}
    unknown = next((name for name, _ in test if name not in number), None)
    if unknown is not None:
        raise DataError(f"the class {unknown!r} in {str(root)!r} has no training part{nearest(unknown, class_names)}")

    def listed(part: list[tuple[str, str]]) -> FileList:
        found = FileList()
        for class_name, name in part:
            found.add(root / name, name, number[class_name])
        return found

    everything, held_out = listed(train), listed(test)
    if not test:
        in_test = stratified_test_mask(np.array(everything.targets), test_size, seed)
        held_out = everything.take(np.flatnonzero(in_test).tolist())
        everything = everything.take(np.flatnonzero(~in_test).tolist())
    aside = [SetAside(name, "it is not in a class folder") for name in loose]
    aside += [SetAside(name, NOT_READ) for _, name in names["validation"] if names["test"]]
    title = url.rstrip("/").rsplit("/", 1)[1]
    return dataset_from_files(title, class_names, everything, held_out, files or FileOptions(), set_aside=aside)


def _by_class(names: Iterable[str]) -> tuple[dict[str, list[tuple[str, str]]], list[str]]:
    """Return (class, name) of the images of each part, by role, and the images outside of every class folder."""
    images = [name for name in names if name.lower().endswith(tuple(IMAGE_SUFFIXES))]
    # Folders are parts of a split where one of them is called after the training part.
    is_split = any(part_role(name.split("/", 1)[0]) == "train" and name.count("/") > 1 for name in images)
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    loose = []
    for name in images:
        folders = name.split("/")[:-1]
        role = part_role(folders[0]) if is_split and folders else "train"
        inside = folders[1:] if is_split else folders
        if role is None or not inside:
            loose.append(name)
        else:
            found[role].append((inside[0], name))
    return found, loose
