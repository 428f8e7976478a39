"""Parameter counts of the networks, for comparison with Appendix B of the paper."""

from typing import Literal

import torch
from torch import nn

from minimax_al.networks.cosine import CosineClassifier
from minimax_al.networks.discriminator import Discriminator
from minimax_al.networks.encoder import Stem
from minimax_al.networks.encoders import build_encoder, default_bottleneck
from minimax_al.networks.segmentation import PixelDiscriminator, PixelTaskModel
from minimax_al.networks.task_model import TaskModel
from minimax_al.vocabulary import Task

_PUBLISHED = {
    "resnet18": {"encoder": "11.18M", "classifier": "156.93K", "discriminator": "525.83K", "task_model": "11.23M"},
    "vgg16_bn": {"encoder": "14.72M", "classifier": "12.90M", "discriminator": "13.11M", "task_model": "17.23M"},
}
"""Appendix B, for CIFAR-100."""


def count_parameters(module: nn.Module) -> int:
    """Count the values of a network's parameters, trained or frozen.

    Running statistics are not parameters.

    Args:
        module: Network.

    Example:
        >>> count_parameters(nn.Linear(3, 2))
        8
    """
    return sum(parameter.numel() for parameter in module.parameters())


def describe(
    encoder: str,
    num_classes: int,
    *,
    task: Task = "classification",
    stem: Stem = "imagenet",
    width: int | None = None,
    bottleneck: int | Literal["default"] | None = "default",
) -> dict[str, int | None]:
    """Count the parameters of F, C, D and M for an encoder and a number of classes.

    The networks are built on the meta device: nothing is allocated.

    Args:
        encoder: Encoder name, as `build_encoder` accepts it.
        num_classes: Number of classes K.
        task: "classification" or "segmentation".
        stem: First layers of a ResNet.
        width: Channels of `conv4` and `dconv4`.
        bottleneck: Width of the cosine classifier's bottleneck; "default" is the encoder's.

    Returns:
        Parameters under "encoder", "classifier", "discriminator" and "task_model"; d under "out_features";
        the width of the classifier's bottleneck, or None, under "bottleneck".

    Raises:
        ConfigurationError: The encoder is unknown, or a setting does not suit it.

    Example:
        >>> describe("resnet18", num_classes=100)["classifier"]
        156928
    """
    if bottleneck == "default":
        bottleneck = default_bottleneck(encoder, task)
    with torch.device("meta"):
        backbone = build_encoder(encoder, stem, task=task, width=width)
        features = backbone.out_features
        networks: dict[str, nn.Module] = {"encoder": backbone}
        if task == "classification":
            networks["classifier"] = CosineClassifier(features, num_classes, bottleneck)
            networks["discriminator"] = Discriminator(features)
            networks["task_model"] = TaskModel(backbone, num_classes)
        else:
            networks["classifier"] = CosineClassifier(
                features, num_classes, bottleneck, output_stride=backbone.output_stride
            )
            networks["discriminator"] = PixelDiscriminator(features)
            networks["task_model"] = PixelTaskModel(backbone, num_classes)
    counts = {part: count_parameters(network) for part, network in networks.items()}
    return {**counts, "out_features": features, "bottleneck": bottleneck}


def published_counts(
    encoder: str, num_classes: int, *, task: Task = "classification", stem: Stem = "imagenet"
) -> dict[str, str]:
    """Return the counts that the paper prints for these networks (Appendix B).

    Args:
        encoder: Encoder name.
        num_classes: Number of classes K.
        task: "classification" or "segmentation".
        stem: First layers of a ResNet.

    Returns:
        Counts as printed, by network; empty where the paper prints none.

    Example:
        >>> published_counts("resnet18", num_classes=100)["discriminator"]
        '525.83K'
    """
    is_the_papers = (num_classes, task, stem) == (100, "classification", "imagenet")
    return dict(_PUBLISHED.get(encoder, {})) if is_the_papers else {}
