"""Any timm model as an encoder (extra `timm`)."""

import difflib
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from minimax_al.errors import ConfigurationError, MissingDependencyError, ShapeError
from minimax_al.networks.encoder import Encoder
from minimax_al.vocabulary import Task

TIMM_PREFIX = "timm:"
_OUTPUT_STRIDE = 8


def timm_encoder(name: str, *, task: Task = "classification", pretrained: bool = False) -> Encoder:
    """Build a timm model without its classifier.

    Args:
        name: "timm:NAME", where NAME is timm's, with or without the tag of its weights.
        task: "classification" pools as the model does; "segmentation" takes its last feature map at output
            stride 8, for models that timm can dilate. A few of them round the map's size down, not up.
        pretrained: load the published weights, downloading them where they are not cached.

    Raises:
        MissingDependencyError: timm is not installed.
        ConfigurationError: timm has no such model or weights, or cannot give it output stride 8.
    """
    timm = _import_timm(name)
    model_name = name.removeprefix(TIMM_PREFIX)
    _check_known(timm, model_name)
    if task == "classification":
        network = _create(timm, model_name, pretrained=pretrained, num_classes=0)
        width = network.head_hidden_size or network.num_features
        return Encoder(name, {"timm": _TimmLayer(name, network)}, width)
    network = _create_dilated(timm, model_name, pretrained=pretrained)
    width = network.feature_info.channels()[-1]
    return Encoder(name, {"timm": _TimmLayer(name, network)}, width, output_stride=_OUTPUT_STRIDE)


class _TimmLayer(nn.Module):
    """A timm model whose complaint about an image's size becomes one sentence of ours."""

    def __init__(self, name: str, network: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Map images to features; a feature extractor returns a list, of which there is one."""
        try:
            features: Tensor | list[Tensor] = self.network(images)
        except AssertionError as error:  # transformers assert the size that they were built for
            height, width = images.shape[2:]
            raise ShapeError(
                f"encoder {self.name!r} cannot take images of {height}×{width} pixels ({error}): "
                f"set augmentation.input_size to the size that it was made for"
            ) from error
        return features[-1] if isinstance(features, list) else features


def _import_timm(name: str) -> ModuleType:
    try:
        import timm  # noqa: PLC0415 (an extra: imported where it is asked for)
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


def _create(timm: ModuleType, model_name: str, **settings: Any) -> Any:  # noqa: ANN401 (timm is untyped)
    try:
        return timm.create_model(model_name, **settings)
    except RuntimeError as error:
        raise ConfigurationError(f"timm cannot build model {model_name!r}: {error}") from error


def _create_dilated(timm: ModuleType, model_name: str, *, pretrained: bool) -> Any:  # noqa: ANN401
    refusal = ConfigurationError(
        f"timm cannot give model {model_name!r} output stride {_OUTPUT_STRIDE}: take a convolutional one, "
        f"such as 'timm:resnet50'"
    )
    settings = {"features_only": True, "out_indices": (-1,), "output_stride": _OUTPUT_STRIDE}
    try:
        network = _create(timm, model_name, pretrained=pretrained, **settings)
    except (TypeError, NotImplementedError, AssertionError) as error:
        raise refusal from error
    if network.feature_info.reduction()[-1] != _OUTPUT_STRIDE:
        raise refusal
    return network
