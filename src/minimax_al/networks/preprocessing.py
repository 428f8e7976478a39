"""Preprocessing of a pretrained encoder: size, crop, interpolation, mean and standard deviation.

Pretrained weights expect the pixels that they were trained on, never the statistics of the user's data set. The same
object serves extraction, prediction and packages, so that all of them see the same pixels. Its reference is

    torchvision.transforms.Resize(short_side, interpolation)  →  CenterCrop(size)  →  ToTensor  →  Normalize(mean, std)

on a PIL image, to the last bit; timm's evaluation transform is the same chain.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from torch import Tensor

from minimax_al.errors import invalid_setting

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_ROUNDING = 1e-6
"""Slack for crop fractions that are quotients of whole numbers, such as 224 / 232."""

Channel = Annotated[float, Field(allow_inf_nan=False)]
Spread = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Preprocessing(BaseModel):
    """Image to network input: resize, centre crop, normalisation.

    Attributes:
        size: Side of the square that the encoder sees, in pixels.
        crop: Fraction of the resized short side that the centre crop keeps, in (0, 1].
        interpolation: Resampling filter, antialiased.
        mean: Mean of red, green and blue, in [0, 1] units.
        std: Standard deviation of red, green and blue, in [0, 1] units.
        stretch: Whether the whole image is stretched to the square, instead of cropped.
        reduced_decoding: Whether large JPEGs are decoded at 1/2, 1/4 or 1/8 of their size; faster, other pixels.

    Example:
        >>> Preprocessing(size=224, crop=0.875).short_side
        256
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: PositiveInt = 224
    crop: Annotated[float, Field(gt=0, le=1)] = 0.875
    interpolation: Interpolation = "bilinear"
    mean: tuple[Channel, Channel, Channel] = (0.485, 0.456, 0.406)
    std: tuple[Spread, Spread, Spread] = (0.229, 0.224, 0.225)
    stretch: bool = False
    reduced_decoding: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "preprocessing") -> Self:
        """Build from the dictionary that `to_dict` returned.

        Args:
            values: Fields by name.
            where: Origin of the values, for the error message.

        Raises:
            ConfigurationError: A field is unknown or its value is not allowed.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise invalid_setting(error, cls, where) from error

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return self.model_dump(mode="json")

    @property
    def short_side(self) -> int:
        """Short side of the resized image before the crop, in pixels."""
        return math.floor(self.size / self.crop + _ROUNDING)

    @property
    def decoded_side(self) -> int | None:
        """Short side that reduced decoding must keep, in pixels; None decodes at full size."""
        return self.short_side if self.reduced_decoding else None

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the square of pixels that the encoder sees, shape (size, size, 3).

        Args:
            image: Upright image in mode RGB.
        """
        resampling = _RESAMPLING[self.interpolation]
        if self.stretch:
            return np.asarray(image.resize((self.size, self.size), resampling))
        resized = image.resize(_scaled(image.size, self.short_side), resampling)
        # Half pixels round to even, as torchvision's CenterCrop does.
        left, top = round((resized.width - self.size) / 2), round((resized.height - self.size) / 2)
        return np.asarray(resized.crop((left, top, left + self.size, top + self.size)))

    def normalise(self, pixels_NHWC: Tensor) -> Tensor:
        """Return the network's input, shape (N, 3, size, size) float32, channels last in memory.

        Args:
            pixels_NHWC: Squares of pixels, shape (N, size, size, 3) uint8.
        """
        mean = torch.tensor(self.mean, device=pixels_NHWC.device)
        std = torch.tensor(self.std, device=pixels_NHWC.device)
        # The permuted view of an (N, H, W, C) block is already channels last: no copy.
        return (pixels_NHWC.float().div_(255).sub_(mean).div_(std)).permute(0, 3, 1, 2)

    def tensor(self, image: Image.Image) -> Tensor:
        """Return one image as the network's input, shape (1, 3, size, size) float32.

        Args:
            image: Upright image in mode RGB.
        """
        return self.normalise(torch.from_numpy(self.pixels(image).copy())[None])


def _scaled(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """Return (width, height) with the given short side; the long side is rounded down, as torchvision does."""
    width, height = size
    if width <= height:
        return short_side, int(short_side * height / width)
    return int(short_side * width / height), short_side
