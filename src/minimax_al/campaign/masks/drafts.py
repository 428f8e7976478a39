"""Drafts of masks that annotators draw: one per annotator and content of an image.

A draft is a PNG file of class numbers, as a mask is. Its text names the classes that the numbers stood for, so that a
later change of the classes neither mixes them up nor loses the draft.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from minimax_al.campaign.masks.renumbering import renumbered_classes
from minimax_al.data.masks.mask_store import Mask
from minimax_al.durable import write_durably
from minimax_al.errors import CampaignError
from minimax_al.vocabulary import IGNORED

DRAFTS = "drafts"
"""Name of the folder of a campaign's drafts."""

_KEY = "minimax-al"


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
        """Return an annotator's draft with today's class numbers; None if it does not exist or is damaged.

        Pixels of classes that the campaign no longer has become void. A damaged draft is drawn again.

        Args:
            content_hash: sha256 of the image's file.
            author: Name of the annotator.
            class_ids: Ids of the classes, in the order of their numbers.

        Raises:
            CampaignError: The file exists and cannot be opened.
        """
        found = self._read(content_hash, author)
        if found is None:
            return None
        pixels, facts = found
        table = np.full(IGNORED + 1, IGNORED, dtype=np.uint8)
        table[: len(facts.classes)] = renumbered_classes(facts.classes, class_ids)
        return Draft(table[pixels], facts.at)

    def drawn_at(self, content_hash: str, author: str) -> int | None:
        """Return the time of a draft's last change, in milliseconds since 1970; None without a readable draft.

        Raises:
            CampaignError: The file exists and cannot be opened.
        """
        found = self._read(content_hash, author)
        return None if found is None else found[1].at

    def remove(self, content_hash: str, author: str) -> None:
        """Remove an annotator's draft, if it exists."""
        self.path(content_hash, author).unlink(missing_ok=True)

    def _read(self, content_hash: str, author: str) -> tuple[Mask, "_Facts"] | None:
        """Return the stored numbers and the facts of a draft; None if it does not exist or is damaged."""
        path = self.path(content_hash, author)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CampaignError(
                f"the draft {str(path)!r} cannot be read ({error.strerror or error}): allow reading there"
            ) from error
        try:
            with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
                text = image.info.get(_KEY)
                facts = _Facts.of(text) if isinstance(text, str) else None
                return None if facts is None or image.mode != "L" else (np.asarray(image), facts)
        except (OSError, SyntaxError, ValueError):  # Pillow's errors of a damaged file
            return None


class _Facts(NamedTuple):
    """Text in a draft's file.

    Attributes:
        at: Time of the last change, in milliseconds since 1970.
        classes: Ids of the classes, in the order of the numbers.
    """

    at: int
    classes: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> "_Facts | None":
        """Return the facts of a text; None for a text that `DraftFiles.save` did not write."""
        try:
            facts = json.loads(text)
        except json.JSONDecodeError:
            return None
        match facts:
            case {"at": int(at), "classes": [*classes]} if len(classes) <= IGNORED and all(
                isinstance(one, int) for one in classes
            ):
                return cls(at, tuple(classes))
        return None
