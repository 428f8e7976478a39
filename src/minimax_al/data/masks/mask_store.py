"""Masks of a segmentation campaign: PNG files of class numbers, named by their content, never overwritten."""

import hashlib
import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from minimax_al.data.decoding.decode import read_as_is
from minimax_al.data.masks.mask_files import PNG
from minimax_al.durable import write_durably
from minimax_al.errors import CampaignError, DataError, UnreadableImageError
from minimax_al.vocabulary import IGNORED

Mask = NDArray[np.uint8]
"""(H, W) class numbers, 255 where ignored."""

_NUMBERS = "minimax-al classes"
"""Key of the text in a mask's file that lists its class numbers, so that they are known without decoding it."""


class MaskFiles:
    """Masks in a campaign's folder.

    Args:
        folder: Folder of the masks; made with the first mask.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, mask: Mask) -> str:
        """Store a mask durably and return its name, the sha256 of its pixels.

        Raises:
            CampaignError: Its file cannot be written.
        """
        name = hashlib.sha256(repr(mask.shape).encode() + mask.tobytes()).hexdigest()
        if not self.path(name).exists():
            file, text = io.BytesIO(), PngInfo()
            text.add_text(_NUMBERS, " ".join(map(str, _numbers_in(mask))))
            Image.fromarray(mask).save(file, format="PNG", pnginfo=text)
            self._write(name, file.getvalue())
        return name

    @contextmanager
    def waiting_room(self) -> Iterator["MaskFiles"]:
        """Yield a folder for masks that may still be refused; masks that are not admitted are removed at the end."""
        room = MaskFiles(self.folder.parent / f".{self.folder.name}-{uuid4().hex}")
        try:
            yield room
        finally:
            shutil.rmtree(room.folder, ignore_errors=True)

    def admit(self, name: str, room: "MaskFiles") -> None:
        """Store a mask of a waiting room durably.

        Raises:
            CampaignError: Its file cannot be written.
        """
        if not self.path(name).exists():
            self._write(name, room.path(name).read_bytes())

    def _write(self, name: str, content: bytes) -> None:
        path = self.path(name)
        try:
            write_durably(path, content)
        except OSError as error:
            raise CampaignError(
                f"the mask {str(path)!r} cannot be written ({error.strerror or error}): allow writing there, and "
                "check that the disk has room; nothing was changed"
            ) from error

    def load(self, name: str) -> Mask:
        """Return the mask of that name, shape (H, W), uint8.

        Raises:
            CampaignError: Its file is gone or damaged.
        """
        try:
            return np.asarray(read_as_is(self.path(name), formats=PNG))
        except UnreadableImageError as error:
            raise CampaignError(
                f"the mask {str(self.path(name))!r} cannot be read ({error.reason}): restore it"
            ) from error

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return the class numbers that a mask has, without 255, ascending; from the file's text, where it has one.

        Raises:
            CampaignError: Its file is gone or damaged.
        """
        try:
            with Image.open(self.path(name), formats=("PNG",)) as image:
                text = image.info.get(_NUMBERS)
        except OSError:
            text = None  # `load` has the sentence
        if not isinstance(text, str):
            return _numbers_in(self.load(name))
        return tuple(map(int, text.split()))

    def path(self, name: str) -> Path:
        """Return the file of the mask of that name."""
        return self.folder / name[:2] / f"{name}.png"


def _numbers_in(mask: Mask) -> tuple[int, ...]:
    counts = np.bincount(mask.ravel(), minlength=IGNORED + 1)
    return tuple(np.flatnonzero(counts[:IGNORED]).tolist())


def check_mask_size(found: Sequence[int], size: tuple[int, int], where: str) -> None:
    """Refuse a mask of another size than its image, before memory is allocated for its pixels.

    Args:
        found: (height, width) of the mask.
        size: (height, width) of the image.
        where: Start of the error's sentence.

    Raises:
        DataError: The sizes differ.
    """
    if tuple(found) != size:
        turned = ", upright as its EXIF data turn it" if tuple(found) == size[::-1] else ""
        raise DataError(
            f"{where}: the mask has {' x '.join(map(str, reversed(found)))} pixels and its image "
            f"{size[1]} x {size[0]}: save it in the image's size{turned}"
        )


def check_mask(mask: Mask, size: tuple[int, int], classes: int, where: str) -> None:
    """Refuse a mask that does not fit its image or the classes.

    Args:
        mask: Mask to check.
        size: (height, width) of the image.
        classes: Number of classes.
        where: Start of the error's sentence.

    Raises:
        DataError: It has another size or a number that is not a class, or is void everywhere.
    """
    check_mask_size(mask.shape, size, where)
    wrong = mask[(mask >= classes) & (mask != IGNORED)]
    if wrong.size:
        raise DataError(
            f"{where}: the mask has the number {int(wrong[0])}, but the {classes} classes are 0 to {classes - 1}, "
            f"and {IGNORED} is ignored"
        )
    if (mask == IGNORED).all():
        raise DataError(
            f"{where}: all of the mask is void ({IGNORED}), so that it teaches nothing: draw something, or leave it out"
        )
