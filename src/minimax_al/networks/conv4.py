"""Small encoders for small images, tests and CPUs."""

from torch import Tensor, nn

from minimax_al.networks.convolution import convolution
from minimax_al.networks.encoder import Encoder

_DILATED_BLOCKS = ((2, 1), (2, 1), (2, 2), (1, 4))
"""Stride and dilation of the blocks of dconv4."""


def conv4(name: str = "conv4", *, width: int = 64) -> Encoder:
    """Build four blocks of 3×3 convolution, batch norm, ReLU and 2×2 max-pooling, then average a 2×2 grid.

    Pooling rounds up, and leaves alone what is 2 pixels high or wide, so images of any size fit: 32×32 shrinks
    to 16, 8, 4 and 2; 8×8 to 4 and 2. The grid of 2×2 keeps where things are: without it handwritten digits are
    told apart no better than by logistic regression on their pixels.

    Args:
        name: what the encoder calls itself.
        width: channels of every block; d is four times as many.
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
    """Build four blocks of 3×3 convolution, batch norm and ReLU for segmentation, with output stride 8.

    The first three blocks halve the image; the last two are dilated, by 2 and 4, to see further around.

    Args:
        name: what the encoder calls itself.
        width: channels of every block, and d.
    """
    layers: dict[str, nn.Module] = {}
    channels = 3
    for level, (stride, dilation) in enumerate(_DILATED_BLOCKS, start=1):
        layers[f"block{level}"] = convolution(channels, width, stride, dilation)
        channels = width
    return Encoder(name, layers, width, output_stride=8)


class _MaxPool(nn.MaxPool2d):
    """2×2 max-pooling of what is more than 2 pixels high and wide."""

    def __init__(self) -> None:
        super().__init__(kernel_size=2, ceil_mode=True)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the name that nn.MaxPool2d gives it)
        return super().forward(input) if min(input.shape[2:]) > 2 else input
