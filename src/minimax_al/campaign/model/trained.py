"""A trained model M with all that is needed to use it: weights, recipe, classes, preprocessing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save

from minimax_al.data.decode import Fit
from minimax_al.durable import write_durably
from minimax_al.errors import CampaignError, CheckpointError, ConfigurationError
from minimax_al.networks import PixelTaskModel, TaskModel, build_encoder
from minimax_al.training import Recipe
from minimax_al.training.checkpoint import read_tensors

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
AnyTaskModel = TaskModel | PixelTaskModel


@dataclass(frozen=True)
class Trained:
    """A model that was trained in a campaign.

    Attributes:
        model: M, in evaluation mode.
        recipe: how it was built and how images are cut.
        task: "classification" or "segmentation".
        class_names: of its logits, in order.
        stored_size: side of the square that an image becomes first, in pixels.
        fit: how it becomes one: "centre" cuts out the middle, "stretch" keeps all.
        mean: of the images' channels, in [0, 1] units.
        std: of the images' channels.
        facts: run, strategy, labels, held_out, metrics, and per class the accuracy and how many labels.
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
        """Side of the square that the model sees, as a part of the square that an image becomes first."""
        return (self.recipe.augmentation.crop or self.stored_size) / self.stored_size

    @property
    def input_size(self) -> int:
        """Side of the square that the model sees, in pixels."""
        augmentation = self.recipe.augmentation
        return augmentation.input_size or augmentation.crop or self.stored_size


def save_trained(folder: Path, trained: Trained) -> None:
    """Writes M and its description into a folder."""
    weights = {name: value.detach().cpu().contiguous() for name, value in trained.model.state_dict().items()}
    write_durably(folder / WEIGHTS, save(weights))
    description = {
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
    """Reads what `save_trained` wrote.

    Raises:
        CampaignError: it is not there.
        CheckpointError: weights or description are damaged, or another network's, or of a version that is too old.
    """
    try:
        described = _described(json.loads((folder / DESCRIPTION).read_bytes()))
    except OSError as error:
        raise CampaignError(f"the model in {str(folder)!r} cannot be read ({error}): train again") from error
    except (ValueError, KeyError, TypeError, ConfigurationError) as error:
        raise CheckpointError(
            f"{str(folder / DESCRIPTION)!r} describes no model that this version can build ({error}): train again"
        ) from error
    tensors, _ = read_tensors(folder / WEIGHTS)
    try:
        described.model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{str(folder / WEIGHTS)!r} holds another network's weights: {error}") from error
    return described


def _described(description: Mapping[str, Any]) -> Trained:
    """The model of a description, its weights yet to come."""
    recipe, class_names = Recipe.model_validate(description["recipe"]), tuple(description["class_names"])
    encoder = build_encoder(recipe.encoder, recipe.stem, task=description["task"], width=recipe.width)
    kind = PixelTaskModel if description["task"] == "segmentation" else TaskModel
    return Trained(
        model=kind(encoder, len(class_names)).eval(),
        recipe=recipe,
        task=description["task"],
        class_names=class_names,
        stored_size=description["stored_size"],
        fit=description.get("fit", "centre"),  # older versions knew of nothing else
        mean=tuple(description["mean"]),
        std=tuple(description["std"]),
        facts=description["facts"],
    )
