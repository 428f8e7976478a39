"""Masks of a segmentation campaign: PNG files of class numbers, named by their content, never overwritten."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minimax_al.durable import write_durably
from minimax_al.errors import CampaignError, DataError

IGNORED = 255
"""Class number of a pixel that neither trains nor counts."""

Mask = NDArray[np.uint8]
"""(H, W) class numbers, 255 where ignored."""


class MaskFiles:
    """The masks in a campaign's folder.

    Args:
        folder: where they lie; made when the first one comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, mask: Mask) -> str:
        """Keeps a mask; returns its name, the sha256 of its pixels. On return the disk has it.

        Raises:
            CampaignError: its file cannot be written.
        """
        name = hashlib.sha256(repr(mask.shape).encode() + mask.tobytes()).hexdigest()
        path = self.path(name)
        if not path.exists():
            file = io.BytesIO()
            Image.fromarray(mask).save(file, format="PNG")
            try:
                write_durably(path, file.getvalue())
            except OSError as error:
                raise CampaignError(
                    f"the mask {str(path)!r} cannot be written ({error.strerror or error}): allow writing there, and "
                    "see that the disk has room; nothing was changed"
                ) from error
        return name

    def load(self, name: str) -> Mask:
        """The mask of that name, (H, W) uint8.

        Raises:
            CampaignError: its file is gone.
        """
        try:
            with Image.open(self.path(name)) as image:
                return np.asarray(image)
        except OSError as error:
            raise CampaignError(f"the mask {str(self.path(name))!r} cannot be read ({error}): restore it") from error

    def path(self, name: str) -> Path:
        """Where the mask of that name lies."""
        return self.folder / name[:2] / f"{name}.png"


def check_mask_size(found: Sequence[int], size: tuple[int, int], where: str) -> None:
    """Refuses a mask of another size than its picture's, before room is made for its pixels.

    Args:
        found: what the mask says of its size, (height, width).
        size: (height, width) of the picture.
        where: the start of the sentence.

    Raises:
        DataError: it is of another size.
    """
    if tuple(found) != size:
        raise DataError(
            f"{where}: the mask has {' x '.join(map(str, reversed(found)))} pixels and its picture "
            f"{size[1]} x {size[0]}: save it in the picture's size"
        )


def check_mask(mask: Mask, size: tuple[int, int], classes: int, where: str) -> None:
    """Refuses a mask that does not fit its picture or the classes.

    Args:
        mask: to check.
        size: (height, width) of the picture.
        classes: how many there are.
        where: the start of the sentence.

    Raises:
        DataError: it is of another size, or has a number that is no class.
    """
    check_mask_size(mask.shape, size, where)
    wrong = mask[(mask >= classes) & (mask != IGNORED)]
    if wrong.size:
        raise DataError(
            f"{where}: the mask has the number {int(wrong[0])}, but the {classes} classes are 0 to {classes - 1}, "
            f"and {IGNORED} is ignored"
        )
