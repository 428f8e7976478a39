"""Folder of masks: PNG files, `PATH.png` for the image `PATH`, or as in `MASK_ENDINGS`, with or without its ending.

Masks hold class numbers, or colours where one of the files `COLOUR_MAPS` in the folder maps them to classes. In CVAT's
export, pixels of the colour "background" are void unless the campaign has a class of that name.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from minimax_al.data.decoding.decode import IMAGE_SUFFIXES
from minimax_al.data.locations.location import Location, list_images, relative_name
from minimax_al.data.locations.scan import is_hidden, list_files
from minimax_al.data.masks.colour_maps import find_colour_map, in_order, read_colour_map
from minimax_al.data.masks.legend import Legend, Rgb
from minimax_al.data.masks.mask_files import read_png_mask
from minimax_al.data.masks.mask_names import LOSSY_SUFFIXES, shorter_names
from minimax_al.data.masks.mask_store import Mask, check_mask_size
from minimax_al.errors import DataError
from minimax_al.label_formats.labelled import Context, Given, Labelled

_ENDING = ".png"
_CVAT_MASKS, _CVAT_MAP, _CVAT_UNLABELLED = "SegmentationClass", "labelmap.txt", "background"
"""Names in CVAT's export "Segmentation mask 1.1"."""


def read(source: Path, context: Context) -> Iterator[Given | DataError]:
    """Yield every mask below `source`, which may be an export of CVAT as it is unzipped.

    Raises:
        DataError: The folder has no masks, a file is not a mask, or the colour map does not fit the classes.
    """
    folder = _masks_of(source)
    files = list(list_files(folder))
    masks = [name for name in files if name.lower().endswith(_ENDING)]
    others = [name for name in files if _suffix(name) in IMAGE_SUFFIXES - {_ENDING}]
    if not masks:
        raise DataError(f"{str(folder)!r} has no masks{_why_none(others)}: put one PNG file there for each image")
    images = _images(context.images) if others or any(shorter_names(name[: -len(_ENDING)]) for name in masks) else ()
    # Images may be in the folder of their masks; an image of any other name is a mask that would be missed.
    for name in others:
        if name not in images:
            raise DataError(f"{str(folder / name)!r} is not a PNG file: save it as one, or remove it")
    legend = _legend(folder, context.class_names)
    for name in masks:
        given = Given(_image(name, images), repr(str(folder / name)), any_ending=True)
        try:
            yield replace(given, mask=_read_mask(folder / name, given, legend, context))
        except DataError as error:
            yield error


def write(out: Path, labelled: Sequence[Labelled], context: Context) -> None:
    """Write `out/PATH.png` for every image with a mask."""
    for row in labelled:
        target = out / f"{relative_name(row.path)}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(context.masks.load(str(row.mask))).save(target)


def _masks_of(source: Path) -> Path:
    """Return the folder of the masks: of an export of CVAT, which an archive may hold in a folder of its own."""
    if not (source / _CVAT_MASKS).is_dir() and source.is_dir():
        inner = [entry for entry in source.iterdir() if not is_hidden(entry.name)]
        if len(inner) == 1 and (inner[0] / _CVAT_MASKS).is_dir():
            return inner[0] / _CVAT_MASKS
    return source / _CVAT_MASKS if (source / _CVAT_MASKS).is_dir() else source


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _why_none(others: Sequence[str]) -> str:
    if not others:
        return ""
    lossy = ", and JPEG changes the values that it is given" if _suffix(others[0]) in LOSSY_SUFFIXES else ""
    return f", but {len(others)} images such as {others[0]!r}{lossy}"


def _images(images: Location) -> set[str]:
    """Return the names of the campaign's image files, with and without their endings."""
    names = {file.name for file in list_images(images) if _suffix(file.name) in IMAGE_SUFFIXES}
    return names | {name[: -len(_suffix(name))] for name in names}


def _image(name: str, images: Collection[str]) -> str:
    """Return the name of a mask's image; an image of the mask's whole name comes first."""
    stem = name[: -len(_ENDING)]
    return next((key for key in (stem, *shorter_names(stem)) if key in images), stem)


def read_colour_map_of(source: Path) -> dict[str, Rgb]:
    """Return the colour of each class in a folder of masks; empty if it has no colour map.

    Args:
        source: Folder of masks, or an export of CVAT.
    """
    folder = _masks_of(source)
    # CVAT puts the colour map next to the folder of the masks.
    folders = (folder, folder.parent) if folder.name == _CVAT_MASKS else (folder,)
    found = next((path for place in folders if (path := find_colour_map(place)) is not None), None)
    if found is None:
        return {}
    colours = read_colour_map(found)
    if found.name.lower() != _CVAT_MAP:
        return colours
    # CVAT always lists this name: it is the colour of pixels without a label.
    return {"unlabelled" if name == _CVAT_UNLABELLED else name: colour for name, colour in colours.items()}


def _legend(folder: Path, class_names: Sequence[str]) -> Legend:
    colours = read_colour_map_of(folder)
    if not colours:
        return Legend.of_numbers(class_names)
    if _CVAT_UNLABELLED in class_names and "unlabelled" in colours:
        colours = {_CVAT_UNLABELLED if name == "unlabelled" else name: colour for name, colour in colours.items()}
    return Legend.of_colours(in_order(colours, class_names), class_names)


def _read_mask(path: Path, given: Given, legend: Legend, context: Context) -> Mask:
    size = context.size_of(given)
    return np.ascontiguousarray(
        read_png_mask(path, legend, str(path), lambda found: check_mask_size(found, size, given.where))
    )
