"""Stand-ins for time and for photographs, for tests of campaigns and of their page."""

from datetime import UTC, datetime, timedelta

import numpy as np
from PIL import Image


class Clock:
    """A time that only tests move."""

    def __init__(self):
        self.time = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    def __call__(self):
        return self.time

    def advance(self, seconds):
        self.time += timedelta(seconds=seconds)


def random_image(seed, size=(20, 16)):
    """Smooth colours that no other seed has."""
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
