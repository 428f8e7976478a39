"""Source of CamVid in its usual layout: images in `train/`, `val/` and `test/`, masks in `trainannot/` and so on.

The labels are 0 to 10 for the eleven classes and 11 for void. A file `classes.txt`, one name per line, may name others.
"""

from pathlib import Path
from typing import Literal, get_args

from minimax_al.data.datasets.dataset import Dataset
from minimax_al.data.datasets.mask_pairs import DEFAULT_SIZE, MaskOptions, Size, dataset_from_pairs, pair_folders
from minimax_al.data.decoding.decode_memory import MAX_PIXELS
from minimax_al.data.masks.colour_maps import read_class_list
from minimax_al.data.masks.legend import Legend
from minimax_al.data.masks.void_names import is_void
from minimax_al.errors import DataError, UnknownNameError
from minimax_al.vocabulary import Progress

CLASSES = (
    *("Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist"),
)
CLASS_LIST = "classes.txt"
MASKS = "annot"
"""Ending of the name of a folder of masks, after that of its images."""

TestPart = Literal["test", "val"]


def load(
    root: Path,
    *,
    test: TestPart = "test",
    size: Size = DEFAULT_SIZE,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Dataset:
    """Load 367 training and 233 test images.

    Args:
        root: Folder with `train`, `trainannot` and so on.
        test: Test part; all of `val` is one video that training has too.
        size: Stored height and width, or one number for both, in pixels.
        max_pixels: Largest number of pixels; larger images are set aside.
        progress: Callback of the images read so far.

    Raises:
        DataError: A folder is missing, or masks do not fit images or classes.
    """
    if test not in get_args(TestPart):
        raise UnknownNameError("part of CamVid", test, get_args(TestPart))
    for folder in ("train", f"train{MASKS}", test, f"{test}{MASKS}"):
        if not (root / folder).is_dir():
            raise DataError(f"CamVid needs the folder {str(root / folder)!r}, which does not exist")
    names = read_class_list(root / CLASS_LIST) if (root / CLASS_LIST).is_file() else list(CLASSES)
    if not any(is_void(name) for name in names):
        names.append("void")
    pairs, test_pairs = (pair_folders(root, root / part, root / f"{part}{MASKS}") for part in ("train", test))
    return dataset_from_pairs(
        "camvid", Legend.of_names(names), pairs, test_pairs, MaskOptions(size, max_pixels, progress)
    )
