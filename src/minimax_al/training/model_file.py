"""One file format of the task model M: weights and the description from which the network is built again.

A safetensors file whose metadata holds the description as JSON. Benchmarks write it for every round, for networks on
images and for heads on features alike, so that a model that won a benchmark can be loaded and used.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minimax_al.data import Dataset, Features
from minimax_al.errors import CheckpointError, ConfigurationError
from minimax_al.networks import Adapter, CosineClassifier, PixelTaskModel, TaskModel, build_encoder
from minimax_al.training.build import AnyTaskModel, cosine_task_model
from minimax_al.training.checkpoint import read_checkpoint, save_checkpoint
from minimax_al.training.recipe import Recipe

FORMAT = 1
"""Version of the description."""


def describe_model(model: AnyTaskModel, dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
    """Return the description of a trained M, ready for JSON.

    Args:
        model: Task model.
        dataset: Data set that it was trained on.
        recipe: Recipe of its training.
    """
    head = getattr(model, "head", None)
    description: dict[str, Any] = {
        "format": FORMAT,
        "task": dataset.task,
        "class_names": list(dataset.class_names),
        "sample": dataset.sample,
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "recipe": recipe.model_dump(mode="json"),
        "head": (
            {"kind": "cosine", "temperature": head.temperature}
            if isinstance(head, CosineClassifier)
            else {"kind": "linear"}
        ),
    }
    if isinstance(dataset.train, Features):
        adapter = model.encoder
        assert isinstance(adapter, Adapter)
        description["adapter"] = {"in_features": adapter.out_features, "kind": adapter.kind}
    return description


def build_model(description: Mapping[str, Any]) -> AnyTaskModel:
    """Build M from its description, with weights still to be loaded.

    Raises:
        CheckpointError: The description is incomplete or of another version.
    """
    try:
        if description["format"] != FORMAT:
            raise CheckpointError(
                f"the model's description has format {description['format']!r}, this version reads {FORMAT}: "
                "train the model again, or install the version that wrote it"
            )
        recipe, classes = Recipe.model_validate(description["recipe"]), len(description["class_names"])
        if description["sample"] == "images":
            encoder = build_encoder(recipe.encoder, recipe.stem, task=description["task"], width=recipe.width)
            if description["head"]["kind"] == "cosine":
                return cosine_task_model(encoder, classes, description["head"]["temperature"])
            return (PixelTaskModel if description["task"] == "segmentation" else TaskModel)(encoder, classes)
        kept = description["adapter"]
        adapter = Adapter(kept["in_features"], kept["kind"], recipe.features.adapter_hidden)
        head = None
        if description["head"]["kind"] == "cosine":
            head = CosineClassifier(adapter.out_features, classes, None, description["head"]["temperature"])
        return TaskModel(adapter, classes, head=head)
    except (KeyError, TypeError, ValueError, ConfigurationError) as error:
        raise CheckpointError(f"the model's description cannot be used ({error!r}): train the model again") from error


def save_model(path: Path, model: AnyTaskModel, dataset: Dataset, recipe: Recipe) -> None:
    """Write M and its description to one file, atomically."""
    save_checkpoint(path, {"task_model": model}, state={"model": describe_model(model, dataset, recipe)})


def load_model(path: Path) -> tuple[AnyTaskModel, dict[str, Any]]:
    """Read a file of `save_model`.

    Returns:
        M in evaluation mode, and its description.

    Raises:
        CheckpointError: The file is damaged, or holds no described model.
    """
    checkpoint = read_checkpoint(path)
    description = checkpoint.state.get("model")
    if not isinstance(description, dict):
        raise CheckpointError(f"file {str(path)!r} does not describe its model: it was written by an older version")
    model = build_model(description)
    tensors = [value for key, value in checkpoint.tensors.items() if key.startswith("network/")]
    if tensors and tensors[0].is_floating_point():
        model = model.to(tensors[0].dtype)
    checkpoint.restore({"task_model": model})
    return model.eval(), description
