"""Drafts of masks that annotators draw: one per annotator and content of an image.

A draft is a PNG file of class numbers, as a mask is. Its text names the classes that the numbers stood for, so that a
later change of the classes neither mixes them up nor loses the draft.
"""

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from minimax_al.data.mask_store import Mask
from minimax_al.durable import write_durably
from minimax_al.errors import CampaignError
from minimax_al.vocabulary import IGNORED

DRAFTS = "drafts"
"""Name of the folder of a campaign's drafts."""

_KEY = "minimax-al"

T = TypeVar("T")


@dataclass(frozen=True)
class Draft:
    """Unfinished mask.

    Attributes:
        mask: Class numbers, shape (H, W), uint8; 255 where nothing is drawn.
        at: Time of its last change in the annotator's browser, in milliseconds since 1970.
    """

    mask: Mask
    at: int


class DraftFiles:
    """Drafts in a campaign's folder.

    Args:
        folder: Folder of the drafts; made with the first draft.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, content_hash: str, author: str) -> Path:
        """Return the file of an annotator's draft, which may not exist."""
        whose = hashlib.sha256(author.encode()).hexdigest()[:16]
        return self.folder / content_hash[:2] / f"{content_hash}-{whose}.png"

    def save(self, content_hash: str, author: str, draft: Draft, class_ids: Sequence[int]) -> None:
        """Store a draft instead of the annotator's earlier one.

        Args:
            content_hash: sha256 of the image's file.
            author: Name of the annotator.
            draft: Draft to store.
            class_ids: Ids of the classes, in the order of their numbers.

        Raises:
            CampaignError: The file cannot be written.
        """
        text, file = PngInfo(), io.BytesIO()
        text.add_text(_KEY, json.dumps({"at": draft.at, "classes": list(class_ids)}))
        Image.fromarray(draft.mask).save(file, format="PNG", pnginfo=text)
        path = self.path(content_hash, author)
        try:
            write_durably(path, file.getvalue())
        except OSError as error:
            raise CampaignError(
                f"the draft {str(path)!r} cannot be written ({error.strerror or error}): allow writing there, and "
                "check that the disk has room"
            ) from error

    def load(self, content_hash: str, author: str, class_ids: Sequence[int]) -> Draft | None:
        """Return an annotator's draft with today's class numbers; None if it does not exist or cannot be read.

        Pixels of classes that the campaign no longer has become void.

        Args:
            content_hash: sha256 of the image's file.
            author: Name of the annotator.
            class_ids: Ids of the classes, in the order of their numbers.
        """
        today = {identity: number for number, identity in enumerate(class_ids)}

        def translate(image: Image.Image, facts: Mapping[str, Any]) -> Draft:
            table = np.full(IGNORED + 1, IGNORED, dtype=np.uint8)
            for number, identity in enumerate(facts["classes"]):
                table[number] = today.get(identity, IGNORED)
            return Draft(table[np.asarray(image, dtype=np.uint8)], int(facts["at"]))

        return self._read(content_hash, author, translate)

    def drawn_at(self, content_hash: str, author: str) -> int | None:
        """Return the time of a draft's last change, in milliseconds since 1970; None without a draft."""
        return self._read(content_hash, author, lambda _, facts: int(facts["at"]))

    def _read(self, content_hash: str, author: str, read: Callable[[Image.Image, Mapping[str, Any]], T]) -> T | None:
        """Return what `read` returns for a draft's image and facts; None for a missing or damaged draft."""
        try:
            with Image.open(self.path(content_hash, author), formats=("PNG",)) as image:
                return read(image, json.loads(str(image.info[_KEY])))
        except (OSError, UnidentifiedImageError, KeyError, ValueError, TypeError, IndexError):
            return None  # a draft is a convenience: what cannot be read is drawn again

    def remove(self, content_hash: str, author: str) -> None:
        """Remove an annotator's draft, if it exists."""
        self.path(content_hash, author).unlink(missing_ok=True)
