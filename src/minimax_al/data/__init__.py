"""Pictures to batches: sources, the pool's bookkeeping, imbalance, augmentation, batches.

Names are loaded when they are first used, so that `minimax_al.data.scan` and `minimax_al.data.manifest` serve
programs that never load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minimax_al.data.augmentation import Augmentation, augment, normalise, prepare
    from minimax_al.data.batches import Part, epoch_batches, part_of
    from minimax_al.data.dataset import IGNORED, UNKNOWN, Dataset, picture_statistics
    from minimax_al.data.files import FileOptions
    from minimax_al.data.formats import PICTURE_SUFFIXES, read_picture
    from minimax_al.data.imbalance import make_imbalanced, subset, with_validation
    from minimax_al.data.legend import Legend, read_class_list, read_colour_map
    from minimax_al.data.manifest import Manifest, read_manifest
    from minimax_al.data.masks import MaskOptions, Pairs, dataset_from_pairs, pair_folders, read_mask
    from minimax_al.data.pictures import FilePictures, Pictures, ResidentPictures
    from minimax_al.data.pool import Move, Pool
    from minimax_al.data.scan import Scan, SetAside, scan_folder
    from minimax_al.data.sources import SOURCES, load_dataset
    from minimax_al.data.strong_augmentation import strongly_augment

_HOMES = {
    "augmentation": ("Augmentation", "augment", "normalise", "prepare"),
    "batches": ("Part", "epoch_batches", "part_of"),
    "dataset": ("IGNORED", "UNKNOWN", "Dataset", "picture_statistics"),
    "files": ("FileOptions",),
    "formats": ("PICTURE_SUFFIXES", "read_picture"),
    "imbalance": ("make_imbalanced", "subset", "with_validation"),
    "legend": ("Legend", "read_class_list", "read_colour_map"),
    "manifest": ("Manifest", "read_manifest"),
    "masks": ("MaskOptions", "Pairs", "dataset_from_pairs", "pair_folders", "read_mask"),
    "pictures": ("FilePictures", "Pictures", "ResidentPictures"),
    "pool": ("Move", "Pool"),
    "scan": ("Scan", "SetAside", "scan_folder"),
    "sources": ("SOURCES", "load_dataset"),
    "strong_augmentation": ("strongly_augment",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "IGNORED",
    "PICTURE_SUFFIXES",
    "SOURCES",
    "UNKNOWN",
    "Augmentation",
    "Dataset",
    "FileOptions",
    "FilePictures",
    "Legend",
    "Manifest",
    "MaskOptions",
    "Move",
    "Pairs",
    "Part",
    "Pictures",
    "Pool",
    "ResidentPictures",
    "Scan",
    "SetAside",
    "augment",
    "dataset_from_pairs",
    "epoch_batches",
    "load_dataset",
    "make_imbalanced",
    "normalise",
    "pair_folders",
    "part_of",
    "picture_statistics",
    "prepare",
    "read_class_list",
    "read_colour_map",
    "read_manifest",
    "read_mask",
    "read_picture",
    "scan_folder",
    "strongly_augment",
    "subset",
    "with_validation",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
