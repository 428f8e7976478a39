"""Source of Pascal VOC's layout: images in `JPEGImages`, palette PNGs in `SegmentationClass`, lists in `ImageSets`.

Masks hold label numbers, 255 on the borders of objects. A file `classes.txt`, one name per line, may name other classes
than the twenty of VOC and background.
"""

from pathlib import Path

from minimax_al.data.datasets.dataset import Dataset
from minimax_al.data.datasets.mask_pairs import DEFAULT_SIZE, MaskOptions, Pair, Pairs, Size, dataset_from_pairs
from minimax_al.data.decoding.decode_memory import MAX_PIXELS
from minimax_al.data.masks.colour_maps import read_class_list
from minimax_al.data.masks.legend import Legend
from minimax_al.errors import DataError
from minimax_al.vocabulary import Progress

CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
CLASS_LIST = "classes.txt"


def load(
    root: Path,
    *,
    size: Size = DEFAULT_SIZE,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Dataset:
    """Load the images of `train.txt` for training and those of `val.txt` for the test.

    Args:
        root: Folder with `JPEGImages`, such as `VOCdevkit/VOC2012`.
        size: Stored height and width, or one number for both, in pixels.
        max_pixels: Largest number of pixels; larger images are set aside.
        progress: Callback of the images read so far.

    Raises:
        DataError: A folder, a list, or a file of a list is missing, or masks do not fit images or classes.
    """
    names = read_class_list(root / CLASS_LIST) if (root / CLASS_LIST).is_file() else CLASSES
    train, test = (_listed(root, root / "ImageSets" / "Segmentation" / f"{part}.txt") for part in ("train", "val"))
    return dataset_from_pairs("voc", Legend.of_names(names), train, test, MaskOptions(size, max_pixels, progress))


def _listed(root: Path, file: Path) -> Pairs:
    if not file.is_file():
        raise DataError(f"Pascal VOC needs the list {str(file)!r}, which does not exist")
    pairs = []
    for stem in file.read_text(encoding="utf-8").split():
        pair = Pair(f"JPEGImages/{stem}.jpg", root / f"JPEGImages/{stem}.jpg", root / f"SegmentationClass/{stem}.png")
        if not pair.image.is_file():
            raise DataError(f"{str(file)!r} lists {stem!r}, but the image {str(pair.image)!r} does not exist")
        if not pair.mask.is_file():
            raise DataError(f"the image {pair.name!r} has no mask: looked for {str(pair.mask)!r}")
        pairs.append(pair)
    return Pairs(tuple(pairs))
