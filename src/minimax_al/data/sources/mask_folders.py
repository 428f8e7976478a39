"""Any folder of images beside a folder of masks: `images/` and `masks/`, files of the same names in both.

Masks hold label numbers, named by `classes.txt` (one name a line), or colours, named by a colour map: a file
`colours.csv`, `.json` or `.yaml`. The images may be split already, as `images/train` and `images/val` or as
`train/images` and `val/images`; otherwise a fixed random part of them is kept for the test.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minimax_al.data.class_folders import part_folders
from minimax_al.data.dataset import Dataset
from minimax_al.data.decode_memory import MAX_PIXELS
from minimax_al.data.legend import Legend, as_colour, in_order, read_class_list, read_colour_map
from minimax_al.data.mask_names import COLOUR_MAPS
from minimax_al.data.mask_pairs import DEFAULT_SIZE, MaskOptions, Pairs, Size, dataset_from_pairs, pair_folders
from minimax_al.data.scan import Progress
from minimax_al.errors import ConfigurationError, DataError

CLASS_LIST = "classes.txt"


def load(
    root: Path,
    *,
    images: str = "images",
    masks: str = "masks",
    classes: Sequence[str] | None = None,
    colours: Mapping[str, Sequence[int]] | str | Path | None = None,
    test_size: int | float = 0.2,
    seed: int = 0,
    size: Size = DEFAULT_SIZE,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Dataset:
    """The images and masks in the folder `root`.

    Args:
        root: the folder.
        images: name of the folder of images.
        masks: name of the folder of masks.
        classes: names in the order of the masks' labels; by default what `classes.txt` lists. Those called void,
            ignore or unlabelled stand for no class.
        colours: colour of each class, or the file of a colour map; by default the first such file in `root`.
        test_size: where no test part is there, this part of the images (or so many) is kept for the test.
        seed: of that draw.
        size: stored height and width, or one number for both, in pixels.
        max_pixels: larger images are set aside.
        progress: called now and then with (images done, all images).

    Raises:
        DataError: a folder, the classes or a file of a pair is missing; or a mask does not fit its image or the
            classes, or is void throughout.
        ConfigurationError: `test_size` or `size` cannot be.
    """
    if not root.is_dir():
        raise DataError(f"{str(root)!r} is not a folder: give the folder that holds {images!r} and {masks!r}")
    legend = _legend(root, classes, colours)
    train, test = _parts(root, images, masks, test_size, seed)
    options = MaskOptions(size, max_pixels, progress, void_masks_are_errors=True)
    return dataset_from_pairs(root.resolve().name, legend, train, test, options)


def _legend(
    root: Path, classes: Sequence[str] | None, colours: Mapping[str, Sequence[int]] | str | Path | None
) -> Legend:
    names = list(classes) if classes is not None else None
    if names is None and (root / CLASS_LIST).is_file():
        names = read_class_list(root / CLASS_LIST)
    if colours is None:
        colours = next((root / name for name in COLOUR_MAPS if (root / name).is_file()), None)
    if colours is not None:
        if isinstance(colours, Mapping):
            colour_map = {name: as_colour(value, repr(name)) for name, value in colours.items()}
        else:
            colour_map = read_colour_map(root / colours)
        return Legend.of_colours(in_order(colour_map, names) if names else colour_map)
    if names is None:
        raise DataError(
            f"nothing says what the masks in {str(root)!r} mean: write the names of the labels into {CLASS_LIST}, one "
            "a line, or for masks in colour a map into colours.csv, rows of name,red,green,blue"
        )
    return Legend.of_names(names)


def _parts(root: Path, images: str, masks: str, test_size: float, seed: int) -> tuple[Pairs, Pairs]:
    """Return training and test pairs: split as the folders are, or at random."""
    for tree, pattern in ((root / images, "{folder}/{part}"), (root, "{part}/{folder}")):
        parts = part_folders(tree) if tree.is_dir() else {}
        if "train" not in parts:
            continue
        train = [root / pattern.format(folder=folder, part=parts["train"]) for folder in (images, masks)]
        for role in ("test", "validation"):
            if role not in parts:
                continue
            test = [root / pattern.format(folder=folder, part=parts[role]) for folder in (images, masks)]
            if train[0].is_dir() and test[0].is_dir():
                return pair_folders(root, *train), pair_folders(root, *test)
    pairs = pair_folders(root, root / images, root / masks)
    in_test = _test_mask(len(pairs), test_size, seed)
    # What is no pair is told of once.
    return pairs.take(np.flatnonzero(~in_test)), Pairs(pairs.take(np.flatnonzero(in_test)).pairs)


def _test_mask(images: int, test_size: float, seed: int) -> NDArray[np.bool_]:
    wanted = round(test_size * images) if isinstance(test_size, float) else test_size
    if not 0 <= wanted < max(images, 1):
        raise ConfigurationError(
            f"test_size={test_size!r} of {images} images cannot be kept: give a fraction below 1 that leaves one"
        )
    mask = np.zeros(images, dtype=bool)
    mask[np.random.default_rng(seed).permutation(images)[:wanted]] = True
    return mask
