"""Source of ImageNet (ILSVRC 2012) in its usual layouts: `train/WNID/*.JPEG` and one of three layouts of `val`.

`val/WNID/*.JPEG`; or the official flat `val/*.JPEG` with the truth in `ILSVRC2012_devkit_t12/` or in Kaggle's
`LOC_val_solution.csv`. Kaggle's own tree, `ILSVRC/Data/CLS-LOC/`, is found as well.
"""

import csv
from pathlib import Path

from scipy.io import loadmat

from minimax_al.data.datasets.dataset import Dataset
from minimax_al.data.datasets.files import FileList, FileOptions, dataset_from_files
from minimax_al.data.locations.class_folders import class_folders
from minimax_al.data.locations.scan import list_files
from minimax_al.data.sources.folder import list_classes
from minimax_al.errors import DataError

DEVKIT = "ILSVRC2012_devkit_t12/data"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
KAGGLE_SOLUTION = "LOC_val_solution.csv"
KAGGLE_TREE = "ILSVRC/Data/CLS-LOC"
KAGGLE_NAMES = "LOC_synset_mapping.txt"


def load(root: Path, files: FileOptions | None = None) -> Dataset:
    """Load ImageNet, or a subset of its classes.

    Files are not checked before training unless the options request it: a file that cannot be read is named when it is
    needed. Classes are sorted by WordNet id, which is their name where `LOC_synset_mapping.txt` has none.

    Args:
        root: Folder with `train` and `val`.
        files: Options for reading the files.

    Raises:
        DataError: A folder or the truth of a flat `val` is missing.
    """
    tree = root / KAGGLE_TREE if (root / KAGGLE_TREE).is_dir() else root
    for part in ("train", "val"):
        if not (tree / part).is_dir():
            raise DataError(f"ImageNet needs the folder {str(tree / part)!r}, which does not exist")
    wnids = class_folders(tree / "train")
    if not wnids:
        raise DataError(f"{str(tree / 'train')!r} has no class folders such as 'n01440764'")
    train = list_classes(tree, tree / "train", wnids)
    test = list_classes(tree, tree / "val", wnids) if class_folders(tree / "val") else _flat(root, tree, wnids)
    return dataset_from_files("imagenet", _names(root, wnids), train, test, files or FileOptions(), verify="none")


def _flat(root: Path, tree: Path, wnids: list[str]) -> FileList:
    truth = _truth(root, sorted(name for name in list_files(tree / "val")))
    number = {wnid: i for i, wnid in enumerate(wnids)}
    listed = FileList()
    for name, wnid in truth.items():
        if wnid in number:  # a subset of the classes keeps a subset of the flat folder
            listed.add(str(tree / "val" / name), f"val/{name}", number[wnid])
    return listed


def _truth(root: Path, names: list[str]) -> dict[str, str]:
    """Return the WordNet id of each file of the flat `val`."""
    if (root / KAGGLE_SOLUTION).is_file():
        with (root / KAGGLE_SOLUTION).open(encoding="utf-8", newline="") as file:
            wnids = {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(file)}
        missing = [name for name in names if Path(name).stem not in wnids]
        if missing:
            raise DataError(f"{str(root / KAGGLE_SOLUTION)!r} has no row for {missing[0]!r}")
        return {name: wnids[Path(name).stem] for name in names}
    devkit = root / DEVKIT
    if not (devkit / GROUND_TRUTH).is_file() or not (devkit / "meta.mat").is_file():
        raise DataError(
            f"{str(root / 'val')!r} has no class folders, so the truth must be in {str(devkit)!r} "
            f"({GROUND_TRUTH} and meta.mat) or in {str(root / KAGGLE_SOLUTION)!r}, and neither is there"
        )
    numbers = [int(line) for line in (devkit / GROUND_TRUTH).read_text(encoding="ascii").split()]
    if len(numbers) != len(names):
        raise DataError(f"{str(root / 'val')!r} has {len(names)} files, but {GROUND_TRUTH} {len(numbers)} lines")
    synsets = loadmat(devkit / "meta.mat", squeeze_me=True)["synsets"]
    wnid_of = {int(synset["ILSVRC2012_ID"]): str(synset["WNID"]) for synset in synsets}
    return {name: wnid_of[number] for name, number in zip(names, numbers, strict=True)}


def _names(root: Path, wnids: list[str]) -> list[str]:
    """Return class names from the mapping; the id stays in front, as two classes are called "crane"."""
    if not (root / KAGGLE_NAMES).is_file():
        return wnids
    lines = (root / KAGGLE_NAMES).read_text(encoding="utf-8").splitlines()
    words = dict(line.split(" ", 1) for line in lines if " " in line)
    return [f"{wnid} {words[wnid].split(',')[0]}" if wnid in words else wnid for wnid in wnids]
