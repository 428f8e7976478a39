"""The layer that the small and the dilated encoders are made of."""

from torch import nn


def convolution(
    in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1, kernel_size: int = 3
) -> nn.Sequential:
    """A convolution that keeps the size (up to its stride), batch norm and ReLU."""
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
