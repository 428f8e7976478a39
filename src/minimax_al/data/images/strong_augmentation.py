"""Strong augmentation of batches of images, for consistency training.

RandAugment (Cubuk, Zoph, Shlens, Le 2020) as FixMatch uses it (Sohn et al. 2020): two changes per image, drawn from
twelve, then a square is cut out. Whole batches are changed at once on their device; the draw of one image does not
depend on the others. Unlike there, geometry changes before colours, whatever the order of the draw, so that each image
is resampled once.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from minimax_al.data.images.batches import Part
from minimax_al.data.images.images import check_pixels

CHANGES = (
    "rotate", "shear_x", "shear_y", "translate_x", "translate_y",
    "brightness", "contrast", "saturation", "sharpness",
    "posterise", "solarise", "identity",
)  # fmt: skip
"""Names of the changes."""

CHANGES_PER_IMAGE = 2
LARGEST_ANGLE = math.radians(30)
LARGEST_SHEAR = 0.3
LARGEST_SHIFT = 0.3  # of the side
LARGEST_BLEND = 0.95  # of a colour change, about 1
FEWEST_LEVELS_BITS = 4
LARGEST_HOLE = 0.5  # of the side
GREY = 127 / 255


def strongly_augment(pixels: Tensor, generator: torch.Generator, *, part: Part | None = None) -> Tensor:
    """Return images with two random changes each, and a square hole.

    Args:
        pixels: Images, shape (B, 3, H, W), uint8.
        generator: CPU generator of the draws.
        part: Part of a batch that ranks share; by default the whole batch.

    Returns:
        Images, shape (B, 3, H, W), uint8, grey where pixels are from outside of the image.

    Raises:
        ShapeError: Pixels have the wrong shape or dtype.
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
    """Return strengths (count, changes) in [-1, 1], 0 where a change is not drawn, and holes (count, 3) in [0, 1)."""
    chosen = torch.rand(count, len(CHANGES), generator=generator).argsort(dim=1) < CHANGES_PER_IMAGE
    strengths = torch.rand(count, len(CHANGES), generator=generator) * 2 - 1
    return strengths * chosen, torch.rand(count, 3, generator=generator)


def _matrices(strengths: dict[str, Tensor]) -> Tensor:
    """Return affine maps from output to input coordinates, both from -1 to 1, shape (B, 2, 3)."""
    angle = LARGEST_ANGLE * strengths["rotate"]
    shear_x, shear_y = LARGEST_SHEAR * strengths["shear_x"], LARGEST_SHEAR * strengths["shear_y"]
    cos, sin = angle.cos(), angle.sin()
    first = torch.stack([cos - sin * shear_y, cos * shear_x - sin, 2 * LARGEST_SHIFT * strengths["translate_x"]], 1)
    second = torch.stack([sin + cos * shear_y, sin * shear_x + cos, 2 * LARGEST_SHIFT * strengths["translate_y"]], 1)
    return torch.stack([first, second], dim=1)


def warp(x: Tensor, matrices: Tensor) -> Tensor:
    """Return images under affine maps, sampled bilinearly; grey outside of the image.

    Args:
        x: Images, shape (B, C, H, W), in [0, 1].
        matrices: Maps from output to input coordinates, both from -1 to 1, shape (B, 2, 3).
    """
    grid = F.affine_grid(matrices, list(x.shape), align_corners=False)
    return (F.grid_sample(x - GREY, grid, align_corners=False) + GREY).clamp_(0, 1)


def brightness(x: Tensor, factors: Tensor) -> Tensor:
    """Scale each image by its factor (B,); 0 is black."""
    return _blend(x, torch.zeros_like(x), factors)


def contrast(x: Tensor, factors: Tensor) -> Tensor:
    """Scale each image's distance from its mean grey by a factor (B,); 0 is that grey everywhere."""
    return _blend(x, _luma(x).mean(dim=(1, 2, 3), keepdim=True), factors)


def saturation(x: Tensor, factors: Tensor) -> Tensor:
    """Scale each pixel's distance from its grey by a factor (B,); 0 has no colour."""
    return _blend(x, _luma(x), factors)


def sharpness(x: Tensor, factors: Tensor) -> Tensor:
    """Scale each image's distance from its blurred copy by a factor (B,); the border stays."""
    kernel = _constant([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]], x) / 13
    blurred = x.clone()
    if min(x.shape[2:]) > 2:
        blurred[:, :, 1:-1, 1:-1] = F.conv2d(x, kernel.expand(x.shape[1], 1, 3, 3), groups=x.shape[1])
    return _blend(x, blurred, factors)


def posterise(x: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits (B,) of every byte."""
    step = (2 ** (8 - bits)).view(-1, 1, 1, 1)
    return ((x * 255).round() / step).floor() * step / 255


def solarise(x: Tensor, thresholds: Tensor) -> Tensor:
    """Invert values above a threshold (B,); 1 inverts nothing."""
    return torch.where(x > thresholds.view(-1, 1, 1, 1), 1 - x, x)


def cut_out(x: Tensor, sizes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Fill a square of each image with grey, cut at the border.

    Args:
        x: Images, shape (B, C, H, W), in [0, 1].
        sizes: Side of each square as a share of the largest side, in [0, 1), shape (B,).
        rows: Row of each centre as a share of the height, in [0, 1), shape (B,).
        columns: Column of each centre as a share of the width, in [0, 1), shape (B,).
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
    """Return numbers on the device of `like`, copied to CUDA without waiting for its queue, unlike `device=`."""
    return torch.tensor(numbers, dtype=like.dtype).to(like.device, non_blocking=like.is_cuda)
