"""Files whose pixels are whole although a strict decoder refuses them."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from minimax_al.data.decoding.decode import read_as_is, read_image, read_size, why_unreadable
from minimax_al.errors import UnreadableImageError


def blotches(height, width, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("size", [(48, 64), (61, 97), (480, 640)])
@pytest.mark.parametrize("options", [{"quality": 92}, {"quality": 40, "subsampling": 0}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end_marker_is_whole(tmp_path, size, options, mode, missing):
    data = jpeg(blotches(*size).convert(mode), **options)
    path, whole = tmp_path / "cut.jpg", tmp_path / "whole.jpg"
    path.write_bytes(data[:-missing])
    whole.write_bytes(data)
    assert why_unreadable(path) is None
    np.testing.assert_array_equal(np.asarray(read_image(path)), np.asarray(read_image(whole)))
    np.testing.assert_array_equal(np.asarray(read_image(path, 8)), np.asarray(read_image(whole, 8)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("missing", [6, 40, 700])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_a_jpeg_that_lacks_pixels_is_damaged(tmp_path, seed, missing, options):
    path = tmp_path / "cut.jpg"
    noise = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path.write_bytes(jpeg(Image.fromarray(noise), **options)[:-missing])
    assert "truncated" in why_unreadable(path)


def test_a_progressive_jpeg_may_lack_a_scan(tmp_path):
    path = tmp_path / "cut.jpg"
    path.write_bytes(jpeg(blotches(64, 64), progressive=True)[:-2])
    assert "truncated" in why_unreadable(path)


def text(kind):
    info = PngImagePlugin.PngInfo()
    if kind == "iTXt":
        info.add_itxt("workflow", "x" * 3_000_000, zip=True)
    else:
        info.add_text("parameters", "x" * (3_000_000 if kind == "zTXt" else 70_000_000), zip=kind == "zTXt")
    return {"pnginfo": info}


@pytest.mark.parametrize("kind", ["iTXt", "zTXt", "tEXt", "iCCP"])
def test_a_png_with_long_metadata_is_whole(save_image, kind):
    image = blotches(48, 64)
    options = {"icc_profile": bytes(3_000_000)} if kind == "iCCP" else text(kind)
    path = save_image("long.png", image, **options)
    assert why_unreadable(path) is None
    assert why_unreadable(path, "header") is None
    assert read_size(path) == (64, 48)
    np.testing.assert_array_equal(np.asarray(read_image(path)), np.asarray(image))
    with path.open("rb") as file:
        np.testing.assert_array_equal(np.asarray(read_as_is(file)), np.asarray(image))


def test_a_png_with_damaged_text_is_whole_and_keeps_its_orientation(save_image):
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "hello")
    exif = Image.Exif()
    exif[274] = 6
    path = save_image("a.png", blotches(48, 64), pnginfo=info, exif=exif)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"hello", b"jello"))  # the checksum no longer fits
    assert read_image(path).size == (48, 64)


def test_a_png_that_lacks_pixels_is_damaged_whatever_its_text(save_image):
    path = save_image("a.png", blotches(200, 300), **text("zTXt"))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(UnreadableImageError, match="it is damaged"):
        read_image(path)
