"""What every label format reads and writes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from minimax_al.campaign.images.mask_files import Mask, MaskFiles
from minimax_al.errors import DataError
from minimax_al.vocabulary import IGNORED, Task


@dataclass(frozen=True)
class Given:
    """A label as a file gives it, before anybody knows whether the image and the class exist.

    Attributes:
        name: the image, as the file has it.
        where: file and line, for messages.
        class_name: in classification.
        mask: in segmentation.
        file: where the image may lie, should `name` say too little.
        by_content: `file` is the image or a copy of it, and its content says which; `name` decides only
            between copies.
        author: who said it, where the file says so.
        any_ending: `name` lacks the file's ending.
        unsure: nobody could tell; it has neither class nor mask then.
    """

    name: str
    where: str
    class_name: str | None = None
    mask: Mask | None = None
    file: Path | None = None
    author: str | None = None
    any_ending: bool = False
    by_content: bool = False
    unsure: bool = False


@dataclass(frozen=True)
class Labelled:
    """An image with the answer that holds: a class, a mask, or neither where nobody could tell.

    Attributes:
        path: relative to the images' folder.
        class_name: in classification.
        mask: in segmentation, the name of its file.
        width: of the image, upright, in pixels.
        height: of the image.
        author: who said it.
        at: when.
    """

    path: str
    class_name: str | None
    mask: str | None
    width: int | None
    height: int | None
    author: str
    at: datetime


def check_drawn(mask: Mask, where: str) -> None:
    """Refuses a mask that regions were drawn for and that has none of their pixels.

    Raises:
        DataError: all of it is void.
    """
    if (mask == IGNORED).all():
        raise DataError(f"{where}: its regions hold no pixel: draw some, or take the annotation away")


def _size_of_none(given: Given) -> tuple[int, int]:
    raise DataError(f"{given.where}: it is not known how large its image is")


@dataclass(frozen=True)
class Context:
    """What a format needs to know of the campaign.

    Attributes:
        task: classes or masks.
        class_names: in order; masks have their numbers.
        images: the images' folder.
        masks: the campaign's masks.
        size_of: (height, width) of the image that a label is of; a mask that says to have another size is refused
            before its pixels are read. Nobody asks while labels are written.
    """

    task: Task
    class_names: Sequence[str]
    images: Path
    masks: MaskFiles
    size_of: Callable[[Given], tuple[int, int]] = _size_of_none
