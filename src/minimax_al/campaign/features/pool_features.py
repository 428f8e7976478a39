"""Features of a campaign's images: each image is encoded once, and its features are kept in the campaign folder."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import numpy as np

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.features.given_features import store_given_features
from minimax_al.campaign.features.recipes import load_source
from minimax_al.campaign.features.training_data import TrainingData
from minimax_al.campaign.features.unlabelled_images import UnlabelledImages
from minimax_al.campaign.images.known_features import FEATURES, known_store, remember_store
from minimax_al.campaign.settings.named_recipes import GIVEN
from minimax_al.data.features.feature_description import FeatureDescription
from minimax_al.data.features.feature_store import FeatureStore
from minimax_al.data.features.hash_index import Hashes
from minimax_al.deployment.trained import EncoderSource
from minimax_al.errors import CampaignError
from minimax_al.networks import Preprocessing
from minimax_al.training.extraction.extraction import extract_features
from minimax_al.training.extraction.image_files import ImageFile
from minimax_al.vocabulary import Progress

_AT_ONCE = 65_536
"""Images that are looked up together."""


class HashedImage(Protocol):
    """Image of a campaign, by path and content."""

    @property
    def path(self) -> str:
        """Path relative to the folder of images."""
        ...

    @property
    def content_hash(self) -> str:
        """SHA-256 of its file, hexadecimal."""
        ...


class PoolFeatures:
    """Features of a campaign's images under its current encoder.

    Args:
        context: Campaign that learns from features.

    Attributes:
        source: Encoder, weights and input size.
        store: Stored features; None before the first extraction.

    Raises:
        CampaignError: The campaign does not learn from features.
    """

    def __init__(self, context: CampaignContext) -> None:
        if context.settings.features is None:
            raise CampaignError(
                "the campaign trains networks on its images: choose the features of an encoder with "
                "'mal configure CAMPAIGN recipe=features encoder=NAME'"
            )
        self.context = context
        self.source = context.settings.features
        self.folder = context.folder / FEATURES
        self.store = known_store(context.folder, context.settings.features)

    def compute(self, images: Iterable[HashedImage], progress: Progress | None = None) -> FeatureStore:
        """Extract the features of the images that the store lacks.

        Args:
            images: Images of the campaign.
            progress: Callback of the images whose features are computed.

        Raises:
            ConfigurationError: The encoder's weights are not available.
            FeatureStoreError: Another process extracts features, or the store is damaged.
        """
        wanted = self._missing(images)
        if self.store is not None and not wanted:
            return self.store
        if self.source.encoder == GIVEN:
            self.store = store_given_features(self.folder, Path(self.source.weights), wanted, self._lock())
            remember_store(self.context.folder, self.source, self.store)
            return self.store
        files = [ImageFile(self.context.images / path, path, content) for content, path in wanted.items()]
        encoder, lock = load_source(self.source), self._lock()
        self.store = extract_features(files, self.folder, encoder, progress=progress, lock=lock).store
        remember_store(self.context.folder, self.source, self.store)
        return self.store

    def _missing(self, images: Iterable[HashedImage]) -> dict[str, str]:
        """Return the paths of the images that the store lacks and has not set aside, by content hash."""
        if self.store is None:
            return {image.content_hash: image.path for image in images}
        found: dict[str, str] = {}
        for image in self._without_row(self.store, images):
            found[image.content_hash] = image.path
        return {key: path for key, path in found.items() if key not in self.store.set_aside}

    @staticmethod
    def _without_row(store: FeatureStore, images: Iterable[HashedImage]) -> Iterator[HashedImage]:
        """Yield the images that the store has no features of."""
        for hashes, image_at in _portions(images):
            yield from (image_at(position) for position in np.flatnonzero(store.rows(hashes) < 0).tolist())

    def _lock(self) -> AbstractContextManager[bool] | None:
        """Return the lock of this folder's stores in PostgreSQL, so that no file on shared storage is locked."""
        if self.context.store.is_sqlite:
            return None
        return self.context.store.advisory_lock(f"features {_identity(self.folder)}")

    def lacking(self, images: Iterable[HashedImage]) -> dict[str, str]:
        """Return the images without features, with the reasons, by path.

        Args:
            images: Images that `compute` has seen.
        """
        assert self.store is not None
        reasons = self.store.set_aside
        return {
            image.path: reasons.get(image.content_hash, "its file has changed or is gone")
            for image in self._without_row(self.store, images)
        }

    def encoder_source(self) -> EncoderSource:
        """Return the description of the encoder that a model on these features needs."""
        assert self.store is not None
        description: FeatureDescription = self.store.description
        return EncoderSource(
            encoder=description.encoder,
            weights=self.source.weights,
            fingerprint=description.fingerprint,
            preprocessing=Preprocessing.from_dict(description.preprocessing),
            width=description.width,
        )


class ImageParts:
    """Images of several sequences, one after the other.

    Args:
        parts: Sequences.
    """

    def __init__(self, *parts: Sequence[HashedImage]) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[HashedImage]:
        return chain.from_iterable(self.parts)


def _portions(images: Iterable[HashedImage]) -> Iterator[tuple[Hashes, Callable[[int], HashedImage]]]:
    """Yield the content hashes of some images, and the function that returns one of them by its position.

    Columns stay columns: to make ten million images objects takes longer than to look up their features.
    """
    for part in images.parts if isinstance(images, ImageParts) else (images,):
        if isinstance(part, UnlabelledImages):
            for start in range(0, len(part), _AT_ONCE):
                yield part.hashes[start : start + _AT_ONCE], partial(_at, part, start)
            continue
        waiting = iter(part)
        while portion := list(islice(waiting, _AT_ONCE)):
            yield [image.content_hash for image in portion], portion.__getitem__


def _at(images: Sequence[HashedImage], start: int, position: int) -> HashedImage:
    return images[start + position]


def _identity(folder: Path) -> str:
    """Return a text that identifies a folder on every machine that sees it, made with the first call."""
    file = folder / "identity"
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), file.open("x", encoding="utf-8") as created:
        created.write(uuid.uuid4().hex)
    return file.read_text(encoding="utf-8")


def with_features(training_data: TrainingData, features: PoolFeatures) -> TrainingData:
    """Return the training data without the images that have no features.

    Args:
        training_data: Training data whose features were computed.
        features: Features of the pool.
    """
    aside = features.lacking(all_images(training_data))
    if not aside:
        return training_data

    def kept(part: Sequence[HashedImage]) -> Sequence[HashedImage]:
        if isinstance(part, UnlabelledImages):
            return part.take(np.array([i for i, path in enumerate(part.paths) if path not in aside], dtype=np.int64))
        return tuple(image for image in part if image.path not in aside)

    return replace(
        training_data,
        labelled=kept(training_data.labelled),  # type: ignore[arg-type]
        held_out=kept(training_data.held_out),  # type: ignore[arg-type]
        unlabelled=kept(training_data.unlabelled),  # type: ignore[arg-type]
    )


def all_images(training_data: TrainingData) -> ImageParts:
    """Return the labelled, held-out and unlabelled images."""
    return ImageParts(training_data.labelled, training_data.held_out, training_data.unlabelled)
