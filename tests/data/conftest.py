from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REAL_DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def save_image(tmp_path):
    """Writes an image of random pixels (or the one given) and returns its path."""

    def save(name, pixels=None, size=(12, 10), **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if pixels is None:
            seed = sum(name.encode())
            pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        image.save(path, **options)
        return path

    return save


@pytest.fixture(scope="session")
def real_data():
    """The folder of real data sets and its script `unpack.py`, where a checkout has it."""
    if not (REAL_DATA / "unpack.py").is_file():
        pytest.skip(f"the real data sets are not at {REAL_DATA}")
    return REAL_DATA
