"""A folder of masks: PNG files of class numbers, `PATH.png` for the picture `PATH` (its ending may be left out)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from minimax_al.campaign.formats.labelled import Context, Given, Labelled
from minimax_al.campaign.masks import Mask, check_mask_size
from minimax_al.data.scan import list_files
from minimax_al.errors import DataError


def read(source: Path, context: Context) -> Iterator[Given]:
    """Every PNG file below `source`."""
    names = [name for name in list_files(source) if name.lower().endswith(".png")]
    if not names:
        raise DataError(f"{str(source)!r} has no masks: put one PNG file of class numbers there for each picture")
    for name in names:
        where = repr(str(source / name))
        given = Given(name[: -len(".png")], where, any_ending=True)
        yield replace(given, mask=_read_mask(source / name, given, context))


def write(out: Path, labelled: Sequence[Labelled], context: Context) -> None:
    """Writes `out/PATH.png` for every picture with a mask."""
    for row in labelled:
        target = out / f"{row.path}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(context.masks.load(str(row.mask))).save(target)


def _read_mask(path: Path, given: Given, context: Context) -> Mask:
    where = given.where
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.mode not in ("L", "P", "1"):
                raise DataError(
                    f"{where}: a mask of mode {image.mode} is no map of class numbers: save 8-bit numbers, or a palette"
                )
            check_mask_size((image.height, image.width), context.size_of(given), where)
            return np.array(image, dtype=np.uint8)  # a palette's numbers, not its colours; 1 bit is 0 and 1
    except (OSError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: it cannot be read as a mask ({error})") from error
