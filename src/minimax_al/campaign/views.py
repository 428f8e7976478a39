"""What can be looked at of a picture: its own file, its label's mask, and what a model says of every pixel.

A view is a grey PNG file in the picture's proportions, at about the resolution at which the model saw the picture.
"""

import io
import os
from pathlib import Path
from typing import Literal

from PIL import Image

from minimax_al.campaign.masks import IGNORED
from minimax_al.campaign.squares import Pixels, in_place
from minimax_al.durable import write_durably
from minimax_al.errors import DataError

SaidKind = Literal["prediction", "entropy"]
"""A model's class numbers; its entropy, 0 to 255 of what is possible."""

ViewKind = Literal["label", "prediction", "entropy"]
"""What a model says, or the mask that holds."""

VIEWS = "views"
"""The folder of a campaign's views."""

_OUTSIDE: dict[SaidKind, int] = {"prediction": IGNORED, "entropy": 0}


class ViewFiles:
    """What models have said of pictures, by the pictures' content: a file of other content has none.

    Args:
        folder: where the files lie; made when the first one comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, content_hash: str, kind: SaidKind) -> Path:
        """Where the view of a picture lies, if there is one."""
        return self.folder / content_hash[:2] / f"{content_hash}-{kind}.png"

    def save(self, content_hash: str, kind: SaidKind, square: Pixels, size: tuple[int, int], share: float) -> None:
        """Keeps a view in place of an earlier one.

        Args:
            content_hash: of the picture's file.
            kind: "prediction" or "entropy".
            square: (S, S), what the model says of the picture that was stretched to a square.
            size: (height, width) of the picture.
            share: side of the square that the model sees, as a part of the square that the picture became.
        """
        # No pixel that the model speaks of is left out: its square's side covers the short side.
        scale = len(square) / (share * min(size))
        height, width = (max(1, round(length * scale)) for length in size)
        file = io.BytesIO()
        Image.fromarray(in_place(square, (height, width), share, _OUTSIDE[kind])).save(file, format="PNG")
        write_durably(self.path(content_hash, kind), file.getvalue())


def why_outside(images: Path, file: Path) -> str | None:
    """Why a picture may not be shown, for all that it can be read; None where its file lies in the folder.

    Args:
        images: the pictures' folder.
        file: of the picture, all links followed.
    """
    if file.is_relative_to(os.path.realpath(images)):
        return None
    return f"is a link that leads out of {str(images)!r}: put the picture itself there, or open its folder"


def picture_file(images: Path, path: str) -> Path:
    """The file of a picture, all links followed.

    Args:
        images: the pictures' folder.
        path: of the picture below it.

    Raises:
        DataError: the file is gone, or a link leads out of the folder.
    """
    file = Path(os.path.realpath(images / path))
    outside = why_outside(images, file)
    if outside is not None:
        raise DataError(f"{path!r} {outside}")
    if not file.is_file():
        raise DataError(f"{path!r} is gone from {str(images)!r}: put it back, or run 'mal status'")
    return file
