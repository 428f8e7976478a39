"""Campaigns on given feature vectors: small images, classes that are clusters, trained in a second."""

import numpy as np
import pytest
from PIL import Image

CLASSES = ("red", "green", "blue")
SHADES = {"red": (200, 40, 40), "green": (40, 170, 60), "blue": (50, 70, 210)}


def class_of(path):
    """The class in a file's name."""
    return path.rpartition(" ")[2].removesuffix(".png")


def write_clusters(folder, count=45, width=6, noise=0.2, classes=CLASSES):
    """Write one small image per vector, and the vectors as a feature table; return (images, table)."""
    images = folder / "images"
    images.mkdir(parents=True)
    names = [f"{number:04d} {classes[number % len(classes)]}.png" for number in range(count)]
    for number, name in enumerate(names):
        shade = SHADES.get(class_of(name), (90, 90, 90))
        pixels = np.full((12, 16, 3), shade, dtype=np.uint8)
        pixels[number % 12, :, :] = number % 251  # no two files are equal
        pixels[:, (number * 7) % 16, 1] = (number // 16) % 251
        Image.fromarray(pixels).save(images / name)
    centres = np.eye(max(width, len(classes)), dtype=np.float32)[:, :width] if len(classes) <= width else None
    if centres is None:
        centres = np.random.default_rng(1).normal(size=(len(classes), width)).astype(np.float32)
    labels = np.arange(count) % len(classes)
    vectors = centres[labels] + np.random.default_rng(0).normal(0, noise, (count, width))
    table = folder / "vectors.npy"
    np.save(table, vectors.astype(np.float32))
    table.with_suffix(".txt").write_text("\n".join(names))
    return images, table


@pytest.fixture
def clusters(make_campaign, tmp_path):
    """A campaign of 45 images on given features, with 27 labels; some images of two classes look alike."""
    images, table = write_clusters(tmp_path / "pool", noise=0.12)
    campaign = make_campaign(classes=CLASSES, images=images, recipe=None, features=str(table), near_duplicates="off")
    campaign.query(27)
    for pick in campaign.picks():
        campaign.label(pick.item, class_of(pick.path), "ann", origin="page")
    return campaign
