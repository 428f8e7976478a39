from .datasets.dataset import IGNORED, UNKNOWN, Dataset, Samples, image_statistics
from .datasets.files import FileOptions
from .datasets.imbalance import make_imbalanced
from .datasets.mask_pairs import MaskOptions, Pairs, dataset_from_pairs, pair_folders
from .datasets.pool import Pool
from .datasets.subsets import subset, with_selection, with_validation
from .decoding.decode import IMAGE_SUFFIXES, read_image
from .features.feature_description import FeatureDescription
from .features.feature_store import FeatureStore, ListedImage, list_stores, open_store
from .features.feature_tables import FeatureTable, read_feature_table
from .features.feature_writer import FeatureWriter, open_writer
from .features.features import Features
from .images.augmentation import Augmentation, augment, normalise, prepare, prepare_masks
from .images.batches import Part, epoch_batches, part_of
from .images.file_images import FileImages
from .images.images import Images, ResidentImages
from .images.strong_augmentation import strongly_augment
from .locations.manifest_table import Manifest, read_manifest
from .locations.scan import Scan, SetAside, scan_folder
from .masks.colour_maps import read_class_list, read_colour_map
from .masks.legend import Legend
from .masks.mask_files import read_mask
from .sources import SOURCES, load_dataset

__all__ = [
    "IGNORED",
    "IMAGE_SUFFIXES",
    "SOURCES",
    "UNKNOWN",
    "Augmentation",
    "Dataset",
    "FeatureDescription",
    "FeatureStore",
    "FeatureTable",
    "FeatureWriter",
    "Features",
    "FileImages",
    "FileOptions",
    "Images",
    "Legend",
    "ListedImage",
    "Manifest",
    "MaskOptions",
    "Pairs",
    "Part",
    "Pool",
    "ResidentImages",
    "Samples",
    "Scan",
    "SetAside",
    "augment",
    "dataset_from_pairs",
    "epoch_batches",
    "image_statistics",
    "list_stores",
    "load_dataset",
    "make_imbalanced",
    "normalise",
    "open_store",
    "open_writer",
    "pair_folders",
    "part_of",
    "prepare",
    "prepare_masks",
    "read_class_list",
    "read_colour_map",
    "read_feature_table",
    "read_image",
    "read_manifest",
    "read_mask",
    "scan_folder",
    "strongly_augment",
    "subset",
    "with_selection",
    "with_validation",
]
