"""Small encoders for small images, tests and CPUs."""

from torch import Tensor, nn

from minimax_al.networks.convolution import convolution
from minimax_al.networks.encoder import Encoder

_DILATED_BLOCKS = ((2, 1), (2, 1), (2, 2), (1, 4))
"""Stride and dilation of the blocks of dconv4."""


def conv4(name: str = "conv4", *, width: int = 64) -> Encoder:
    """Build an encoder of four convolutional blocks for small images.

    A block is a 3×3 convolution, batch norm, ReLU and 2×2 max-pooling; a 2×2 grid of averages follows the last one.

    Pooling rounds up and skips maps that are 2 pixels high or wide, so images of any size fit: 32×32 shrinks to 16,
    8, 4 and 2; 8×8 to 4 and 2. The 2×2 grid keeps positions: without it, handwritten digits are classified no better
    than by logistic regression on their pixels.

    Args:
        name: Name of the encoder.
        width: Channels of every block; d is 4 × width.
    """
    layers: dict[str, nn.Module] = {}
    channels = 3
    for level in range(1, 5):
        block = convolution(channels, width)
        block.append(_MaxPool())
        layers[f"block{level}"] = block
        channels = width
    layers["pool"] = nn.AdaptiveAvgPool2d(2)
    layers["flatten"] = nn.Flatten()
    return Encoder(name, layers, 4 * width)


def dconv4(name: str = "dconv4", *, width: int = 64) -> Encoder:
    """Build an encoder of four convolutional blocks for segmentation, output stride 8.

    A block is a 3×3 convolution, batch norm and ReLU. The first three blocks halve the image; the last two are
    dilated, by 2 and 4, for a wider field of view.

    Args:
        name: Name of the encoder.
        width: Channels of every block, and d.
    """
    layers: dict[str, nn.Module] = {}
    channels = 3
    for level, (stride, dilation) in enumerate(_DILATED_BLOCKS, start=1):
        layers[f"block{level}"] = convolution(channels, width, stride, dilation)
        channels = width
    return Encoder(name, layers, width, output_stride=8)


class _MaxPool(nn.MaxPool2d):
    """2×2 max-pooling of maps that are more than 2 pixels high and wide."""

    def __init__(self) -> None:
        super().__init__(kernel_size=2, ceil_mode=True)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.MaxPool2d's name
        return super().forward(input) if min(input.shape[2:]) > 2 else input
