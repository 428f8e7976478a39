"""A folder of masks: PNG files, `PATH.png` for the image `PATH`, or as in `MASK_ENDINGS`; its ending may be left out.

Masks hold class numbers, or colours where one of the files `COLOUR_MAPS` in the folder says what they are.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from minimax_al.campaign.exchange.formats.labelled import Context, Given, Labelled
from minimax_al.campaign.images.mask_files import Mask, check_mask_size
from minimax_al.data.colour_maps import in_order, read_colour_map
from minimax_al.data.decode import IMAGE_SUFFIXES
from minimax_al.data.legend import Legend
from minimax_al.data.mask_files import read_png_mask
from minimax_al.data.mask_names import COLOUR_MAPS, LOSSY_SUFFIXES, shorter_names
from minimax_al.data.scan import list_files
from minimax_al.errors import DataError

_ENDING = ".png"


def read(source: Path, context: Context) -> Iterator[Given]:
    """Every mask below `source`.

    Raises:
        DataError: there is none, or one in another format; the colour map does not fit the classes; or a mask is of
            another size than its image, or holds what is no class.
    """
    files = list(list_files(source))
    masks = [name for name in files if name.lower().endswith(_ENDING)]
    others = [name for name in files if _suffix(name) in IMAGE_SUFFIXES - {_ENDING}]
    if not masks:
        raise DataError(f"{str(source)!r} has no masks{_why_none(others)}: put one PNG file there for each image")
    images = _images(context.images) if others or any(shorter_names(name[: -len(_ENDING)]) for name in masks) else ()
    # Some people keep images and masks side by side; any other image is a mask that would be missed.
    for name in others:
        if name not in images:
            raise DataError(f"{str(source / name)!r} is no PNG file: save it as one, or take it away")
    legend = _legend(source, context.class_names)
    for name in masks:
        given = Given(_image(name, images), repr(str(source / name)), any_ending=True)
        yield replace(given, mask=_read_mask(source / name, given, legend, context))


def write(out: Path, labelled: Sequence[Labelled], context: Context) -> None:
    """Writes `out/PATH.png` for every image with a mask."""
    for row in labelled:
        target = out / f"{row.path}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(context.masks.load(str(row.mask))).save(target)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _why_none(others: Sequence[str]) -> str:
    if not others:
        return ""
    lossy = ", and JPEG changes the values that it is given" if _suffix(others[0]) in LOSSY_SUFFIXES else ""
    return f", but {len(others)} images such as {others[0]!r}{lossy}"


def _images(images: Path) -> set[str]:
    """The campaign's image files, with and without their endings."""
    names = {name for name in list_files(images) if _suffix(name) in IMAGE_SUFFIXES}
    return names | {name[: -len(_suffix(name))] for name in names}


def _image(name: str, images: Collection[str]) -> str:
    """What the image of a mask is called; an image of the mask's whole name comes first."""
    stem = name[: -len(_ENDING)]
    return next((key for key in (stem, *shorter_names(stem)) if key in images), stem)


def _legend(source: Path, class_names: Sequence[str]) -> Legend:
    found = next((source / name for name in COLOUR_MAPS if (source / name).is_file()), None)
    if found is None:
        return Legend.of_numbers(class_names)
    return Legend.of_colours(in_order(read_colour_map(found), class_names), class_names)


def _read_mask(path: Path, given: Given, legend: Legend, context: Context) -> Mask:
    size = context.size_of(given)
    return np.ascontiguousarray(
        read_png_mask(path, legend, str(path), lambda found: check_mask_size(found, size, given.where))
    )
