import base64
import io

import numpy as np
import pytest
from PIL import Image

from minimax_al.errors import ConfigurationError, ShapeError
from minimax_al.report.thumbnails import thumbnail


def decoded(uri: str) -> Image.Image:
    kind, encoded = uri.split(";base64,")
    assert kind in {"data:image/png", "data:image/webp"}
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    image.load()
    return image


def gradient(height: int, width: int) -> np.ndarray:
    """Stand-in for a photograph: smooth, with three different channels."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([255 * rows // height, 255 * columns // width, 255 - 255 * rows // height], axis=2).astype(np.uint8)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_small_images_are_enlarged_pixel_by_pixel():
    pixels = noise(8, 8, 3)
    assert np.array_equal(decoded(thumbnail(pixels)), pixels.repeat(8, axis=0).repeat(8, axis=1))


def test_the_factor_is_whole():
    assert decoded(thumbnail(noise(14, 10, 3), 64)).size == (40, 56)


def test_images_of_about_the_size_stay_as_they_are():
    pixels = gradient(40, 64)
    shown = np.asarray(decoded(thumbnail(pixels)).convert("RGB"), int)
    assert shown.shape == pixels.shape
    assert np.abs(shown - pixels).mean() < 4


@pytest.mark.parametrize(("height", "width", "size"), [(480, 640, (64, 48)), (3, 1000, (64, 1)), (640, 480, (48, 64))])
def test_large_images_keep_their_shape(height, width, size):
    assert decoded(thumbnail(noise(height, width, 3))).size == size


def test_large_images_are_antialiased():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(np.asarray(decoded(thumbnail(stripes)), int) - 127).max() <= 2


def test_grey_images_may_have_one_channel_or_none():
    pixels = noise(8, 8)
    assert thumbnail(pixels) == thumbnail(pixels[:, :, None])
    assert decoded(thumbnail(pixels)).mode == "L"


def test_views_that_are_not_contiguous_are_read_right():
    pixels_CHW = noise(3, 70, 40)
    copied = np.ascontiguousarray(pixels_CHW.transpose(1, 2, 0))
    assert thumbnail(pixels_CHW.transpose(1, 2, 0), 70) == thumbnail(copied, 70)


def test_equal_channels_are_stored_once():
    assert decoded(thumbnail(np.repeat(noise(8, 8, 1), 3, axis=2))).mode == "L"


def test_a_photograph_takes_less_than_its_png():
    pixels = (gradient(64, 64) * 0.8 + noise(64, 64, 3) * 0.2).astype(np.uint8)
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, format="PNG", optimize=True)
    assert len(thumbnail(pixels)) < len(png.getvalue()) / 2


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((8, 8, 3)), "float64"),
        (np.zeros((3, 8, 8), np.uint8), r"\(3, 8, 8\)"),
        (np.zeros((8,), np.uint8), r"\(8,\)"),
        (np.zeros((0, 8, 3), np.uint8), r"\(0, 8, 3\)"),
    ],
)
def test_what_is_no_image_is_refused(pixels, message):
    with pytest.raises(ShapeError, match=message):
        thumbnail(pixels)


def test_a_thumbnail_has_a_pixel():
    with pytest.raises(ConfigurationError, match="size is 0"):
        thumbnail(noise(8, 8, 3), 0)
