"""Second look at two images with close perceptual hashes: whether they are versions of one photograph.

A perceptual hash of 128 bits cannot see an object of a few pixels, nor colour. So two images count as the same only
if their pixels agree after the following steps:

1. *Alignment.* One image may be a small crop of the other. The crop rectangle is estimated by Gauss-Newton steps on
   the grey images, from coarse to fine (Lucas & Kanade 1981, with four parameters).
2. *Agreement.* Both are brought to the smaller size of the two. Every pixel of one must lie in the range that the
   other takes within one pixel around it, in luma and in chroma, up to a slack for lossy compression. Resizing,
   resampling and JPEG stay inside that range. An object that only one image shows does not.
3. *Noise.* Two exposures of one still scene have the same structure and independent sensor noise. They are different
   images; two encodings of one exposure share its noise.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minimax_al.data.decoding.decode import read_image, read_sized
from minimax_al.errors import UnreadableImageError

_COARSE = 256
"""Square root of the pixels to which both images are reduced for the first, cheap comparison."""
_MOST_PIXELS = 24_000_000
"""Pixels at which two images are compared at most; larger ones are reduced."""
_MOST_CROPPED = 0.06
"""Share of the width or height that a crop may cut from each side."""
_ALIGNMENT_SIZES = (32, 64, 128, 256)
_STEPS = 5
"""Gauss-Newton steps per size."""
_SETTLED_SIZE, _UNMOVED = 64, 0.2
"""From this size on, a box that has moved by fewer pixels than this is the whole image."""
_SLACK_LUMA, _SLACK_CHROMA = 12.0, 14.0
"""Grey levels by which the mean of a 3 x 3 window may leave the other image's range."""
_SLACK_CONTRAST = 0.15
"""Further slack, as a share of the contrast within four pixels: lossy compression errs most near edges."""
_BLOCK = 8
_LEAST_NOISE = 1.0
"""Standard deviation of noise, in grey levels, below which two noises are not compared."""
_SHARED_NOISE = 0.4
"""Correlation of the noise of two images of one exposure; of two exposures it is about 0."""

_Plane = NDArray[np.float32]
_Box = tuple[float, float, float, float]
_WHOLE: _Box = (0.0, 0.0, 1.0, 1.0)


class Reduced(NamedTuple):
    """Image that may be reduced.

    Attributes:
        image: Upright image in mode RGB.
        size: (width, height) of the full image.
    """

    image: Image.Image
    size: tuple[int, int]

    def full(self, path: Path | str) -> Image.Image:
        """Return the full image, which is read from `path` only if this one is reduced."""
        return self.image if self.image.size == self.size else read_image(path)


class _Match(NamedTuple):
    """Which part of one image shows all of the other.

    Attributes:
        box: Rectangle in the larger image, as fractions of its sides.
        second_is_larger: Whether the second image of the pair is the larger one.
    """

    box: _Box
    second_is_larger: bool


def read_reduced(path: Path | str) -> Reduced:
    """Return an image for the first comparison; a large JPEG file is decoded at reduced size.

    Args:
        path: Image file.

    Raises:
        UnreadableImageError: The file cannot be decoded.
    """
    return Reduced(*read_sized(path, shrink_to=_COARSE))


def shows_the_same(first: Path | str, second: Path | str, read: Callable[[Path | str], Reduced] = read_reduced) -> bool:
    """Return whether two image files are encodings, resizes or small crops of one photograph.

    Large JPEG files are decoded at reduced size first, which rejects most pairs of a fixed camera.

    Args:
        first: Image file.
        second: Other image file.
        read: Function that reads a reduced image, such as a cache of `read_reduced`.

    Returns:
        False also if a file cannot be read.
    """
    try:
        one, other = read(first), read(second)
        match = _match(one.image, other.image)
        return match is not None and _confirm(match, one.full(first), other.full(second))
    except UnreadableImageError:
        return False


def same_pixels(first: Image.Image, second: Image.Image) -> bool:
    """Return whether two images are encodings, resizes or small crops of one photograph.

    Args:
        first: Upright image in mode RGB.
        second: Other upright image in mode RGB.

    Example:
        >>> ramp = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (96, 1))
        >>> first = Image.fromarray(ramp).convert("RGB")
        >>> second = first.copy()
        >>> second.paste((255, 0, 0), (40, 40, 48, 48))
        >>> same_pixels(first, first.resize((64, 48))), same_pixels(first, second)
        (True, False)
    """
    match = _match(first, second)
    return match is not None and _confirm(match, first, second)


def _match(first: Image.Image, second: Image.Image) -> _Match | None:
    """Return the match of two images at reduced size, or None."""
    limit = _COARSE * _COARSE
    if _agree(first, _WHOLE, second, limit):
        return _Match(_WHOLE, second_is_larger=False)
    for larger, smaller, swapped in ((first, second, False), (second, first, True)):
        box = _crop_box(larger, smaller)
        # The whole image was compared before: either nothing is cropped, or the other image is the larger one.
        if box != _WHOLE and _agree(larger, box, smaller, limit):
            return _Match(box, swapped)
    return None


def _confirm(match: _Match, first: Image.Image, second: Image.Image) -> bool:
    """Return whether a match holds at full size, and the images are not two exposures of one still scene."""
    larger, smaller = (second, first) if match.second_is_larger else (first, second)
    if not _agree(larger, match.box, smaller, _MOST_PIXELS):
        return False
    return match.box != _WHOLE or not _separate_exposures(first, second)


def _agree(larger: Image.Image, box: _Box, smaller: Image.Image, most_pixels: int) -> bool:
    """Return whether the part `box` of one image shows the other, compared at the smaller size of the two."""
    cut = box[0] * larger.width, box[1] * larger.height, box[2] * larger.width, box[3] * larger.height
    width, height = min(cut[2] - cut[0], smaller.width), min(cut[3] - cut[1], smaller.height)
    shrink = min(1.0, (most_pixels / (width * height)) ** 0.5)
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    one, other = _resized(larger, size, cut), _resized(smaller, size)
    return not any(_leaves(a, b, slack) for a, b, slack in _planes(one, other))


def _resized(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """Return a part of an image at a size; a reduction averages, so that it does not alias."""
    if size == image.size and box in (None, (0.0, 0.0, *image.size)):
        return image
    return image.resize(size, Image.Resampling.BICUBIC, box=box)


def _planes(one: Image.Image, other: Image.Image) -> Iterator[tuple[_Plane, _Plane, float]]:
    """Yield luma at full size and chroma at half size, as JPEG stores it, each with its slack."""
    pairs = list(zip(one.convert("YCbCr").split(), other.convert("YCbCr").split(), strict=True))
    yield _plane(pairs[0][0]), _plane(pairs[0][1]), _SLACK_LUMA
    half = max(1, one.width // 2), max(1, one.height // 2)
    for a, b in pairs[1:]:
        yield _plane(a.resize(half, Image.Resampling.BOX)), _plane(b.resize(half, Image.Resampling.BOX)), _SLACK_CHROMA


def _plane(image: Image.Image) -> _Plane:
    return np.asarray(image, dtype=np.float32)


def _leaves(a: _Plane, b: _Plane, slack: float) -> bool:
    """Return whether one plane leaves the range that the other takes around the same pixel."""
    low_a, high_a, low_b, high_b = _lowest(a, 1), _highest(a, 1), _lowest(b, 1), _highest(b, 1)
    outside = np.maximum(np.maximum(a - high_b, low_b - a), np.maximum(b - high_a, low_a - b))
    outside = np.maximum(outside, 0)
    # Contrast of the flatter image: where one shows an object and the other shows none, the slack stays small.
    contrast = np.minimum(_highest(high_a, 3) - _lowest(low_a, 3), _highest(high_b, 3) - _lowest(low_b, 3))
    return bool((_mean_3x3(outside) > slack + _SLACK_CONTRAST * contrast).any())


def _highest(plane: _Plane, radius: int) -> _Plane:
    """Return the maximum over a square window, computed along one axis after the other."""
    for _ in range(2):  # along the rows, then, transposed, along the columns
        padded = np.pad(plane, ((radius, radius), (0, 0)), mode="edge")
        highest = padded[: len(plane)].copy()
        for start in range(1, 2 * radius + 1):
            np.maximum(highest, padded[start : start + len(plane)], out=highest)
        plane = highest.T
    return plane


def _lowest(plane: _Plane, radius: int) -> _Plane:
    return -_highest(-plane, radius)


def _mean_3x3(plane: _Plane) -> _Plane:
    padded = np.pad(plane, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9), dtype=np.float32)


def _separate_exposures(first: Image.Image, second: Image.Image) -> bool:
    """Return whether two images of equal size show one still scene with independent noise."""
    if first.size != second.size or min(first.size) < 4 * _BLOCK:
        return False
    a, b = _high_pass(_plane(first.convert("L"))), _high_pass(_plane(second.convert("L")))
    blocks_a, blocks_b = _blocks(a), _blocks(b)
    # Structure of the scene correlates in any two exposures, so only the flattest quarter of blocks is compared.
    energy = (blocks_a**2 + blocks_b**2).mean(axis=1)
    flat = np.argsort(energy)[: max(1, len(energy) // 4)]
    noise_a, noise_b = blocks_a[flat].ravel(), blocks_b[flat].ravel()
    spread_a, spread_b = float(noise_a.std()), float(noise_b.std())
    if min(spread_a, spread_b) < max(_LEAST_NOISE, 0.6 * max(spread_a, spread_b)):
        return False  # compression or resizing has removed the noise of one
    correlation = float((noise_a * noise_b).mean()) / (spread_a * spread_b)
    return correlation < _SHARED_NOISE


def _high_pass(plane: _Plane) -> _Plane:
    return plane - _mean_3x3(plane)


def _blocks(plane: _Plane) -> _Plane:
    """Return the pixels of whole 8 x 8 blocks, shape (blocks, 64)."""
    rows, columns = plane.shape[0] // _BLOCK, plane.shape[1] // _BLOCK
    cut = plane[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    return cut.transpose(0, 2, 1, 3).reshape(rows * columns, _BLOCK * _BLOCK)


class _Grid(NamedTuple):
    """Relative positions of the pixels of an aligned image, in [0, 1]."""

    u: _Plane
    v: _Plane


def _crop_box(larger: Image.Image, smaller: Image.Image) -> _Box:
    """Return the rectangle of one image that fits the other best, as fractions of its sides.

    The rectangle minimises the squared grey difference. Its sides move at most `_MOST_CROPPED` inwards.
    """
    box = np.array(_WHOLE)
    grey_larger, grey_smaller = larger.convert("L"), smaller.convert("L")
    for size in _ALIGNMENT_SIZES:
        if size > 2 * min(*smaller.size, *larger.size):
            break
        target = _plane(_resized(grey_smaller, (size, size)))
        # The larger image is reduced once; its part is then taken from the reduction, at about the target's scale.
        reduced = grey_larger.resize((size, size), Image.Resampling.BICUBIC)
        centres = (np.arange(size, dtype=np.float32) + 0.5) / size
        grid = _Grid(np.tile(centres, (size, 1)), np.tile(centres[:, None], (1, size)))
        for _ in range(_STEPS):
            box = _better_box(box, reduced, target, grid)
        if size >= _SETTLED_SIZE and np.abs(box - np.array(_WHOLE)).max() < _UNMOVED / size:
            return _WHOLE  # most pairs of a fixed camera end here
    return float(box[0]), float(box[1]), float(box[2]), float(box[3])


def _better_box(box: NDArray[np.float64], reduced: Image.Image, target: _Plane, grid: _Grid) -> NDArray[np.float64]:
    """Return the box after one Gauss-Newton step."""
    size = len(target)
    cut = tuple(float(value) * size for value in box)
    part = _plane(reduced.resize((size, size), Image.Resampling.BICUBIC, box=cut))  # type: ignore[arg-type]
    down, right = np.gradient(part)  # per pixel of the aligned grid
    # x = left + u (right - left): moving the left side shifts a pixel by 1 - u, moving the right side by u.
    across, along = right * size / (box[2] - box[0]), down * size / (box[3] - box[1])
    jacobian = np.stack([across * (1 - grid.u), along * (1 - grid.v), across * grid.u, along * grid.v], axis=-1)
    jacobian = jacobian.reshape(-1, 4).astype(np.float64)
    residual = (target - part).ravel().astype(np.float64)
    normal = jacobian.T @ jacobian + 1e-6 * np.eye(4)
    step = np.linalg.solve(normal, jacobian.T @ residual)
    inwards = np.array([0.0, 0.0, 1 - _MOST_CROPPED, 1 - _MOST_CROPPED])
    return np.asarray(np.clip(box + np.clip(step, -0.03, 0.03), inwards, inwards + _MOST_CROPPED))
