"""Source of any folder of images next to a folder of masks: `images/` and `masks/`, files of the same names in both.

Masks hold label numbers, named by `classes.txt` (one name per line), or colours, named by a colour map: a file
`colours.csv`, `.json` or `.yaml`. The images may be split already, as `images/train` and `images/val` or as
`train/images` and `val/images`, in any of the usual spellings; otherwise a fixed random part of them is held out for
the test.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minimax_al.data.datasets.dataset import Dataset
from minimax_al.data.datasets.mask_pairs import DEFAULT_SIZE, MaskOptions, Pairs, Size, dataset_from_pairs, pair_folders
from minimax_al.data.decoding.decode_memory import MAX_PIXELS
from minimax_al.data.locations.class_folders import part_folders
from minimax_al.data.masks.colour_maps import (
    as_colour,
    find_colour_map,
    find_file_of,
    in_order,
    read_class_list,
    read_colour_map,
)
from minimax_al.data.masks.legend import Legend
from minimax_al.errors import ConfigurationError, DataError
from minimax_al.vocabulary import Progress

CLASS_LIST = "classes.txt"


def load(
    root: Path,
    *,
    images: str = "images",
    masks: str = "masks",
    classes: Sequence[str] | None = None,
    colours: Mapping[str, Sequence[int]] | str | Path | None = None,
    void: Sequence[str] | None = None,
    test_size: int | float = 0.2,
    seed: int = 0,
    size: Size = DEFAULT_SIZE,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Dataset:
    """Load the images and masks in a folder.

    Args:
        root: Folder of both.
        images: Name of the folder of images.
        masks: Name of the folder of masks.
        classes: Names in the order of the masks' labels; by default those in `classes.txt`.
        colours: Colour of each class, or the file of a colour map, relative to `root`; by default the first such file
            in `root`.
        void: Names of pixels without a class; by default void, ignore, unlabelled and the like, see
            `minimax_al.data.masks.void_names`. The label 255 is always void.
        test_size: Fraction or number of images that are held out for the test if the folder has no test part.
        seed: Seed of that draw.
        size: Stored height and width, or one number for both, in pixels.
        max_pixels: Largest number of pixels; larger images are set aside.
        progress: Callback of the images read so far.

    Raises:
        DataError: A folder, the classes or a file of a pair is missing, or a mask does not fit its image or the
            classes, or is void throughout.
        ConfigurationError: `test_size` or `size` is invalid.
    """
    if not root.is_dir():
        raise DataError(f"{str(root)!r} is not a folder: give the folder that holds {images!r} and {masks!r}")
    legend = _legend(root, classes, colours, void)
    train, test = _parts(root, images, masks, test_size, seed)
    options = MaskOptions(size, max_pixels, progress, void_masks_are_errors=True)
    return dataset_from_pairs(root.resolve().name, legend, train, test, options)


def _legend(
    root: Path,
    classes: Sequence[str] | None,
    colours: Mapping[str, Sequence[int]] | str | Path | None,
    void: Sequence[str] | None,
) -> Legend:
    names = list(classes) if classes is not None else None
    if names is None and (listed := find_file_of(root, [CLASS_LIST])) is not None:
        names = read_class_list(listed)
    if colours is None:
        found = find_colour_map(root)
        colours = None if found is None else found.name
    if colours is not None:
        if isinstance(colours, Mapping):
            colour_map = {name: as_colour(value, repr(name)) for name, value in colours.items()}
        else:
            colour_map = read_colour_map(root / colours)
        return Legend.of_colours(in_order(colour_map, names, void) if names else colour_map, void=void)
    if names is None:
        raise DataError(
            f"the classes of the masks in {str(root)!r} are unknown: write the names of the labels into {CLASS_LIST}, "
            "one per line, or for masks in colour a map into colours.csv, rows of name,red,green,blue"
        )
    return Legend.of_names(names, void)


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
    # The files that are not pairs are reported once.
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
