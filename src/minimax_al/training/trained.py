"""File format of a trained model M: weights, recipe, classes and preprocessing, for campaigns and benchmarks alike."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save

from minimax_al.data.decode import Fit
from minimax_al.durable import write_durably
from minimax_al.errors import CheckpointError, ConfigurationError
from minimax_al.networks import PixelTaskModel, TaskModel, build_encoder
from minimax_al.training import Recipe
from minimax_al.training.checkpoint import read_tensors

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
AnyTaskModel = TaskModel | PixelTaskModel


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

    @property
    def share(self) -> float:
        """Side of the square that the model sees, as a share of the square that an image becomes first."""
        return (self.recipe.augmentation.crop or self.stored_size) / self.stored_size

    @property
    def input_size(self) -> int:
        """Side of the square that the model sees, in pixels."""
        augmentation = self.recipe.augmentation
        return augmentation.input_size or augmentation.crop or self.stored_size


def save_trained(folder: Path, trained: Trained) -> None:
    """Write M and its description into a folder.

    Args:
        folder: Folder for `model.safetensors` and `model.json`.
        trained: Trained model.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in trained.model.state_dict().items()}
    content = save(weights)
    write_durably(folder / WEIGHTS, content)
    description = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "recipe": trained.recipe.model_dump(mode="json"),
        "task": trained.task,
        "class_names": list(trained.class_names),
        "stored_size": trained.stored_size,
        "fit": trained.fit,
        "mean": list(trained.mean),
        "std": list(trained.std),
        "facts": dict(trained.facts),
    }
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
        described = _described(description)
    except OSError as error:
        raise CheckpointError(f"the model in {str(folder)!r} cannot be read ({error}): train again") from error
    except (ValueError, KeyError, TypeError, ConfigurationError) as error:
        raise CheckpointError(
            f"{str(folder / DESCRIPTION)!r} describes no model that this version can build ({error}): train again"
        ) from error
    tensors, _ = read_tensors(folder / WEIGHTS)
    _check_weights(folder / WEIGHTS, description.get("sha256"))
    try:
        described.model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{str(folder / WEIGHTS)!r} holds another network's weights: {error}") from error
    return described


def _check_weights(path: Path, digest: str | None) -> None:
    """Raise CheckpointError if a file of weights has changed since it was written; older versions noted no digest."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if digest not in (None, found):
        raise CheckpointError(
            f"{str(path)!r} is damaged: its sha256 is {found[:12]}…, and {DESCRIPTION} has {str(digest)[:12]}…; "
            "restore it from a backup, or train again"
        )


def _described(description: Mapping[str, Any]) -> Trained:
    """Return the model of a description, before its weights are loaded."""
    recipe, class_names = Recipe.model_validate(description["recipe"]), tuple(description["class_names"])
    encoder = build_encoder(recipe.encoder, recipe.stem, task=description["task"], width=recipe.width)
    kind = PixelTaskModel if description["task"] == "segmentation" else TaskModel
    return Trained(
        model=kind(encoder, len(class_names)).eval(),
        recipe=recipe,
        task=description["task"],
        class_names=class_names,
        stored_size=description["stored_size"],
        fit=description.get("fit", "centre"),  # older versions had no other fit
        mean=tuple(description["mean"]),
        std=tuple(description["std"]),
        facts=description["facts"],
    )
