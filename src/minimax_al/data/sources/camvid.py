"""CamVid in its usual layout: `train/`, `val/` and `test/` with images, `trainannot/` and so on with label numbers.

The labels are 0 to 10 for the eleven classes and 11 for void. A file `classes.txt`, one name a line, may name others.
"""

from pathlib import Path
from typing import Literal, get_args

from minimax_al.data.colour_maps import read_class_list
from minimax_al.data.dataset import Dataset
from minimax_al.data.decode_memory import MAX_PIXELS
from minimax_al.data.legend import Legend
from minimax_al.data.mask_pairs import DEFAULT_SIZE, MaskOptions, Size, dataset_from_pairs, pair_folders
from minimax_al.data.void_names import is_void
from minimax_al.errors import DataError, UnknownNameError
from minimax_al.vocabulary import Progress

CLASSES = (
    *("Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist"),
)
CLASS_LIST = "classes.txt"
MASKS = "annot"
"""What a folder of masks has after the name of the folder of its images."""

TestPart = Literal["test", "val"]


def load(
    root: Path,
    *,
    test: TestPart = "test",
    size: Size = DEFAULT_SIZE,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Dataset:
    """367 images to choose from and 233 to test on.

    Args:
        root: the folder with `train`, `trainannot` and so on.
        test: the part to test on; all of `val` is one video that training has too.
        size: stored height and width, or one number for both, in pixels.
        max_pixels: larger images are set aside.
        progress: called now and then with (images done, all images).

    Raises:
        DataError: a folder is missing, or masks do not fit images or classes.
    """
    if test not in get_args(TestPart):
        raise UnknownNameError("part of CamVid", test, get_args(TestPart))
    for folder in ("train", f"train{MASKS}", test, f"{test}{MASKS}"):
        if not (root / folder).is_dir():
            raise DataError(f"CamVid needs the folder {str(root / folder)!r}, and it is not there")
    names = read_class_list(root / CLASS_LIST) if (root / CLASS_LIST).is_file() else list(CLASSES)
    if not any(is_void(name) for name in names):
        names.append("void")
    pairs, test_pairs = (pair_folders(root, root / part, root / f"{part}{MASKS}") for part in ("train", test))
    return dataset_from_pairs(
        "camvid", Legend.of_names(names), pairs, test_pairs, MaskOptions(size, max_pixels, progress)
    )
