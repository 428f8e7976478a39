"""Data of a training: the labelled, held-out and unlabelled images as of now."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from minimax_al.campaign.answers.validation import held_out_groups
from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.features.unlabelled_images import UnlabelledImage, UnlabelledImages, hashes_of
from minimax_al.campaign.rounds.pool_filter import matches
from minimax_al.campaign.rounds.rounds import is_candidate
from minimax_al.campaign.settings.settings import CampaignSettings
from minimax_al.campaign.store.bulk import streamed
from minimax_al.campaign.store.history import BULK, current_labels, last_event
from minimax_al.campaign.store.schema import USABLE, items
from minimax_al.data.decoding.letterbox import FITS
from minimax_al.errors import DataError

_AT_ONCE = 65_536
_HASHES = "hashes of the unlabelled images"


class LabelledImage(NamedTuple):
    """Image with its label.

    Attributes:
        id: Id of the image.
        path: Path relative to the images' folder.
        content_hash: Hash of its file.
        target: Index of its class; 0 for a mask.
        mask: Name of its mask; None for a class.
        group: Id of the original image, which the image and all of its copies share.
        measures: Whether a model may be measured on the label: not if a model's suggestion was confirmed in bulk.
    """

    id: int
    path: str
    content_hash: str
    target: int
    mask: str | None
    group: int
    measures: bool = True


@dataclass(frozen=True)
class TrainingData:
    """Data of a training.

    Attributes:
        class_names: Classes, in the order of the targets.
        labelled: Images to train on, in the order of labelling.
        held_out: Images to measure on, never to train on.
        unlabelled: Images to choose from, by id.
        last_label: Id of the latest row of the label history.
    """

    class_names: tuple[str, ...]
    labelled: tuple[LabelledImage, ...]
    held_out: tuple[LabelledImage, ...]
    unlabelled: Sequence[UnlabelledImage]
    last_label: int

    def class_counts(self) -> list[tuple[int, int]]:
        """Return the numbers of training and of held-out images of every class, in order."""
        targets = [Counter(known.target for known in part) for part in (self.labelled, self.held_out)]
        return [(targets[0][index], targets[1][index]) for index in range(len(self.class_names))]

    def fingerprint(self, settings: CampaignSettings, strategy: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
        """Return a hash of everything that a training and its measurement depend on."""
        unmeasured = [known.content_hash for known in self.labelled if not known.measures]
        parts = [
            self.class_names,
            [(known.content_hash, known.target, known.mask) for known in self.labelled],
            [(known.content_hash, known.target, known.mask) for known in self.held_out],
            _HASHES,
            *([unmeasured] if unmeasured else []),  # older versions knew none
            [settings.seed, settings.stored_size, settings.task]
            # Older versions cut the middle out of every image: their models have other fingerprints.
            + ([] if FITS[settings.task] == "centre" else [FITS[settings.task]]),
            dict(strategy),
            dict(recipe),
        ]
        before, after = json.dumps(parts, sort_keys=True).split(f'"{_HASHES}"')
        found = hashlib.sha256(before.encode())
        # The text of a list of hashes, in portions: that of ten million would take a gigabyte.
        found.update(b"[")
        hashes = hashes_of(self.unlabelled)
        for start in range(0, len(hashes), _AT_ONCE):
            portion = [f'"{key.tobytes().hex()}"' for key in hashes[start : start + _AT_ONCE]]
            found.update((", " if start else "").encode() + ", ".join(portion).encode())
        found.update(b"]" + after.encode())
        return found.hexdigest()


def read_training_data(connection: Connection, where: str | None = None) -> TrainingData:
    """Return the training data, read from one consistent snapshot.

    Args:
        connection: Connection to the campaign's database.
        where: Filter of the unlabelled images; None for all.

    Raises:
        DataError: The campaign has no labels.
    """
    labelled, held_out = read_labelled(connection)
    if not labelled:
        raise DataError("nothing is labelled yet: label the first round, or import labels, before training")
    columns = (items.c.id, items.c.path, items.c.content_hash, items.c.height, items.c.width)
    rows = streamed(connection, select(*columns).where(is_candidate(), matches(where)).order_by(items.c.id))
    unlabelled = UnlabelledImages.read(rows)
    return TrainingData(tuple(class_ids(connection)), labelled, held_out, unlabelled, last_event(connection))


def read_labelled(connection: Connection) -> tuple[tuple[LabelledImage, ...], tuple[LabelledImage, ...]]:
    """Return the images to train on, in the order of labelling, and those to measure on."""
    indices = {name: index for index, name in enumerate(class_ids(connection))}
    held_out_ids = held_out_groups(connection)
    labelled: list[LabelledImage] = []
    held_out: dict[int, LabelledImage] = {}
    for row in connection.execute(current_labels()):
        if row.status not in USABLE:
            continue
        target = 0 if row.class_name is None else indices[row.class_name]
        known = LabelledImage(
            row.item_id, row.path, row.content_hash, target, row.mask, row.group_id, row.origin != BULK
        )
        if row.group_id in held_out_ids:
            held_out.setdefault(row.group_id, known)  # an image and its copy count once
        else:
            labelled.append(known)
    return tuple(labelled), tuple(held_out.values())
