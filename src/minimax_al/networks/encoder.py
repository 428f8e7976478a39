"""What every encoder has in common, F of the paper."""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from minimax_al.errors import ShapeError

Stem = Literal["imagenet", "cifar"]


class Encoder(nn.Module):
    """A backbone without its classifier: named layers, one after the other.

    Layers keep the names of the libraries that they come from, so that weights of a torchvision model load by
    name.

    Args:
        name: the encoder's name in the registry.
        layers: the layers in order, by name.
        out_features: d, the width of what the last one returns.
        minimum_size: the smallest height and width, in pixels, that the layers can take.
        output_stride: pixels of the image per step of the feature map; None for one vector an image.
    """

    def __init__(
        self,
        name: str,
        layers: Mapping[str, nn.Module],
        out_features: int,
        *,
        minimum_size: int = 1,
        output_stride: int | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.out_features = out_features
        self.minimum_size = minimum_size
        self.output_stride = output_stride
        for key, layer in layers.items():
            self.add_module(key, layer)

    def forward(self, images: Tensor) -> Tensor:
        """Map images to features.

        Args:
            images: (B, 3, H, W), floating point, normalised.

        Returns:
            (B, d); or (B, d, h, w) if `output_stride` is set, with h = ⌈H / output_stride⌉ and w alike.

        Raises:
            ShapeError: `images` are not (B, 3, H, W), not floating point, or too small.
        """
        self._check(images)
        x = images
        for layer in self.children():
            x = layer(x)
        return x

    def extra_repr(self) -> str:
        """The settings, for `print(encoder)`."""
        return f"name={self.name!r}, out_features={self.out_features}, output_stride={self.output_stride}"

    def _check(self, images: Tensor) -> None:
        if images.ndim != 4 or images.shape[1] != 3:
            raise ShapeError(f"images have shape {tuple(images.shape)}: encoders take (B, 3, height, width)")
        if not images.is_floating_point():
            raise ShapeError(f"images are {images.dtype}: encoders take normalised floating point images")
        height, width = images.shape[2:]
        if min(height, width) < self.minimum_size:
            raise ShapeError(
                f"images of {height}×{width} pixels are too small for encoder {self.name!r}, which needs "
                f"{self.minimum_size}×{self.minimum_size}: set augmentation.input_size={self.minimum_size} or more "
                f"to upsample them, or take encoder 'conv4'"
            )
