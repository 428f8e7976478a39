"""Source of BDD100K's semantic segmentation as published: 7,000 training and 1,000 validation images.

Images are in `images/10k/{train,val}` and masks in `labels/sem_seg/masks/{train,val}`; the older archive has
`seg/images` and `seg/labels`, its masks named `*_train_id.png`. The masks hold Cityscapes' 19 training labels and 255.
"""

from pathlib import Path

from minimax_al.data.datasets.dataset import Dataset
from minimax_al.data.datasets.mask_pairs import DEFAULT_SIZE, MaskOptions, Size, dataset_from_pairs, pair_folders
from minimax_al.data.decoding.decode_memory import MAX_PIXELS
from minimax_al.data.masks.legend import Legend
from minimax_al.errors import DataError
from minimax_al.vocabulary import Progress

CLASSES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
IMAGES = ("images/10k", "seg/images")
MASKS = ("labels/sem_seg/masks", "labels/seg", "seg/labels")


def load(
    root: Path,
    *,
    size: Size = DEFAULT_SIZE,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Dataset:
    """Load 7,000 training and 1,000 test images, in 19 classes.

    Args:
        root: Folder with `images` and `labels` (or `seg`), or the one that holds it as `bdd100k`.
        size: Stored height and width, or one number for both, in pixels.
        max_pixels: Largest number of pixels; larger images are set aside.
        progress: Callback of the images read so far.

    Raises:
        DataError: A folder is missing, or masks do not fit images or classes.
    """
    tree = root / "bdd100k" if (root / "bdd100k").is_dir() else root
    images, masks = _first_folder(tree, IMAGES), _first_folder(tree, MASKS)
    train, test = (pair_folders(root, images / part, masks / part) for part in ("train", "val"))
    return dataset_from_pairs("bdd100k", Legend.of_names(CLASSES), train, test, MaskOptions(size, max_pixels, progress))


def _first_folder(tree: Path, candidates: tuple[str, ...]) -> Path:
    found = next((tree / name for name in candidates if (tree / name / "train").is_dir()), None)
    if found is None:
        wanted = " or ".join(repr(f"{name}/train") for name in candidates)
        raise DataError(f"BDD100K needs the folder {wanted} in {str(tree)!r}, which does not exist")
    return found
