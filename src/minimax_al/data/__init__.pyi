from .augmentation import Augmentation, augment, normalise, prepare, prepare_masks
from .batches import Part, epoch_batches, part_of
from .colour_maps import read_class_list, read_colour_map
from .dataset import IGNORED, UNKNOWN, Dataset, Samples, image_statistics
from .decode import IMAGE_SUFFIXES, read_image
from .feature_store import FeatureDescription, FeatureStore, ListedImage, list_stores, open_store
from .feature_tables import FeatureTable, read_feature_table
from .feature_writer import FeatureWriter, open_writer
from .features import Features
from .file_images import FileImages
from .files import FileOptions
from .images import Images, ResidentImages
from .imbalance import make_imbalanced
from .legend import Legend
from .manifest_table import Manifest, read_manifest
from .mask_files import read_mask
from .mask_pairs import MaskOptions, Pairs, dataset_from_pairs, pair_folders
from .pool import Pool
from .scan import Scan, SetAside, scan_folder
from .sources import SOURCES, load_dataset
from .strong_augmentation import strongly_augment
from .subsets import subset, with_selection, with_validation

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
