"""Pairs of image and mask files, and the segmentation data set in memory that they become.

Every pixel has a label, so nothing may be cut off: an image is stretched to the stored size (bilinear,
antialiased) and its mask taken to the same size (nearest neighbour), as the paper does with BDD100K. Masks stay in
memory as targets, together with the images: 200 kB per image at 224 x 224.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, SupportsInt

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from minimax_al.data.datasets.dataset import Dataset, image_statistics
from minimax_al.data.decoding.decode import read_image, stretched
from minimax_al.data.decoding.decode_memory import MAX_PIXELS
from minimax_al.data.images.images import ResidentImages
from minimax_al.data.locations.scan import SetAside, list_files, printable, sift, why_not
from minimax_al.data.masks.legend import Legend
from minimax_al.data.masks.mask_files import read_mask
from minimax_al.data.masks.mask_names import MASK_ENDINGS
from minimax_al.errors import ConfigurationError, DataError, UnreadableImageError
from minimax_al.vocabulary import IGNORED, Progress

DEFAULT_SIZE = 224
"""The paper's height and width of BDD100K."""

Size = int | Sequence[int]
"""Height and width in pixels, or one number for both."""


class Pair(NamedTuple):
    """Image file, its mask file, and the image's name."""

    name: str
    image: Path
    mask: Path


@dataclass(frozen=True)
class Pairs:
    """Pairs of one part of a data set, and the files that belong to no pair."""

    pairs: tuple[Pair, ...] = ()
    set_aside: tuple[SetAside, ...] = ()

    def __len__(self) -> int:
        return len(self.pairs)

    def take(self, positions: Iterable[SupportsInt]) -> "Pairs":
        """Return the pairs at `positions`, in that order."""
        return Pairs(tuple(self.pairs[int(i)] for i in positions), self.set_aside)


@dataclass(frozen=True)
class MaskOptions:
    """Options for reading pairs.

    Attributes:
        size: Stored height and width, or one number for both, in pixels.
        max_pixels: Largest number of pixels; larger images are set aside before they are decoded.
        progress: Callback of the pairs read so far.
        void_masks_are_errors: Whether a mask without any labelled pixel is an error; otherwise it is set aside.
    """

    size: Size = DEFAULT_SIZE
    max_pixels: int = MAX_PIXELS
    progress: Progress | None = None
    void_masks_are_errors: bool = False

    @property
    def height_and_width(self) -> tuple[int, int]:
        """Return `size` as two numbers.

        Raises:
            ConfigurationError: It is not one or two positive integers.
        """
        sides = (self.size, self.size) if isinstance(self.size, int) else tuple(self.size)
        if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
            raise ConfigurationError(f"size={self.size!r} must be a number of pixels, or height and width")
        return sides[0], sides[1]


def pair_folders(root: Path, images: Path, masks: Path) -> Pairs:
    """Pair images and masks of the same name in two folders and their subfolders.

    A mask's name may end in one of `MASK_ENDINGS`.

    Args:
        root: Folder that names are relative to.
        images: Folder of the images.
        masks: Folder of the masks.

    Raises:
        DataError: A folder is missing, an image has no mask, a mask has no image, or two have one name.
    """
    images_by_key, no_images = _by_key(root, images)
    masks_by_key, no_masks = _by_key(root, masks)
    pairs = []
    for key, image in images_by_key.items():
        mask = next((masks_by_key.pop(key + end) for end in MASK_ENDINGS if key + end in masks_by_key), None)
        if mask is None:
            raise DataError(
                f"the image {image.relative_to(root).as_posix()!r} has no mask: looked for {key + '.png'!r} "
                f"in {str(masks)!r}"
            )
        pairs.append(Pair(image.relative_to(root).as_posix(), image, mask))
    if masks_by_key:
        key, mask = next(iter(masks_by_key.items()))
        raise DataError(
            f"the mask {mask.relative_to(root).as_posix()!r} has no image: looked for {key!r} in {str(images)!r}"
        )
    return Pairs(tuple(pairs), (*no_images, *no_masks))


def dataset_from_pairs(name: str, legend: Legend, train: Pairs, test: Pairs, options: MaskOptions) -> Dataset:
    """Return a segmentation data set of image and mask files.

    Args:
        name: Name in curves and tables.
        legend: Classes of the masks' values.
        train: Training pairs.
        test: Test pairs.
        options: Options for reading the files.

    Raises:
        DataError: A mask does not fit its image or the classes, no training pair can be used, or the training masks
            show fewer than two classes.
    """
    train_images, train_masks, train_aside = _read(train, legend, options)
    test_images, test_masks, test_aside = _read(test, legend, options)
    unused = (*train.set_aside, *test.set_aside, *train_aside, *test_aside)
    if not len(train_images):
        first = f" ({unused[0].path!r}: {unused[0].reason})" if unused else ""
        raise DataError(f"{name}: none of {len(train)} training images is usable with its mask{first}")
    _check_shown(name, legend, train_masks)
    mean, std = image_statistics(train_images)
    return Dataset(
        name=name,
        task="segmentation",
        class_names=legend.class_names,
        train=train_images,
        train_targets=train_masks,
        test=test_images,
        test_targets=test_masks,
        mean=mean,
        std=std,
        set_aside=unused,
    )


def _by_key(root: Path, folder: Path) -> tuple[dict[str, Path], list[SetAside]]:
    """Return image files by their path in `folder` without its ending."""
    found: dict[str, Path] = {}
    others = []
    for file in list_files(folder):
        path, name = folder / file, (folder / file).relative_to(root).as_posix()
        reason = why_not(path, name)
        if reason is not None:
            others.append(SetAside(printable(name), reason))
            continue
        key = file.removesuffix(path.suffix)
        if key in found:
            raise DataError(f"{found[key].name!r} and {path.name!r} in {str(path.parent)!r} have the same name {key!r}")
        found[key] = path
    return found, others


def _read(pairs: Pairs, legend: Legend, options: MaskOptions) -> tuple[ResidentImages, Tensor, list[SetAside]]:
    """Decode and check all pairs; threads write into two blocks of memory."""
    height, width = options.height_and_width
    pixels_NCHW = np.empty((len(pairs), 3, height, width), dtype=np.uint8)
    masks_NHW = np.empty((len(pairs), height, width), dtype=np.uint8)

    def decode(position: int) -> str | None:
        pair = pairs.pairs[position]
        try:
            image = read_image(pair.image, max_pixels=options.max_pixels)
        except UnreadableImageError as error:
            return error.reason
        try:
            mask = read_mask(pair.mask, legend, options.max_pixels, partial(_check_same_size, pair, image))
        except UnreadableImageError as error:
            return f"its mask {pair.mask.name!r} cannot be read: {error.reason}"
        pixels_NCHW[position] = np.asarray(stretched(image, (width, height))).transpose(2, 0, 1)
        masks_NHW[position] = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
        if (masks_NHW[position] == IGNORED).all():
            return _all_void(pair, options)
        return None

    names = [pair.name for pair in pairs.pairs]
    usable, set_aside = sift(decode, names, options.progress)
    pixels, masks = torch.from_numpy(pixels_NCHW), torch.from_numpy(masks_NHW)
    if set_aside:
        pixels, masks = pixels[usable], masks[usable]
    return ResidentImages(pixels, [names[i] for i in usable]), masks, set_aside


def _check_same_size(pair: Pair, image: Image.Image, size: tuple[int, int]) -> None:
    height, width = size
    if (width, height) != image.size:
        turned = ", upright as the image's EXIF data turn it" if (height, width) == image.size else ""
        raise DataError(
            f"the mask {str(pair.mask)!r} has {width} x {height} pixels, but its image {pair.name!r} has "
            f"{image.width} x {image.height}: a mask needs the size of its image{turned}"
        )


def _all_void(pair: Pair, options: MaskOptions) -> str:
    if options.void_masks_are_errors:
        raise DataError(
            f"all pixels of the mask {str(pair.mask)!r} are void ({IGNORED}), so nothing can be learnt from it: "
            "label some, or remove image and mask"
        )
    return f"all pixels of its mask {pair.mask.name!r} are void"


def _check_shown(name: str, legend: Legend, masks: Tensor) -> None:
    """Refuse training masks that show fewer than two classes; masks of 0 and 255 are the usual cause."""
    shown = [label for label in masks.unique().tolist() if label != IGNORED]
    if len(shown) >= 2:
        return
    classes = ", ".join(legend.class_names[label] for label in shown)
    void = ""
    if not legend.colours and bool((masks == IGNORED).any()):
        other = next((number for number in range(len(legend.class_names)) if number not in shown), 0)
        void = (
            f"; their other value is {IGNORED}, which is void: where it is the class {legend.class_names[other]!r}, "
            f"write it as {other}, or give a colour map: colours.csv with rows name,red,green,blue"
        )
    raise DataError(f"{name}: the training masks show only one class ({classes}){void}")
