"""Strong random changes to batches of images, for trainings that ask for the same answer before and after them.

RandAugment (Cubuk, Zoph, Shlens, Le 2020) as FixMatch uses it (Sohn et al. 2020): two changes an image, drawn from
twelve, then a square cut out. Whole batches are changed at once on the device where they lie; what is drawn for one
image does not depend on the others. Unlike there, positions and shapes change before colours, whatever the order of
the draw, so that each image is resampled once.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from minimax_al.data.batches import Part
from minimax_al.data.images import check_pixels

CHANGES = (
    "rotate", "shear_x", "shear_y", "translate_x", "translate_y",
    "brightness", "contrast", "saturation", "sharpness",
    "posterise", "solarise", "identity",
)  # fmt: skip
"""What may happen to an image."""

CHANGES_PER_IMAGE = 2
LARGEST_ANGLE = math.radians(30)
LARGEST_SHEAR = 0.3
LARGEST_SHIFT = 0.3  # of the side
LARGEST_BLEND = 0.95  # of a colour change, about 1
FEWEST_LEVELS_BITS = 4
LARGEST_HOLE = 0.5  # of the side
GREY = 127 / 255


def strongly_augment(pixels: Tensor, generator: torch.Generator, *, part: Part | None = None) -> Tensor:
    """Two random changes an image, and a square hole.

    Args:
        pixels: (B, 3, H, W) uint8.
        generator: a CPU generator.
        part: which images of a batch that ranks share these are. Default all of it.

    Returns:
        (B, 3, H, W) uint8. What comes from outside the image is grey.

    Raises:
        ShapeError: pixels of the wrong shape or dtype.
    """
    check_pixels(pixels)
    part = part or Part(0, len(pixels), len(pixels))
    drawn = (part.of(numbers) for numbers in _draw(part.whole, generator))
    strengths, holes = (numbers.to(pixels.device, non_blocking=pixels.is_cuda) for numbers in drawn)
    by_name = dict(zip(CHANGES, strengths.unbind(dim=1), strict=True))
    x = warp(pixels.float() / 255, _matrices(by_name))
    x = brightness(x, 1 + LARGEST_BLEND * by_name["brightness"])
    x = contrast(x, 1 + LARGEST_BLEND * by_name["contrast"])
    x = saturation(x, 1 + LARGEST_BLEND * by_name["saturation"])
    x = sharpness(x, 1 + LARGEST_BLEND * by_name["sharpness"])
    x = posterise(x, 8 - (by_name["posterise"].abs() * (8 - FEWEST_LEVELS_BITS)).round())
    x = solarise(x, 1 - by_name["solarise"].abs())
    return (cut_out(x, *holes.unbind(dim=1)) * 255).round_().to(torch.uint8)


def _draw(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Strengths (count, changes) in [-1, 1], 0 where a change is not for the image; holes (count, 3) in [0, 1)."""
    chosen = torch.rand(count, len(CHANGES), generator=generator).argsort(dim=1) < CHANGES_PER_IMAGE
    strengths = torch.rand(count, len(CHANGES), generator=generator) * 2 - 1
    return strengths * chosen, torch.rand(count, 3, generator=generator)


def _matrices(strengths: dict[str, Tensor]) -> Tensor:
    """Where each output position is read, in coordinates from -1 to 1: (B, 2, 3)."""
    angle = LARGEST_ANGLE * strengths["rotate"]
    shear_x, shear_y = LARGEST_SHEAR * strengths["shear_x"], LARGEST_SHEAR * strengths["shear_y"]
    cos, sin = angle.cos(), angle.sin()
    first = torch.stack([cos - sin * shear_y, cos * shear_x - sin, 2 * LARGEST_SHIFT * strengths["translate_x"]], 1)
    second = torch.stack([sin + cos * shear_y, sin * shear_x + cos, 2 * LARGEST_SHIFT * strengths["translate_y"]], 1)
    return torch.stack([first, second], dim=1)


def warp(x: Tensor, matrices: Tensor) -> Tensor:
    """Images (B, C, H, W) read at affinely moved places, bilinearly; grey where they come from outside.

    Args:
        x: in [0, 1].
        matrices: (B, 2, 3), from output to input coordinates, both from -1 to 1.
    """
    grid = F.affine_grid(matrices, list(x.shape), align_corners=False)
    return (F.grid_sample(x - GREY, grid, align_corners=False) + GREY).clamp_(0, 1)


def brightness(x: Tensor, factors: Tensor) -> Tensor:
    """Times a factor an image (B,); 0 is black."""
    return _blend(x, torch.zeros_like(x), factors)


def contrast(x: Tensor, factors: Tensor) -> Tensor:
    """Away from the image's mean grey by a factor (B,); 0 is that grey everywhere."""
    return _blend(x, _luma(x).mean(dim=(1, 2, 3), keepdim=True), factors)


def saturation(x: Tensor, factors: Tensor) -> Tensor:
    """Away from each pixel's grey by a factor (B,); 0 has no colour."""
    return _blend(x, _luma(x), factors)


def sharpness(x: Tensor, factors: Tensor) -> Tensor:
    """Away from a blurred image by a factor (B,); 0 is blurred. The border stays."""
    kernel = _constant([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]], x) / 13
    blurred = x.clone()
    if min(x.shape[2:]) > 2:
        blurred[:, :, 1:-1, 1:-1] = F.conv2d(x, kernel.expand(x.shape[1], 1, 3, 3), groups=x.shape[1])
    return _blend(x, blurred, factors)


def posterise(x: Tensor, bits: Tensor) -> Tensor:
    """Only the highest bits (B,) of every byte."""
    step = (2 ** (8 - bits)).view(-1, 1, 1, 1)
    return ((x * 255).round() / step).floor() * step / 255


def solarise(x: Tensor, thresholds: Tensor) -> Tensor:
    """Inverts what is above a threshold (B,); 1 inverts nothing."""
    return torch.where(x > thresholds.view(-1, 1, 1, 1), 1 - x, x)


def cut_out(x: Tensor, sizes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """A grey square at a place, cut at the border.

    Args:
        x: (B, C, H, W) in [0, 1].
        sizes: of the square's side, in [0, 1) of the largest that there is (B,).
        rows: of its centre, in [0, 1) (B,).
        columns: likewise (B,).
    """
    height, width = x.shape[2:]
    half = (sizes * LARGEST_HOLE / 2).view(-1, 1)
    centres = (torch.arange(size, device=x.device).add(0.5).div(size) for size in (height, width))
    near_row, near_column = (
        (centre - place.view(-1, 1)).abs() < half for centre, place in zip(centres, (rows, columns), strict=True)
    )
    return torch.where(near_row[:, None, :, None] & near_column[:, None, None, :], GREY, x)


def _blend(x: Tensor, other: Tensor, factors: Tensor) -> Tensor:
    return (other + factors.view(-1, 1, 1, 1) * (x - other)).clamp_(0, 1)


def _luma(x: Tensor) -> Tensor:
    weights = _constant([0.2989, 0.587, 0.114], x)
    return (x * weights.view(3, 1, 1)).sum(dim=1, keepdim=True)


def _constant(numbers: Sequence[object], like: Tensor) -> Tensor:
    """Numbers beside a tensor, sent to CUDA without waiting for what it has still to do, as `device=` would."""
    return torch.tensor(numbers, dtype=like.dtype).to(like.device, non_blocking=like.is_cuda)
