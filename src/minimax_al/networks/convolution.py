"""Convolution, batch norm and ReLU: the layer of the small and the dilated encoders."""

from torch import nn


def convolution(
    in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1, kernel_size: int = 3
) -> nn.Sequential:
    """Build a convolution with batch norm and ReLU that keeps the size up to its stride."""
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            bias=False,
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
