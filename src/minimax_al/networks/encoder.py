"""Interface of all encoders, F of the paper."""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from minimax_al.errors import ShapeError

Stem = Literal["imagenet", "cifar"]


class Encoder(nn.Module):
    """Backbone without its classifier: a sequence of named layers.

    Layers keep the names of their library, so that weights of a torchvision model load by name.

    Args:
        name: Encoder name in the registry.
        layers: Layers in order, by name.
        out_features: Width d of the last layer's output.
        minimum_size: Smallest height and width of an image, in pixels.
        output_stride: Pixels of the image per step of the feature map; None for one vector per image.
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
            images: Normalised images, shape (B, 3, H, W), any float dtype.

        Returns:
            Features, shape (B, d); or (B, d, ⌈H / output_stride⌉, ⌈W / output_stride⌉) if `output_stride` is set.

        Raises:
            ShapeError: `images` are not (B, 3, H, W), not floating point, or too small.
        """
        self._check(images)
        x = images
        for layer in self.children():
            x = layer(x)
        return x

    def extra_repr(self) -> str:
        """Return the settings for `print(encoder)`."""
        return f"name={self.name!r}, out_features={self.out_features}, output_stride={self.output_stride}"

    def _check(self, images: Tensor) -> None:
        if images.ndim != 4 or images.shape[1] != 3:
            raise ShapeError(f"images have shape {tuple(images.shape)}: encoders accept (B, 3, height, width)")
        if not images.is_floating_point():
            raise ShapeError(f"images are {images.dtype}: encoders accept normalised floating point images")
        height, width = images.shape[2:]
        if min(height, width) < self.minimum_size:
            raise ShapeError(
                f"images of {height}×{width} pixels are too small for encoder {self.name!r}, which needs "
                f"{self.minimum_size}×{self.minimum_size}: set augmentation.input_size={self.minimum_size} or more "
                f"to upsample them, or use encoder 'conv4'"
            )
