"""ResNets and VGG-16 in torchvision's layout, without their classifiers."""

from typing import Any

from torch import nn

from minimax_al.errors import ConfigurationError
from minimax_al.networks.encoder import Encoder, Stem

_RESNET_LAYERS = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool")


def resnet(name: str, *, stem: Stem = "imagenet", pretrained: bool = False) -> Encoder:
    """Build a ResNet without its last layer.

    Args:
        name: One of "resnet18", "resnet34" and "resnet50".
        stem: First layers: "imagenet" (7×7 convolution of stride 2, then max-pooling), or "cifar" (3×3 of stride 1
            without pooling), whose map is 16 times larger and which is far better at 32×32.
        pretrained: Whether to load torchvision's ImageNet weights, downloading them where they are not cached.

    Raises:
        ConfigurationError: Pretrained weights were requested for the CIFAR stem, and none are published.
    """
    if pretrained and stem == "cifar":
        raise ConfigurationError(f"pretrained weights of {name!r} are for stem='imagenet', not stem='cifar'")
    network = _build(name, pretrained=pretrained)
    layers = {key: getattr(network, key) for key in _RESNET_LAYERS}
    if stem == "cifar":
        layers["conv1"] = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
        del layers["maxpool"]
    return Encoder(name, layers | {"flatten": nn.Flatten()}, network.fc.in_features)


def vgg16_bn(name: str = "vgg16_bn", *, pretrained: bool = False) -> Encoder:
    """Build the convolutional part of VGG-16 with batch norm.

    Its output is pooled to 7×7 and flattened: 25,088 features. Images need at least 32×32 pixels for its five
    poolings.

    Args:
        name: Name of the encoder.
        pretrained: Whether to load torchvision's ImageNet weights, downloading them where they are not cached.
    """
    network = _build("vgg16_bn", pretrained=pretrained)
    layers = {"features": network.features, "avgpool": network.avgpool, "flatten": nn.Flatten()}
    return Encoder(name, layers, 512 * 7 * 7, minimum_size=32)


def _build(name: str, *, pretrained: bool) -> Any:  # noqa: ANN401 - one of several classes, each with its own layers
    from torchvision import models  # noqa: PLC0415 - its import takes longer than torch's

    return getattr(models, name)(weights="DEFAULT" if pretrained else None)
