"""Augmentation of batches of images, on the images' device.

All random numbers come from an explicit CPU generator and are then moved, so that a CPU and a GPU make the same picks.
"""

from typing import Annotated, overload

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

from minimax_al.data.images.batches import Part
from minimax_al.data.images.images import check_pixels
from minimax_al.errors import ConfigurationError, ShapeError
from minimax_al.vocabulary import IGNORED


class Augmentation(BaseModel):
    """Settings of the changes to images before the encoder.

    Attributes:
        flip: Whether training mirrors each image left to right with probability 1/2.
        pad_crop: Number of black pixels that training pads every side with before it crops the original size at random.
        crop: Side of the square crop, at random in training and central in evaluation; None keeps the whole image.
        input_size: Side of the square that the batch is resized to at the end (bilinear, antialiased); None keeps the
            size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: bool = True
    pad_crop: Annotated[int, Field(ge=0)] = 0
    crop: Annotated[int, Field(ge=1)] | None = None
    input_size: Annotated[int, Field(ge=1)] | None = None


@overload
def augment(
    pixels: Tensor, settings: Augmentation, generator: torch.Generator, *, part: Part | None = None
) -> Tensor: ...
@overload
def augment(
    pixels: Tensor, settings: Augmentation, generator: torch.Generator, masks: Tensor, *, part: Part | None = None
) -> tuple[Tensor, Tensor]: ...
def augment(
    pixels: Tensor,
    settings: Augmentation,
    generator: torch.Generator,
    masks: Tensor | None = None,
    *,
    part: Part | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Return a batch for training: padded, cropped and mirrored at random, then resized.

    Args:
        pixels: Images, shape (B, 3, H, W), uint8.
        settings: Settings of the changes.
        generator: CPU generator of the draws.
        masks: Segmentation targets, shape (B, H, W), uint8, changed in the same way (255 outside of the image, nearest
            neighbour).
        part: Part of a batch that ranks share; the whole batch's numbers are drawn, so that all ranks' generators stay
            equal. By default the whole batch.

    Returns:
        (B, 3, H', W') uint8; with masks, the pair of these and (B, H', W') uint8.

    Raises:
        ShapeError: The pixels or masks have the wrong shape or dtype, or their number differs from the part's.
        ConfigurationError: The crop is larger than the image.
    """
    _check(pixels, masks)
    rows, columns = _draw_windows(pixels, settings, generator, part or Part(0, len(pixels), len(pixels)))
    augmented = _resize(_take(pixels, rows, columns, settings.pad_crop, fill=0), settings)
    if masks is None:
        return augmented
    targets = _take(masks[:, None], rows, columns, settings.pad_crop, fill=IGNORED)
    return augmented, _resize_masks(targets, settings)[:, 0]


def prepare(pixels: Tensor, settings: Augmentation) -> Tensor:
    """Return a batch for evaluation: the centre is cropped, then resized; nothing is random.

    Args:
        pixels: Images, shape (B, 3, H, W), uint8.
        settings: Settings of the changes; flips and padding are left out.

    Returns:
        (B, 3, H', W') uint8.

    Raises:
        ShapeError: Pixels have the wrong shape or dtype.
        ConfigurationError: The crop is larger than the image.
    """
    check_pixels(pixels)
    return _resize(_centre(pixels, settings), settings)


def prepare_masks(masks: Tensor, settings: Augmentation) -> Tensor:
    """Return segmentation targets cropped and resized as `prepare` does with their images.

    Args:
        masks: Segmentation targets, shape (B, H, W), uint8.
        settings: Settings of the changes; flips and padding are left out.

    Returns:
        (B, H', W') uint8.

    Raises:
        ShapeError: Masks have the wrong shape or dtype.
        ConfigurationError: The crop is larger than the mask.
    """
    if masks.ndim != 3 or masks.dtype != torch.uint8:
        raise ShapeError(f"masks must be (B, H, W) uint8, not {tuple(masks.shape)} {masks.dtype}")
    return _resize_masks(_centre(masks[:, None], settings), settings)[:, 0]


def normalise(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Return (pixels / 255 - mean) / std per channel.

    Args:
        pixels: Images, shape (B, 3, H, W), uint8.
        mean: Mean of each channel, in [0, 1] units.
        std: Standard deviation of each channel, in [0, 1] units, above 0.

    Returns:
        (B, 3, H, W) float32 on the device of `pixels`.
    """
    check_pixels(pixels)
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise ConfigurationError(f"mean={mean!r} and std={std!r} must be three numbers each, std above 0")
    # The dtype is explicit: double precision changes torch's default inside its forward passes. On CUDA the numbers are
    # copied without waiting for the device's queue, which `device=` here would do.
    factors = torch.tensor([[1 / (255 * s), -m / s] for m, s in zip(mean, std, strict=True)], dtype=torch.float32)
    scale, shift = factors.to(pixels.device, non_blocking=pixels.is_cuda).unbind(dim=1)
    # In place: twice as fast as the out-of-place forms, which allocate the batch again.
    return pixels.to(torch.float32).mul_(scale.view(3, 1, 1)).add_(shift.view(3, 1, 1))


def _check(pixels: Tensor, masks: Tensor | None) -> None:
    check_pixels(pixels)
    expected = (pixels.shape[0], *pixels.shape[2:])
    if masks is not None and (tuple(masks.shape) != expected or masks.dtype != torch.uint8):
        raise ShapeError(f"masks must be {expected} uint8 like their images, not {tuple(masks.shape)} {masks.dtype}")


def _crop_size(height: int, width: int, crop: int | None) -> tuple[int, int]:
    if crop is None:
        return height, width
    if crop > min(height, width):
        raise ConfigurationError(f"crop={crop} is larger than the images of {height} x {width} pixels")
    return crop, crop


def _draw_windows(
    pixels: Tensor, settings: Augmentation, generator: torch.Generator, part: Part
) -> tuple[Tensor | None, Tensor | None]:
    """Return rows (B, h) and columns (B, w) of the padded image that make the new one; None keeps them all."""
    height, width = pixels.shape[2:]
    if len(pixels) != part.stop - part.start:
        raise ShapeError(f"{len(pixels)} images cannot be {part} of their batch")
    new_height, new_width = _crop_size(height, width, settings.crop)
    spare_rows = height + 2 * settings.pad_crop - new_height
    spare_columns = width + 2 * settings.pad_crop - new_width
    cuts = settings.pad_crop > 0 or settings.crop is not None
    if not cuts and not settings.flip:
        return None, None
    count = part.whole
    top = torch.randint(spare_rows + 1, (count,), generator=generator)
    left = torch.randint(spare_columns + 1, (count,), generator=generator)
    flipped = torch.rand(count, generator=generator) < 0.5 if settings.flip else torch.zeros(count, dtype=torch.bool)
    drawn = torch.stack([top, left, flipped.long()], dim=1)
    top, left, mirrored = part.of(drawn).to(pixels.device, non_blocking=pixels.is_cuda).unbind(dim=1)
    columns = torch.arange(new_width, device=pixels.device).expand(len(pixels), new_width)
    columns = torch.where(mirrored[:, None] == 1, new_width - 1 - columns, columns) + left[:, None]
    rows = top[:, None] + torch.arange(new_height, device=pixels.device)
    return rows if cuts else None, columns


def _take(pixels: Tensor, rows: Tensor | None, columns: Tensor | None, padding: int, fill: int) -> Tensor:
    taken = F.pad(pixels, (padding,) * 4, value=fill) if padding else pixels
    if rows is not None:
        taken = taken.gather(2, rows[:, None, :, None].expand(-1, taken.shape[1], -1, taken.shape[3]))
    if columns is not None:
        taken = taken.gather(3, columns[:, None, None, :].expand(-1, *taken.shape[1:3], -1))
    return taken


def _centre(pixels: Tensor, settings: Augmentation) -> Tensor:
    height, width = pixels.shape[2:]
    new_height, new_width = _crop_size(height, width, settings.crop)
    top, left = (height - new_height) // 2, (width - new_width) // 2
    return pixels[:, :, top : top + new_height, left : left + new_width]


def _resize(pixels: Tensor, settings: Augmentation) -> Tensor:
    if settings.input_size is None:
        return pixels
    size = (settings.input_size, settings.input_size)
    # Through float32 on every device: uint8 resizing exists on some devices only and rounds in its own way
    # there.
    resized = F.interpolate(pixels.to(torch.float32), size, mode="bilinear", antialias=True)
    return resized.round_().clamp_(0, 255).to(torch.uint8)


def _resize_masks(masks: Tensor, settings: Augmentation) -> Tensor:
    if settings.input_size is None:
        return masks
    return F.interpolate(masks, (settings.input_size, settings.input_size), mode="nearest-exact")
