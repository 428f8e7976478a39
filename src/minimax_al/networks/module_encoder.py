"""Any `nn.Module` as an encoder: of torchvision, of Hugging Face, or of your own."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from minimax_al.errors import ConfigurationError
from minimax_al.networks.checks import check_positive
from minimax_al.networks.encoder import Encoder
from minimax_al.networks.preprocessing import Preprocessing

FeaturesOf = Callable[[Any], Tensor]
"""Output of a module → features (B, d), or (B, d, h, w) for segmentation."""


class ModuleEncoder(Encoder):
    """Encoder that is one module of any library.

    Attributes:
        preprocessing: Preprocessing that the module's weights expect; None if it is not known.
    """

    preprocessing: Preprocessing | None = None


def module_encoder(
    name: str,
    module: nn.Module,
    *,
    preprocessing: Preprocessing | None = None,
    features: FeaturesOf | None = None,
    minimum_size: int = 1,
    output_stride: int | None = None,
) -> ModuleEncoder:
    """Make an encoder of a module that maps images to features.

    The width of the features comes from one pass over an image of the preprocessing's size.

    Args:
        name: Encoder name.
        module: Network from normalised images (B, 3, H, W) to features; its classifier is removed or replaced by
            `nn.Identity`.
        preprocessing: Preprocessing that its weights expect, for features of whole images.
        features: Function from the module's output to features. By default the output is a tensor (B, d); or (B, d, h,
            w), of which the mean over locations counts in classification; or has a field `pooler_output`, as the models
            of Hugging Face.
        minimum_size: Smallest height and width of an image, in pixels.
        output_stride: Pixels per step of a feature map, for segmentation; None for one vector per image.

    Raises:
        ConfigurationError: The module cannot read an image of that size, or its output is not made of such features.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> module_encoder("mine", network, preprocessing=Preprocessing(size=32)).out_features
        5
    """
    check_positive(minimum_size=minimum_size, output_stride=1 if output_stride is None else output_stride)
    layer = _ModuleLayer(name, module, features, spatial=output_stride is not None)
    size = max(minimum_size, preprocessing.size if preprocessing else 224)
    encoder = ModuleEncoder(
        name, {"module": layer}, _width(layer, size), minimum_size=minimum_size, output_stride=output_stride
    )
    encoder.preprocessing = preprocessing
    return encoder


class _ModuleLayer(nn.Module):
    """Module whose output becomes features."""

    def __init__(self, name: str, module: nn.Module, features: FeaturesOf | None, *, spatial: bool) -> None:
        super().__init__()
        self.name, self.module, self.features, self.spatial = name, module, features, spatial

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to features (B, d) or (B, d, h, w)."""
        output = self.module(images)
        found = _pooled(output) if self.features is None else self.features(output)
        wanted = 4 if self.spatial else 2
        if isinstance(found, Tensor) and found.ndim == 4 and not self.spatial:
            found = found.mean(dim=(2, 3))
        if not isinstance(found, Tensor) or found.ndim != wanted:
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            expected = "(B, d, h, w)" if self.spatial else "(B, d)"
            raise ConfigurationError(
                f"the module of encoder {self.name!r} returned {shape}, not features {expected}: give `features`, a "
                "function from its output to them, such as lambda output: output.last_hidden_state[:, 0]"
            )
        return found


def _pooled(output: object) -> object:
    pooled = output.get("pooler_output") if isinstance(output, dict) else getattr(output, "pooler_output", None)
    return output if pooled is None else pooled


def _width(layer: _ModuleLayer, size: int) -> int:
    """Return the number of features of an image of this size, without changing the module."""
    training = {part: part.training for part in layer.modules()}
    layer.eval()
    parameter = next(layer.parameters(), None)
    image = torch.zeros(1, 3, size, size) if parameter is None else parameter.new_zeros(1, 3, size, size)
    try:
        with torch.no_grad():
            return int(layer(image).shape[1])
    except (RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigurationError(
            f"the module of encoder {layer.name!r} cannot read an image of {size}×{size} pixels ({first}): give the "
            "preprocessing that it expects, with its size"
        ) from error
    finally:
        for part, mode in training.items():
            part.training = mode
