"""One file format of the trained model M, for campaigns, packages and benchmarks.

A safetensors file with the weights of M; its metadata holds the description, as JSON, from which the network is built
again. Campaigns and packages keep the file in a folder, next to `model.json`, which has the description for readers and
the checksum of the file. Files of older versions still open: a folder whose weights have no description, and a
benchmark's file in the layout of checkpoints.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from minimax_al.deployment.trained import ENCODER, GIVEN, EncoderSource, Trained
from minimax_al.durable import write_durably
from minimax_al.errors import CheckpointError, ConfigurationError
from minimax_al.networks import Adapter, CosineClassifier, PixelTaskModel, Preprocessing, TaskModel, build_encoder
from minimax_al.training.build import AnyTaskModel, cosine_task_model
from minimax_al.training.checkpoint import read_tensors
from minimax_al.training.recipe import Recipe

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
FORMAT = 2
"""Version of the description; 1 was that of benchmarks alone, and campaigns wrote none."""

_METADATA = "description"
_FORMER_PREFIX = "network/task_model/"
"""Start of the tensors' names in a benchmark's file of format 1."""


def save_model(path: Path, trained: Trained) -> str:
    """Write M and its description to one file, atomically; return the file's SHA-256.

    Args:
        path: File to write; its folder is made.
        trained: Trained model.
    """
    return _save_weights(path, trained.model, {_METADATA: json.dumps(describe(trained), ensure_ascii=False)})


def save_trained(folder: Path, trained: Trained, *, with_encoder: bool = False) -> None:
    """Write M into a folder, with its description as `model.json`.

    Args:
        folder: Folder for `model.safetensors` and `model.json`.
        trained: Trained model.
        with_encoder: Whether the pretrained encoder of a model on features is written, too, as a package needs it.
    """
    description = {"sha256": save_model(folder / WEIGHTS, trained), **describe(trained)}
    if with_encoder and trained.source is not None and not trained.is_finetuned:
        encoder = trained.image_model[0]  # type: ignore[index]
        description["encoder_sha256"] = _save_weights(folder / ENCODER, encoder)
    write_durably(folder / DESCRIPTION, json.dumps(description, indent=2, ensure_ascii=False).encode())


def load_model(path: Path) -> Trained:
    """Load M from a file of `save_model`, or from a folder of `save_trained`.

    Raises:
        CheckpointError: The file is missing or damaged, describes no model, or is of another version.
    """
    return load_trained(path) if path.is_dir() else _load_file(path)


def describe(trained: Trained) -> dict[str, Any]:
    """Return the description from which the network is built again, ready for JSON."""
    description = {
        "format": FORMAT,
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
    if trained.source is not None:
        source = {**asdict(trained.source), "preprocessing": trained.source.preprocessing.to_dict()}
        description |= {"source": source, "is_finetuned": trained.is_finetuned, "head": _describe_head(trained)}
    return description


def _load_file(path: Path) -> Trained:
    tensors, metadata = read_tensors(path, "give a campaign folder, a package, or a file round-N.model.safetensors")
    try:
        if _METADATA in metadata:
            description = json.loads(metadata[_METADATA])
        else:
            description = _of_first_format(json.loads(metadata["state"])["model"])
            tensors = {name.removeprefix(_FORMER_PREFIX): value for name, value in tensors.items()}
        trained = _described(description, None)
    except (ValueError, KeyError, TypeError, ConfigurationError) as error:
        raise CheckpointError(
            f"file {str(path)!r} describes no model that this version can build ({error!r}): train the model again, or "
            "use the version that wrote it"
        ) from error
    _load_weights(trained, tensors, path)
    return trained


def load_trained(folder: Path) -> Trained:
    """Load M from a folder of `save_trained`.

    Args:
        folder: Folder with `model.safetensors` and `model.json`.

    Raises:
        CheckpointError: The model is not there, its files are damaged or belong to another network, or it is of a
            version that this one cannot read.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_bytes())
        trained = _described(description, folder)
    except OSError as error:
        raise CheckpointError(f"the model in {str(folder)!r} cannot be read ({error}): train again") from error
    except (ValueError, KeyError, TypeError, ConfigurationError) as error:
        raise CheckpointError(
            f"{str(folder / DESCRIPTION)!r} describes no model that this version can build ({error}): train again"
        ) from error
    tensors, _ = read_tensors(folder / WEIGHTS, "restore it, or train again")
    _check_weights(folder / WEIGHTS, description.get("sha256"))
    _load_weights(trained, tensors, folder / WEIGHTS)
    return trained


def _load_weights(trained: Trained, tensors: Mapping[str, Tensor], path: Path) -> None:
    dtype = next((value.dtype for value in tensors.values() if value.is_floating_point()), torch.float32)
    try:
        trained.model.to(dtype).load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{str(path)!r} holds another network's weights: {error}") from error


def _save_weights(path: Path, network: nn.Module, metadata: dict[str, str] | None = None) -> str:
    """Write a network's weights; return the SHA-256 of the file."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    content = save(tensors, metadata)
    write_durably(path, content)
    return hashlib.sha256(content).hexdigest()


def _check_weights(path: Path, digest: str | None) -> None:
    """Refuse a file of weights that has changed since it was written.

    Args:
        path: File of weights.
        digest: SHA-256 in the description; None in folders of older versions, which are not checked.

    Raises:
        CheckpointError: The file has another SHA-256.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if digest not in (None, found):
        raise CheckpointError(
            f"{str(path)!r} is damaged: its sha256 is {found[:12]}…, and {DESCRIPTION} has {str(digest)[:12]}…; "
            "restore it from a backup, or train again"
        )


def _described(description: Mapping[str, Any], folder: Path | None) -> Trained:
    """Return the model of a description, before its weights are loaded."""
    if not isinstance(description, Mapping):
        raise TypeError("it is not a mapping")
    version = description.get("format", FORMAT)  # campaigns of older versions wrote none
    if version != FORMAT:
        raise ValueError(f"its format is {version!r}, this version reads {FORMAT}")
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


def _of_first_format(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of a benchmark's file of format 1 in the current format.

    That format recorded neither the size of the images nor the encoder of the features, so that the model runs on
    tensors but cannot read image files: `stored_size` is 0, and the features are given.
    """
    if description["format"] != 1:
        raise ValueError(f"its format is {description['format']!r}, this version reads {FORMAT} and 1")
    kept = ("recipe", "task", "class_names", "mean", "std")
    found = {"stored_size": 0, "facts": {}, **{name: description[name] for name in kept}}
    if description["sample"] == "images":
        is_cosine = description["head"]["kind"] == "cosine"
        return found | ({"cosine_temperature": description["head"]["temperature"]} if is_cosine else {})
    adapter = description["adapter"]
    source = EncoderSource(GIVEN, "a file of an older version", "", Preprocessing(), adapter["in_features"])
    hidden = description["recipe"]["features"]["adapter_hidden"]
    return found | {
        "source": {**asdict(source), "preprocessing": source.preprocessing.to_dict()},
        "head": {"adapter": adapter["kind"], "hidden": hidden, **description["head"]},
    }


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
