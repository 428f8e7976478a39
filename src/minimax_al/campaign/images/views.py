"""Views of an image: its own file, the mask of its label, and a model's prediction for every pixel.

A view is a grey PNG file in the image's proportions, at about the resolution at which the model saw the image.
"""

import io
import os
import shutil
from pathlib import Path
from typing import Literal

from PIL import Image

from minimax_al.data.decoding.letterbox import Pixels, in_place
from minimax_al.data.locations.location import Address, Location
from minimax_al.data.object_storage.urls import is_url
from minimax_al.durable import write_durably
from minimax_al.errors import DataError
from minimax_al.vocabulary import IGNORED

ModelViewKind = Literal["prediction", "entropy"]
"""Views of a model: its class numbers, or its entropy, scaled from 0 to 255."""

ViewKind = Literal["label", "prediction", "entropy"]
"""Views of a model, or the current mask."""

VIEWS = "views"
"""Name of the folder of a campaign's views."""

_OUTSIDE: dict[ModelViewKind, int] = {"prediction": IGNORED, "entropy": 0}


class ViewFiles:
    """Views that models made of images, by the images' content: a changed file has none.

    Args:
        folder: Folder of the views; made with the first view.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, content_hash: str, kind: ModelViewKind) -> Path:
        """Return the file of a view, which may not exist."""
        return self.folder / content_hash[:2] / f"{content_hash}-{kind}.png"

    def clear(self) -> None:
        """Remove all views."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def save(self, content_hash: str, kind: ModelViewKind, square: Pixels, size: tuple[int, int], share: float) -> None:
        """Store a view instead of an earlier one.

        Args:
            content_hash: sha256 of the image's file.
            kind: Kind of the view.
            square: Output of the model for the image that was stretched to a square, shape (S, S).
            size: (height, width) of the image.
            share: Side of the square that the model sees, as a share of the square that the image became.
        """
        # No pixel of the model's output is left out: the side of its square covers the short side.
        scale = len(square) / (share * min(size))
        height, width = (max(1, round(length * scale)) for length in size)
        file = io.BytesIO()
        Image.fromarray(in_place(square, (height, width), share, _OUTSIDE[kind])).save(file, format="PNG")
        write_durably(self.path(content_hash, kind), file.getvalue())


def why_outside(images: Path, file: Path) -> str | None:
    """Return why an image must not be served: it is a link out of the images' folder; None if it is inside.

    Args:
        images: Folder of the images.
        file: File of the image, with all links followed.
    """
    if file.is_relative_to(os.path.realpath(images)):
        return None
    return (
        f"is a link that leads out of {str(images)!r}: copy the folder with its links followed (cp -rL), and give the "
        "copy"
    )


def image_file(images: Location, path: str) -> Address:
    """Return the file of an image, with all links followed, or its URL.

    Args:
        images: Location of the images.
        path: Path of the image in it.

    Raises:
        DataError: The file is gone, or a link leads out of the folder.
    """
    address = images / path
    if is_url(address):
        return address
    file = Path(os.path.realpath(address))
    outside = why_outside(images, file) if isinstance(images, Path) else None
    if outside is not None:
        raise DataError(f"{path!r} {outside}")
    if not file.is_file():
        raise DataError(f"{path!r} is gone from {str(images)!r}: put it back, or run 'mal status'")
    return file
