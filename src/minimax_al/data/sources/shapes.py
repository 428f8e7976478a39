"""Source of circles, squares and triangles on textured ground, drawn from a seed: a segmentation set without files.

Choosing matters in it: two images of five show little or nothing, and triangles are rare.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from minimax_al.data.datasets.dataset import Dataset, image_statistics
from minimax_al.data.images.images import ResidentImages
from minimax_al.errors import ConfigurationError

CLASSES = ("background", "circle", "square", "triangle")
SHARES = (0.55, 0.35, 0.10)
"""Probability of a circle, a square and a triangle."""
HOW_MANY = (0.15, 0.45, 0.25, 0.15)
"""Probability of an image with no shape, one, two and three."""
RADII = (0.22, 0.38)
"""Smallest and largest radius of a shape, a square's distance from middle to corner, as a share of the side."""
HUES = (0.0, 1 / 3, 2 / 3)
"""Mean hue of circles, squares and triangles, as a share of the colour circle: red, green, blue."""
HUE_SPREAD = 0.07
"""Standard deviation of the hue; some shapes have the colour of another kind."""
NOISE = 20.0
"""Standard deviation of the noise of single pixels, in grey levels."""

_SMALLEST = 16
_STRIPES = ((0, math.pi), (1, 8), (0, 2 * math.pi))
"""Ranges of the stripes' direction, number and phase."""


def load(*, size: int = 48, train: int = 400, test: int = 100, seed: int = 0) -> Dataset:
    """Draw training and test images; each is a function of the arguments.

    Args:
        size: Height and width, in pixels.
        train: Number of training images.
        test: Number of test images.
        seed: Seed of all draws.

    Raises:
        ConfigurationError: The size is too small to draw in, or no image is requested.
    """
    if size < _SMALLEST or train < 1 or test < 0:
        raise ConfigurationError(
            f"size={size!r}, train={train!r}, test={test!r}: shapes need {_SMALLEST} pixels, and training an image"
        )
    parts = {}
    for number, (part, count) in enumerate((("train", train), ("test", test))):
        pixels_NCHW, masks_NHW = draw(count, size, np.random.default_rng((seed, number)))
        names = [f"{part}/{i:04d}" for i in range(count)]
        parts[part] = ResidentImages(torch.from_numpy(pixels_NCHW), names), torch.from_numpy(masks_NHW)
    mean, std = image_statistics(parts["train"][0])
    return Dataset(
        name="shapes",
        task="segmentation",
        class_names=CLASSES,
        train=parts["train"][0],
        train_targets=parts["train"][1],
        test=parts["test"][0],
        test_targets=parts["test"][1],
        mean=mean,
        std=std,
    )


def draw(count: int, size: int, generator: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw images and their masks.

    Args:
        count: Number of images, N.
        size: Height and width, S, in pixels.
        generator: Generator of all draws.

    Returns:
        Pixels, shape (N, 3, S, S), and class numbers, shape (N, S, S); both uint8.
    """
    images = _ground(count, size, generator)
    masks = np.zeros((count, size, size), dtype=np.uint8)
    shapes = generator.choice(len(HOW_MANY), size=count, p=HOW_MANY)
    for place in range(len(HOW_MANY) - 1):
        kinds = generator.choice(len(SHARES), size=count, p=SHARES) + 1
        inside = _inside(kinds, size, generator) & (shapes > place)[:, None, None]
        images = np.where(inside[:, None], _colours(kinds, generator), images)
        masks = np.where(inside, kinds[:, None, None], masks).astype(np.uint8)
    images += generator.normal(0, NOISE, images.shape)
    return images.clip(0, 255).astype(np.uint8), masks


def _ground(count: int, size: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return stripes of any direction and width between two dull colours, shape (N, 3, S, S)."""
    first, second = generator.uniform(40, 216, (2, count, 1, 1, 1)) + generator.uniform(-30, 30, (2, count, 3, 1, 1))
    angle, waves, phase = (generator.uniform(low, high, (count, 1, 1)) for low, high in _STRIPES)
    rows, columns = _grid(size)
    along = np.cos(angle) * columns + np.sin(angle) * rows
    blend = 0.5 + 0.5 * np.sin(2 * math.pi * waves * along + phase)
    ground: NDArray[np.float64] = first + (second - first) * blend[:, None]
    return ground


def _inside(kinds: NDArray[np.int64], size: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Return which pixels belong to a shape of the given kind in each image, shape (N, S, S)."""
    count = len(kinds)
    radius = generator.uniform(*RADII, count)[:, None, None]
    row, column = (generator.uniform(0.15, 0.85, count)[:, None, None] for _ in range(2))
    angle = generator.uniform(0, 2 * math.pi, count)[:, None, None]
    rows, columns = _grid(size)
    down, right = rows - row, columns - column
    circle = np.hypot(down, right) <= 0.8 * radius
    # A polygon is the intersection of the half-planes of its sides, so its distance function is a maximum over them.
    # 0.8 and 1.2 give the three kinds nearly the same area: 2.0, 2.0 and 1.9 times the squared radius.
    square = _polygon(4, down, right, angle) <= radius * math.cos(math.pi / 4)
    triangle = _polygon(3, down, right, angle) <= radius * math.cos(math.pi / 3) * 1.2
    return np.select([kinds[:, None, None] == kind for kind in (1, 2, 3)], [circle, square, triangle])


def _polygon(
    sides: int, down: NDArray[np.float64], right: NDArray[np.float64], angle: NDArray[np.float64]
) -> NDArray[np.float64]:
    normals = [angle + 2 * math.pi * side / sides for side in range(sides)]
    farthest: NDArray[np.float64] = np.maximum.reduce(
        [np.sin(normal) * down + np.cos(normal) * right for normal in normals]
    )
    return farthest


def _colours(kinds: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.float64]:
    """Return a colour for each shape, shape (N, 3, 1, 1)."""
    hue = np.array(HUES)[kinds - 1] + generator.normal(0, HUE_SPREAD, len(kinds))
    value, saturation = generator.uniform(110, 255, len(kinds)), generator.uniform(0.35, 0.9, len(kinds))
    # A channel is full up to a sixth of the circle from its own hue, and gone from two sixths on.
    distance = np.abs((hue[:, None] - np.array(HUES) + 0.5) % 1 - 0.5)
    colours: NDArray[np.float64] = value[:, None] * (1 - saturation[:, None] * (6 * distance - 1).clip(0, 1))
    return colours[:, :, None, None]


def _grid(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    middles = (np.arange(size) + 0.5) / size
    return middles[:, None], middles[None, :]
