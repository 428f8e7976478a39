"""Any timm model as an encoder (extra `timm`)."""

import difflib
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from minimax_al.errors import ConfigurationError, MissingDependencyError, ShapeError
from minimax_al.networks.encoder import Encoder
from minimax_al.vocabulary import Task

TIMM_PREFIX = "timm:"
_OUTPUT_STRIDE = 8


def timm_encoder(
    name: str, *, task: Task = "classification", pretrained: bool = False, image_size: int | None = None
) -> Encoder:
    """Build a timm model without its classifier.

    Args:
        name: "timm:NAME", where NAME is timm's, with or without the tag of its weights.
        task: "classification" pools as the model does; "segmentation" returns its last feature map at output
            stride 8, for models that timm can dilate. A few of them round the map's size down, not up.
        pretrained: Whether to load the published weights, downloading them where they are not cached.
        image_size: Side of the images in pixels, for models that are built for one size.

    Raises:
        MissingDependencyError: timm is not installed.
        ConfigurationError: timm does not have the model or the weights, or cannot give it output stride 8.
    """
    timm = import_timm(name)
    model_name = name.removeprefix(TIMM_PREFIX)
    _check_known(timm, model_name)
    if task == "classification":
        sized = {"img_size": image_size} if image_size and _has_fixed_size(timm, model_name) else {}
        network = _create(timm, model_name, num_classes=0, **_start(timm, model_name, pretrained=pretrained), **sized)
        width = network.head_hidden_size or network.num_features
        return Encoder(name, {"timm": _TimmLayer(name, network)}, width)
    network = _create_dilated(timm, model_name, **_start(timm, model_name, pretrained=pretrained))
    width = network.feature_info.channels()[-1]
    return Encoder(name, {"timm": _TimmLayer(name, network)}, width, output_stride=_OUTPUT_STRIDE)


class _TimmLayer(nn.Module):
    """timm model that reports an unsuitable image size in one sentence."""

    def __init__(self, name: str, network: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Map images to features."""
        try:
            # A feature extractor returns a list of one map.
            features: Tensor | list[Tensor] = self.network(images)
        except AssertionError as error:  # transformers assert the size that they were built for
            height, width = images.shape[2:]
            raise ShapeError(
                f"encoder {self.name!r} cannot read images of {height}×{width} pixels ({error}): "
                f"set augmentation.input_size to the size that it was built for"
            ) from error
        return features[-1] if isinstance(features, list) else features


def import_timm(name: str) -> ModuleType:
    """Import timm for an encoder.

    Raises:
        MissingDependencyError: timm is not installed.
    """
    try:
        import timm  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingDependencyError("timm", "timm", f"encoder {name!r}") from error
    return timm


def _check_known(timm: ModuleType, model_name: str) -> None:
    if timm.is_model(model_name):
        return
    matches = difflib.get_close_matches(model_name, timm.list_models(), n=3)
    guess = f"; did you mean {' or '.join(map(repr, matches))}?" if matches else "."
    raise ConfigurationError(
        f"timm {timm.__version__} has no model {model_name!r}{guess} timm.list_models() names all of them"
    )


def _has_fixed_size(timm: ModuleType, model_name: str) -> bool:
    configuration = timm.get_pretrained_cfg(model_name)
    return configuration is not None and bool(configuration.fixed_input_size)


def _start(timm: ModuleType, model_name: str, *, pretrained: bool) -> dict[str, Any]:
    """Return timm's settings for the first weights: a cached file is read without asking the hub."""
    configuration = timm.get_pretrained_cfg(model_name) if pretrained else None
    cached = None if configuration is None else timm_cache(configuration)
    overlay = {"pretrained_cfg_overlay": {"file": str(cached)}} if cached else {}
    return {"pretrained": pretrained, **overlay}


def _create(timm: ModuleType, model_name: str, **settings: Any) -> Any:  # noqa: ANN401 (timm is untyped)
    try:
        return timm.create_model(model_name, **settings)
    except RuntimeError as error:
        raise ConfigurationError(f"timm cannot build model {model_name!r}: {error}") from error


def _create_dilated(timm: ModuleType, model_name: str, **start: Any) -> Any:  # noqa: ANN401
    refusal = ConfigurationError(
        f"timm cannot give model {model_name!r} output stride {_OUTPUT_STRIDE}: use a convolutional one, "
        f"such as 'timm:resnet50'"
    )
    settings = {"features_only": True, "out_indices": (-1,), "output_stride": _OUTPUT_STRIDE}
    try:
        network = _create(timm, model_name, **start, **settings)
    except (TypeError, NotImplementedError, AssertionError) as error:
        raise refusal from error
    if network.feature_info.reduction()[-1] != _OUTPUT_STRIDE:
        raise refusal
    return network


def timm_names(model_name: str) -> list[str]:
    """Return the names of all tensors of a timm model, classifier included, in timm's order.

    Raises:
        MissingDependencyError: timm is not installed.
    """
    timm = import_timm(f"{TIMM_PREFIX}{model_name}")
    with torch.device("meta"):
        return list(_create(timm, model_name).state_dict())


def timm_cache(configuration: Any) -> Path | None:  # noqa: ANN401 - timm is untyped
    """Return the file of a timm model's published weights in the caches of the hub or of torch, or None.

    Args:
        configuration: Model's entry in timm's table of published weights.
    """
    if not configuration.hf_hub_id:
        return torch_cache(configuration.url) if configuration.url else None
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - comes with timm

    for file in ("model.safetensors", "pytorch_model.bin"):
        cached = try_to_load_from_cache(configuration.hf_hub_id, file)
        if isinstance(cached, str):
            return Path(cached)
    return None


def torch_cache(address: str) -> Path | None:
    """Return the file that torch's cache holds for an address, or None."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(address).path).name
    return path if path.is_file() else None
