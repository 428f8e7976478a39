"""Labels as every format reads and writes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from minimax_al.data.locations.location import Location
from minimax_al.data.masks.mask_store import Mask, MaskFiles
from minimax_al.errors import DataError
from minimax_al.vocabulary import IGNORED, Task


@dataclass(frozen=True)
class Given:
    """Label as a source gives it, before its image and class are looked up.

    Attributes:
        name: Name of the image, as the source has it.
        where: File and line, for messages.
        class_name: Class in classification.
        mask: Mask in segmentation.
        file: File that may be the image, if `name` is not enough.
        by_content: Whether `file` is the image or a copy of it, which its content identifies; `name` then decides
            between copies alone.
        author: Author of the label, where the source has one.
        at: Time of the label, where the source has one.
        any_ending: Whether `name` lacks the file's ending.
        unsure: Whether the answer is "unsure"; class and mask are then None.
        readings: Names that a link may mean, for a source whose encoding of names is unknown; all are tried, and two
            that are two images are an error.
        by_path: Whether `name` is the path in the campaign, which a link in `readings` does not overrule.
        disagrees: Whether annotations of the task disagree.
        is_ground_truth: Whether the annotation is marked as the ground truth.
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
    at: datetime | None = None
    readings: tuple[str, ...] = ()
    by_path: bool = False
    disagrees: bool = False
    is_ground_truth: bool = False


@dataclass(frozen=True)
class Labelled:
    """Image with its current answer: a class, a mask, or neither for "unsure".

    Attributes:
        path: Path of the image, relative to the images' folder.
        class_name: Class in classification.
        mask: Name of the mask's file in segmentation.
        width: Width of the image, upright, in pixels.
        height: Height of the image, upright, in pixels.
        author: Author of the answer.
        at: Time of the answer.
        origin: How the answer came, see `store.history.Origin`; None if it is not known.
        attributes: Further columns of the image's manifest; None where it has none.
    """

    path: str
    class_name: str | None
    mask: str | None
    width: int | None
    height: int | None
    author: str
    at: datetime
    origin: str | None = None
    attributes: Mapping[str, str] | None = None


def check_drawn(mask: Mask, where: str) -> None:
    """Refuse a mask whose regions have no pixels.

    Raises:
        DataError: All of the mask is void.
    """
    if (mask == IGNORED).all():
        raise DataError(f"{where}: its regions hold no pixel: draw some, or take the annotation away")


def _size_of_none(given: Given) -> tuple[int, int]:
    raise DataError(f"{given.where}: it is not known how large its image is")


@dataclass(frozen=True)
class Context:
    """Context that a format reads and writes labels in.

    Attributes:
        task: Kind of the labels.
        class_names: Classes in order; masks have their numbers.
        images: Location of the images.
        masks: Masks of the campaign.
        size_of: Function that returns (height, width) of the image of a label; a mask of another size is refused before
            its pixels are read. It is not called while labels are written.
        escape_formulas: Whether cells of a CSV file that spreadsheet programs would run begin with an apostrophe.
        shown: File that messages name, for an upload; by default the source itself.
    """

    task: Task
    class_names: Sequence[str]
    images: Location
    masks: MaskFiles
    size_of: Callable[[Given], tuple[int, int]] = _size_of_none
    escape_formulas: bool = False
    shown: Path | None = None
