"""Pixels of every kind against plain NumPy."""

import numpy as np
import pytest
from PIL import Image

from minimax_al.data.decoding.decode import read_image, read_range, read_square, why_unreadable
from minimax_al.data.decoding.rgb import check_convertible, to_rgb, white_level
from minimax_al.errors import UnreadableImageError

RAMP = np.tile(np.linspace(0, 1, 60), (40, 1))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_depths_below_sixteen_bits_fill_the_range(save_image, bits, suffix):
    top = 2**bits - 1
    values = np.rint(RAMP * top).astype(np.uint16)
    shown = np.asarray(read_image(save_image(f"a{suffix}", values)))
    np.testing.assert_array_equal(shown[..., 1], np.rint(values / top * 255).astype(np.uint8))
    assert read_range(save_image(f"b{suffix}", values)) == (0, top)


@pytest.mark.parametrize("largest", [0, 1, 255, 256, 1023, 1024, 4096, 16384, 60000])
def test_white_holds_every_value_and_is_the_smallest_usual_depth(largest):
    white = white_level(largest)
    assert white >= largest
    smaller = [depth for depth in (255, 1023, 4095, 16383, 65535) if depth < white]
    assert all(depth < largest for depth in smaller)


def test_a_given_white_keeps_the_brightness_of_files_comparable(save_image):
    dim, bright = (save_image(f"{top}.png", np.full((4, 4), top, dtype=np.uint16)) for top in (500, 4000))
    shown = [int(read_square(path, 4, white=4095).max()) for path in (dim, bright)]
    assert shown == [round(500 / 4095 * 255), round(4000 / 4095 * 255)]
    with pytest.raises(UnreadableImageError, match=r"its pixels are outside of 0\.\.1000"):
        read_square(bright, 4, white=1000)


def test_a_white_for_32_bit_files(save_image):
    path = save_image("a.tif", np.rint(RAMP * 200_000).astype(np.int32))
    assert np.asarray(read_image(path, white=200_000)).max() == 255


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
@pytest.mark.parametrize("alpha", [255, 128])
def test_white_ink_on_transparency_shows(save_image, mode, alpha):
    grey = np.full((20, 30, 4), 255, dtype=np.uint8)
    grey[..., 3] = 0
    grey[5:15, 5:25, 3] = alpha
    image = Image.fromarray(grey).convert(mode)
    image.putalpha(Image.fromarray(grey[..., 3]))  # Pillow 11 drops it where it converts to PA
    assert image.mode == mode
    shown = np.asarray(to_rgb(image))
    assert shown[10, 10].min() >= alpha - 1
    assert shown[0, 0].max() == 0


@pytest.mark.parametrize("ink", [(0, 0, 0), (200, 30, 30), (255, 255, 0), (120, 120, 120)])
def test_other_ink_stays_over_white(ink):
    pixels = np.zeros((20, 30, 4), dtype=np.uint8)
    pixels[5:15, 5:25] = (*ink, 255)
    shown = np.asarray(to_rgb(Image.fromarray(pixels)))
    assert tuple(shown[10, 10].tolist()) == ink
    assert shown[0, 0].tolist() == [255, 255, 255]


def test_all_transparent_and_all_white_stay_white():
    blank = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    paper = Image.new("RGBA", (8, 8), (255, 255, 255, 255))
    assert np.asarray(to_rgb(blank)).min() == np.asarray(to_rgb(paper)).min() == 255


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"])
def test_the_check_accepts_what_can_be_converted(mode):
    check_convertible(Image.new(mode, (7, 5)))


@pytest.mark.parametrize("values", [np.array([[0, 70000]], np.int32), np.array([[0, 2]], np.float32)])
def test_the_check_refuses_what_cannot_be_converted(save_image, values):
    with pytest.raises(ValueError, match="so white is unknown") as checked:
        check_convertible(Image.fromarray(values))
    with pytest.raises(ValueError, match="so white is unknown") as converted:
        to_rgb(Image.fromarray(values))
    assert str(checked.value) == str(converted.value)
    assert "so white is unknown" in why_unreadable(save_image("a.tif", values))


def test_bands_do_not_show(monkeypatch):
    generator = np.random.default_rng(0)
    images = [
        Image.fromarray(generator.integers(0, 256, (37, 23, 4), dtype=np.uint8)),
        Image.fromarray(generator.integers(0, 60000, (37, 23), dtype=np.uint16)),
        Image.fromarray(generator.random((37, 23), dtype=np.float32)),
    ]
    whole = [np.asarray(to_rgb(image)) for image in images]
    monkeypatch.setattr("minimax_al.data.decoding.rgb._BAND_PIXELS", 50)
    for image, expected in zip(images, whole, strict=True):
        np.testing.assert_array_equal(np.asarray(to_rgb(image)), expected)
