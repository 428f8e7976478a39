"""File format of a trained model M: weights, recipe, classes and preprocessing, for campaigns and benchmarks alike."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from minimax_al.data.decode import Fit
from minimax_al.durable import write_durably
from minimax_al.errors import CheckpointError, ConfigurationError
from minimax_al.networks import (
    Adapter,
    CosineClassifier,
    PixelTaskModel,
    Preprocessing,
    TaskModel,
    build_encoder,
    fingerprint,
    pretrained_encoder,
)
from minimax_al.training import Recipe
from minimax_al.training.build import cosine_task_model
from minimax_al.training.checkpoint import read_tensors

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
GIVEN = "given"
"""Encoder's name for features that another program has computed."""

ENCODER = "encoder.safetensors"
"""Weights of the pretrained encoder in front of a model on features; only packages have the file."""
AnyTaskModel = TaskModel | PixelTaskModel


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
        stored_size: Side of the square that an image becomes first, in pixels.
        fit: How it becomes a square: "centre" cuts out the middle, "stretch" keeps all of it.
        mean: Mean of each channel, in [0, 1] units.
        std: Standard deviation of each channel, in [0, 1] units.
        facts: Facts of the training: run, strategy, labels, held_out, metrics, and per class the accuracy and counts.
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
        if source.encoder == GIVEN:
            raise CheckpointError(
                f"the model reads features from {source.weights!r}, which another program has computed: it cannot read "
                "images; compute their features with that program, or train on the features of a known encoder"
            )
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


def save_trained(folder: Path, trained: Trained, *, with_encoder: bool = False) -> None:
    """Write M and its description into a folder.

    Args:
        folder: Folder for `model.safetensors` and `model.json`.
        trained: Trained model.
        with_encoder: Whether the pretrained encoder of a model on features is written, too, as a package needs it.
    """
    digest = _save_weights(folder / WEIGHTS, trained.model)
    encoder_digest = None
    if with_encoder and trained.source is not None and not trained.is_finetuned:
        encoder_digest = _save_weights(folder / ENCODER, trained.image_model[0])  # type: ignore[index]
    description = {
        "sha256": digest,
        "recipe": trained.recipe.model_dump(mode="json"),
        "task": trained.task,
        "class_names": list(trained.class_names),
        "stored_size": trained.stored_size,
        "fit": trained.fit,
        "mean": list(trained.mean),
        "std": list(trained.std),
        "facts": dict(trained.facts),
    }
    if trained.source is None and isinstance(trained.model.head, CosineClassifier):
        description["cosine_temperature"] = trained.model.head.temperature
    if encoder_digest is not None:
        description["encoder_sha256"] = encoder_digest
    if trained.source is not None:
        source = {**asdict(trained.source), "preprocessing": trained.source.preprocessing.to_dict()}
        description |= {"source": source, "is_finetuned": trained.is_finetuned, "head": _describe_head(trained)}
    write_durably(folder / DESCRIPTION, json.dumps(description, indent=2, ensure_ascii=False).encode())


def load_trained(folder: Path) -> Trained:
    """Load a model that `save_trained` wrote.

    Args:
        folder: Folder with `model.safetensors` and `model.json`.

    Raises:
        CheckpointError: The model is not there, its files are damaged or belong to another network, or it is of a
            version that this one cannot read.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_bytes())
        described = _described(description, folder)
    except OSError as error:
        raise CheckpointError(f"the model in {str(folder)!r} cannot be read ({error}): train again") from error
    except (ValueError, KeyError, TypeError, ConfigurationError) as error:
        raise CheckpointError(
            f"{str(folder / DESCRIPTION)!r} describes no model that this version can build ({error}): train again"
        ) from error
    tensors, _ = read_tensors(folder / WEIGHTS)
    _check_weights(folder / WEIGHTS, description.get("sha256"))
    for name, part in described.model.named_modules():
        if isinstance(part, CosineClassifier):
            # Classes without a label are masked; a mask of all classes is not stored.
            part.mask_missing(tensors.get(f"{name}.present", torch.ones(1, dtype=torch.bool)))
    try:
        described.model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{str(folder / WEIGHTS)!r} holds another network's weights: {error}") from error
    return described


def _save_weights(path: Path, network: nn.Module) -> str:
    """Write a network's weights; return their SHA-256."""
    content = save({name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()})
    write_durably(path, content)
    return hashlib.sha256(content).hexdigest()


def _check_weights(path: Path, digest: str | None) -> None:
    """Raise CheckpointError if a file of weights has changed since it was written; older versions noted no digest."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if digest not in (None, found):
        raise CheckpointError(
            f"{str(path)!r} is damaged: its sha256 is {found[:12]}…, and {DESCRIPTION} has {str(digest)[:12]}…; "
            "restore it from a backup, or train again"
        )


def _described(description: Mapping[str, Any], folder: Path) -> Trained:
    """Return the model of a description, before its weights are loaded."""
    recipe, class_names = Recipe.model_validate(description["recipe"]), tuple(description["class_names"])
    source = _source(description["source"]) if "source" in description else None
    if source is not None:
        model: AnyTaskModel = _model_on_features(source, len(class_names), description["head"])
        if description.get("is_finetuned", False):
            encoder = build_encoder(source.encoder, image_size=source.preprocessing.size)
            model = TaskModel(encoder, len(class_names), head=nn.Sequential(model.encoder, model.head))
    else:
        encoder = build_encoder(recipe.encoder, recipe.stem, task=description["task"], width=recipe.width)
        if "cosine_temperature" in description:
            model = cosine_task_model(encoder, len(class_names), description["cosine_temperature"])
        else:
            model = (PixelTaskModel if description["task"] == "segmentation" else TaskModel)(encoder, len(class_names))
    return Trained(
        model=model.eval(),
        recipe=recipe,
        task=description["task"],
        class_names=class_names,
        stored_size=description["stored_size"],
        fit=description.get("fit", "centre"),  # older versions had no other fit
        mean=tuple(description["mean"]),
        std=tuple(description["std"]),
        facts=description["facts"],
        source=source,
        is_finetuned=description.get("is_finetuned", False),
        folder=folder,
    )


def _source(values: Mapping[str, Any]) -> EncoderSource:
    return EncoderSource(**{**values, "preprocessing": Preprocessing.from_dict(values["preprocessing"])})


def _describe_head(trained: Trained) -> dict[str, Any]:
    """Return the fields from which `_model_on_features` builds the same network."""
    model = trained.model
    adapter, head = tuple(model.head) if trained.is_finetuned else (model.encoder, model.head)  # type: ignore[arg-type]
    assert isinstance(adapter, Adapter)
    description: dict[str, Any] = {"adapter": adapter.kind, "hidden": adapter.hidden, "kind": "linear"}
    if isinstance(head, CosineClassifier):
        description |= {"kind": "cosine", "temperature": head.temperature}
    return description


def _model_on_features(source: EncoderSource, classes: int, head: Mapping[str, Any]) -> TaskModel:
    adapter = Adapter(source.width, head["adapter"], head["hidden"])
    if head["kind"] == "linear":
        return TaskModel(adapter, classes)
    return TaskModel(adapter, classes, head=CosineClassifier(source.width, classes, None, head["temperature"]))
