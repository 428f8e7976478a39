"""Dilated residual networks, the paper's encoders for segmentation.

Yu, Koltun and Funkhouser, "Dilated Residual Networks", CVPR 2017. Eight levels of 16, 32, 64, 128, 256, 512,
512 and 512 channels. Levels 2, 3 and 4 halve the image; levels 5 and 6 dilate their convolutions by 2 and 4
instead of striding, so the feature map keeps an eighth of the image's size; nothing is max-pooled. Levels 7
and 8, with dilation falling to 2 and 1, remove the grid that dilation leaves behind. Variant C has residual
blocks at levels 1 and 2 and blocks without shortcut at 7 and 8; variant D has plain convolutions at all four.
"""

from torch import Tensor, nn

from minimax_al.networks.convolution import convolution
from minimax_al.networks.encoder import Encoder

_CHANNELS = (16, 32, 64, 128, 256, 512, 512, 512)
_STRIDES = (1, 2, 2, 2, 1, 1, 1, 1)
_DILATIONS = (1, 1, 1, 1, 2, 4, 2, 1)
_PLAIN_LEVELS = (1, 2, 7, 8)
_SMOOTHING_LEVELS = (7, 8)

_VARIANTS = {
    "drn_c_26": ("C", (1, 1, 2, 2, 2, 2, 1, 1)),
    "drn_d_22": ("D", (1, 1, 2, 2, 2, 2, 1, 1)),
    "drn_d_38": ("D", (1, 1, 3, 4, 6, 3, 1, 1)),
}


def drn(name: str) -> Encoder:
    """Build the trunk of a dilated residual network.

    It maps (B, 3, H, W) to (B, 512, ⌈H/8⌉, ⌈W/8⌉).

    Args:
        name: One of "drn_d_22" (the paper's; 15,880,752 parameters), "drn_d_38" or "drn_c_26".

    Returns:
        Encoder whose children are `level0` (the 7×7 stem) to `level8`.
    """
    variant, depths = _VARIANTS[name]
    layers: dict[str, nn.Module] = {"level0": convolution(3, _CHANNELS[0], kernel_size=7)}
    width = _CHANNELS[0]
    levels = zip(_CHANNELS, _STRIDES, _DILATIONS, depths, strict=True)
    for level, (channels, stride, dilation, depth) in enumerate(levels, start=1):
        if variant == "D" and level in _PLAIN_LEVELS:
            block = convolution(width, channels, stride=stride, dilation=dilation)
        else:
            block = _residual_level(width, channels, depth, stride, dilation, shortcut=level not in _SMOOTHING_LEVELS)
        layers[f"level{level}"] = block
        width = channels
    return Encoder(name, layers, width, output_stride=8)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with batch norm; the input is added before the last ReLU if there is a shortcut.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Stride of the first convolution.
        dilation: Dilation of both convolutions.
        shortcut: Whether to add the input, projected by a 1×1 convolution where its shape differs.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        dilation: int = 1,
        *,
        shortcut: bool = True,
    ) -> None:
        super().__init__()
        self.first = convolution(in_channels, out_channels, stride, dilation)
        self.second = convolution(out_channels, out_channels, dilation=dilation)[:2]
        self.shortcut: nn.Module | None = None
        if shortcut:
            same = stride == 1 and in_channels == out_channels
            self.shortcut = nn.Identity() if same else _projection(in_channels, out_channels, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, h, w) to (B, out_channels, ⌈h/stride⌉, ⌈w/stride⌉)."""
        out: Tensor = self.second(self.first(x))
        if self.shortcut is not None:
            out = out + self.shortcut(x)
        result: Tensor = self.relu(out)
        return result


def _residual_level(
    in_channels: int, out_channels: int, depth: int, stride: int, dilation: int, *, shortcut: bool
) -> nn.Sequential:
    blocks = []
    for _ in range(depth):
        blocks.append(ResidualBlock(in_channels, out_channels, stride, dilation, shortcut=shortcut))
        in_channels, stride = out_channels, 1
    return nn.Sequential(*blocks)


def _projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )
