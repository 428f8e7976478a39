"""ResNets and VGG-16 in torchvision's layout, without their classifiers."""

from torch import nn
from torchvision import models

from minimax_al.errors import ConfigurationError
from minimax_al.networks.encoder import Encoder, Stem

_RESNET_LAYERS = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool")


def resnet(name: str, *, stem: Stem = "imagenet", pretrained: bool = False) -> Encoder:
    """Build a ResNet without its last layer.

    Args:
        name: "resnet18", "resnet34" or "resnet50".
        stem: "imagenet" (7×7 convolution of stride 2, then max-pooling), or "cifar" (3×3 of stride 1 and no
            pooling), which keeps sixteen times as many locations and is far better at 32×32.
        pretrained: load torchvision's ImageNet weights (downloads them where they are not cached).

    Raises:
        ConfigurationError: pretrained weights for the CIFAR stem, which there are none of.
    """
    if pretrained and stem == "cifar":
        raise ConfigurationError(f"pretrained weights of {name!r} are for stem='imagenet', not stem='cifar'")
    network = getattr(models, name)(weights="DEFAULT" if pretrained else None)
    layers = {key: getattr(network, key) for key in _RESNET_LAYERS}
    if stem == "cifar":
        layers["conv1"] = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
        del layers["maxpool"]
    return Encoder(name, layers | {"flatten": nn.Flatten()}, network.fc.in_features)


def vgg16_bn(name: str = "vgg16_bn", *, pretrained: bool = False) -> Encoder:
    """Build the convolutional part of VGG-16 with batch norm, pooled to 7×7 and flattened: 25,088 features.

    Below 32×32 pixels its five poolings leave nothing of an image.

    Args:
        name: what the encoder calls itself.
        pretrained: load torchvision's ImageNet weights (downloads them where they are not cached).
    """
    network = models.vgg16_bn(weights="DEFAULT" if pretrained else None)
    layers = {"features": network.features, "avgpool": network.avgpool, "flatten": nn.Flatten()}
    return Encoder(name, layers, 512 * 7 * 7, minimum_size=32)
