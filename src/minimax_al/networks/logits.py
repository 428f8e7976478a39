"""Last layers that keep their own precision under autocast.

The outputs of these layers rank the images. In bfloat16 a logit has eight significant bits, so thousands of images of a
large pool would tie; a last layer in float32 costs next to nothing and separates them.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MISSING_LOGIT = -1e4
"""Logit of a class that cannot be predicted: its probability is 0 in every precision, its logit finite."""


class LinearLogits(nn.Linear):
    """`nn.Linear`, computed in the dtype of its weight whether autocast is on or off."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Linear's name
        """Map (B, in_features) to logits (B, out_features)."""
        with autocast_off(input.device.type):
            return super().forward(input.to(self.weight.dtype))


class ConvLogits(nn.Conv2d):
    """A 1×1 convolution, computed in the dtype of its weight whether autocast is on or off."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel_size=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Conv2d's name
        """Map (B, in_channels, h, w) to logits (B, out_channels, h, w)."""
        with autocast_off(input.device.type):
            return super().forward(input.to(self.weight.dtype))


def autocast_off(device_type: str) -> AbstractContextManager[object]:
    """Return a context without autocast; one that does nothing where autocast is off already."""
    if torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


def upsample_logits(logits: Tensor, output_stride: int, size: tuple[int, int] | None = None) -> Tensor:
    """Return logits (B, K, h, w) upsampled bilinearly to (H, W), by default to (h, w) times the output stride."""
    height, width = logits.shape[2:]
    size = size or (output_stride * height, output_stride * width)
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
