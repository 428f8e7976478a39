"""Trained model M with everything that its use needs; `model_file` reads and writes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from minimax_al.data import Dataset, Features
from minimax_al.data.decoding.decode import Fit
from minimax_al.data.decoding.letterbox import FITS
from minimax_al.data.features.feature_description import FeatureDescription
from minimax_al.errors import CheckpointError, ConfigurationError, MissingDependencyError
from minimax_al.networks import Preprocessing, build_encoder, find_published, fingerprint, pretrained_encoder
from minimax_al.training.build import AnyTaskModel
from minimax_al.training.checkpoint import read_tensors
from minimax_al.training.recipe import Recipe

GIVEN = "given"
"""Encoder's name for features that another program has computed."""

ENCODER = "encoder.safetensors"
"""Weights of the pretrained encoder in front of a model on features; only packages have the file."""


@dataclass(frozen=True)
class EncoderSource:
    """Pretrained encoder in front of a model on features.

    Attributes:
        encoder: Name of the encoder.
        weights: "published", or the path of a file of weights.
        fingerprint: SHA-256 of the encoder's tensors, hexadecimal.
        preprocessing: Preprocessing that the encoder expects.
        width: Features per image.
    """

    encoder: str
    weights: str
    fingerprint: str
    preprocessing: Preprocessing
    width: int


@dataclass(frozen=True)
class Trained:
    """A trained model with everything that its use needs.

    Attributes:
        model: M, in evaluation mode.
        recipe: Recipe that built it; its augmentation has the crop and the input size.
        task: "classification" or "segmentation".
        class_names: Classes, in the order of the logits.
        stored_size: Side of the square that an image becomes first, in pixels; 0 if the model cannot read image files.
        fit: How it becomes a square: "centre" cuts out the middle, "stretch" keeps all of it.
        mean: Mean of each channel, in [0, 1] units.
        std: Standard deviation of each channel, in [0, 1] units.
        facts: Facts of the training: strategy, labels, metrics, per class the accuracy and counts; in a campaign the
            run and the number of held-out labels, in a benchmark the seed and the round.
        source: Pretrained encoder whose features `model` reads, or which `model` is fine-tuned from; None for others.
        is_finetuned: Whether `model` is the encoder of `source` with its head, trained whole: it reads images.
        folder: Folder from which the model was loaded; it may hold the encoder's weights.
    """

    model: AnyTaskModel
    recipe: Recipe
    task: str
    class_names: tuple[str, ...]
    stored_size: int
    fit: Fit
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    facts: Mapping[str, Any]
    source: EncoderSource | None = None
    is_finetuned: bool = False
    folder: Path | None = None

    @cached_property
    def image_model(self) -> nn.Module:
        """Network from normalised images (B, 3, S, S) to logits: the encoder in front of `model` where there is one.

        Raises:
            CheckpointError: The encoder's weights are not those that the features were computed with.
        """
        if self.source is None or self.is_finetuned:
            return self.model
        return nn.Sequential(self._encoder(self.source), self.model).eval()

    def _encoder(self, source: EncoderSource) -> nn.Module:
        self.check_reads_images()
        packaged = None if self.folder is None else self.folder / ENCODER
        if packaged is not None and packaged.is_file():
            network: nn.Module = build_encoder(source.encoder, image_size=source.preprocessing.size).eval()
            network.load_state_dict(read_tensors(packaged)[0])
        else:
            network = pretrained_encoder(
                source.encoder,
                source.weights if source.weights == "published" else Path(source.weights),
                source.preprocessing.to_dict(),
            ).network
        if fingerprint(network) != source.fingerprint:
            raise CheckpointError(
                f"the weights of encoder {source.encoder!r} ({source.weights}) have changed since the model was "
                "trained: bring the former weights back, or train again"
            )
        return network

    def check_reads_images(self) -> None:
        """Refuse a model that cannot read image files.

        Raises:
            CheckpointError: It reads features of unknown origin, or images of unknown size.
        """
        if self.stored_size == 0 and not self.facts:
            raise CheckpointError(
                "the model was written by an older version, which did not record how it reads images: package it from "
                "its results folder, with 'mal bench package'"
            )
        if self.source is not None and self.source.encoder == GIVEN:
            raise CheckpointError(
                f"the model reads features from {self.source.weights!r}, which another program has computed: it cannot "
                "read images; compute their features with that program, or train on the features of a known encoder"
            )
        if self.stored_size == 0:
            raise CheckpointError("the model was trained on arrays that are not square: it cannot read image files")

    @property
    def share(self) -> float:
        """Side of the square that the model sees, as a share of the square that an image becomes first."""
        if self.source is not None:
            return self.source.preprocessing.size / self.source.preprocessing.short_side
        return (self.recipe.augmentation.crop or self.stored_size) / self.stored_size

    @property
    def input_size(self) -> int:
        """Side of the square that the model sees, in pixels."""
        if self.source is not None:
            return self.source.preprocessing.size
        augmentation = self.recipe.augmentation
        return augmentation.input_size or augmentation.crop or self.stored_size


def trained_on(dataset: Dataset, model: AnyTaskModel, recipe: Recipe, facts: Mapping[str, Any]) -> Trained:
    """Return M with what its use needs to know of its data set.

    Args:
        dataset: Data set that M was trained on.
        model: M.
        recipe: Recipe of the training.
        facts: Facts of the training, ready for JSON.
    """
    source = _source_of(dataset) if isinstance(dataset.train, Features) else None
    return Trained(
        model=model,
        recipe=recipe,
        task=dataset.task,
        class_names=dataset.class_names,
        stored_size=_stored_size(dataset) if source is None else source.preprocessing.size,
        fit=FITS[dataset.task],
        mean=dataset.mean if source is None else source.preprocessing.mean,
        std=dataset.std if source is None else source.preprocessing.std,
        facts=facts,
        source=source,
    )


def _stored_size(dataset: Dataset) -> int:
    """Return the side of the squares that images became; 0 for arrays of other shapes, which no file becomes."""
    height, width = dataset.image_size
    return height if height == width else 0


def _source_of(dataset: Dataset) -> EncoderSource:
    assert isinstance(dataset.train, Features)
    known, width = dataset.train.description, dataset.train.shape[1]
    if known is None or known.encoder == GIVEN:
        return EncoderSource(GIVEN, dataset.name, "", Preprocessing(), width)
    preprocessing = Preprocessing.from_dict(known.preprocessing)
    return EncoderSource(known.encoder, _weights_of(known), known.fingerprint, preprocessing, width)


def _weights_of(known: FeatureDescription) -> str:
    """Return "published", or the name of a file: a store names the origin of its weights, not their path."""
    try:
        published = find_published(known.encoder).origin
    except (ConfigurationError, MissingDependencyError):  # an encoder of a package that is not installed here
        return known.weights
    return "published" if published == known.weights else known.weights
