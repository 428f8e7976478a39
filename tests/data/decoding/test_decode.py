import errno
import io
import os
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from minimax_al.data.decoding.decode import centre_square, read_image, read_sized, read_square, why_unreadable
from minimax_al.data.decoding.rgb import to_rgb
from minimax_al.errors import UnreadableImageError

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def pixels_of(path):
    image = read_image(path)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tga", ".ppm", ".PNG", ".webp"])
def test_lossless_rgb_comes_back_exactly(save_image, suffix):
    options = {"lossless": True} if suffix == ".webp" else {}
    np.testing.assert_array_equal(pixels_of(save_image(f"a{suffix}", RGB, **options)), RGB)


@pytest.mark.parametrize("suffix", [".png", ".pgm", ".tiff", ".bmp"])
def test_grey_is_repeated(save_image, suffix):
    np.testing.assert_array_equal(pixels_of(save_image(f"a{suffix}", GREY)), np.stack([GREY] * 3, -1))


def test_jpeg_is_close(save_image):
    smooth = np.linspace(0, 255, 32 * 32 * 3).reshape(32, 32, 3).astype(np.uint8)
    assert np.abs(pixels_of(save_image("a.JPEG", smooth, quality=95)).astype(int) - smooth).max() <= 12


def test_one_bit_becomes_black_and_white(save_image):
    bits = GREY > 127
    expected = np.repeat((bits * 255).astype(np.uint8)[..., None], 3, -1)
    np.testing.assert_array_equal(pixels_of(save_image("a.png", Image.fromarray(bits))), expected)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_sixteen_bits_are_scaled(save_image, suffix):
    values = np.array([[0, 128, 129, 257], [1000, 32768, 65406, 65535]], dtype=np.uint16)
    expected = np.rint(values / 65535 * 255).astype(np.uint8)
    np.testing.assert_array_equal(pixels_of(save_image(f"a{suffix}", values))[..., 0], expected)


def test_big_endian_sixteen_bits(save_image):
    values = np.array([[0, 257, 65535]], dtype=np.uint16)
    image = Image.frombytes("I;16B", (3, 1), values.astype(">u2").tobytes())
    np.testing.assert_array_equal(np.asarray(to_rgb(image))[0, :, 1], [0, 1, 255])


def test_sixteen_bits_in_a_32_bit_file(save_image):
    values = np.array([[0, 257, 65535]], dtype=np.int32)
    np.testing.assert_array_equal(pixels_of(save_image("a.tif", values))[0, :, 2], [0, 1, 255])


def test_sixteen_bit_colour(tmp_path):
    values = np.random.default_rng(1).integers(0, 65536, (4, 5, 3), dtype=np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(png(5, 4, b"".join(b"\0" + row.astype(">u2").tobytes() for row in values), depth=16))
    assert np.abs(pixels_of(path).astype(float) - values / 257).max() <= 1


def test_floats_between_zero_and_one(save_image):
    values = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    np.testing.assert_array_equal(pixels_of(save_image("a.tif", values))[0, :, 0], [0, 128, 255])


@pytest.mark.parametrize(
    ("values", "allowed"),
    [
        (np.array([[0, 70000]], dtype=np.int32), r"0\.\.65535"),
        (np.array([[-1, 3]], dtype=np.int32), r"0\.\.255"),
        (np.array([[0.0, 200.0]], dtype=np.float32), r"\[0, 1\]"),
        (np.array([[0.0, np.nan]], dtype=np.float32), r"\[0, 1\]"),
    ],
)
def test_an_unknown_white_is_refused(save_image, values, allowed):
    path = save_image("a.tif", values)
    with pytest.raises(UnreadableImageError, match=rf"pixels are outside of {allowed}"):
        read_image(path)


def test_transparency_lies_over_white(save_image):
    rgba = np.concatenate([RGB, GREY[..., None]], -1)
    alpha = GREY[..., None] / 255
    expected = RGB * alpha + 255 * (1 - alpha)
    assert np.abs(pixels_of(save_image("a.png", rgba)) - expected).max() <= 1


def test_grey_with_transparency(save_image):
    path = save_image("a.png", Image.merge("LA", [Image.new("L", (1, 1), 100), Image.new("L", (1, 1), 0)]))
    assert pixels_of(path).tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize("transparency", [1, b"\xff\x00\xff"])
def test_palette_with_transparency(save_image, transparency):
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    path = save_image("a.png", image, transparency=transparency)
    assert pixels_of(path)[0].tolist() == [[255, 0, 0], [255, 255, 255], [0, 0, 255]]


def test_palette_without_transparency(save_image):
    image = Image.fromarray(RGB).quantize(16)
    np.testing.assert_array_equal(pixels_of(save_image("a.gif", image)), np.asarray(image.convert("RGB")))


def test_one_transparent_colour(save_image):
    path = save_image("a.png", np.array([[[1, 2, 3], [9, 9, 9]]], dtype=np.uint8), transparency=(1, 2, 3))
    assert pixels_of(path)[0].tolist() == [[255, 255, 255], [9, 9, 9]]


def test_cmyk_jpeg_shows_its_colours(save_image):
    image = Image.new("RGB", (16, 16), (200, 40, 90)).convert("CMYK")
    path = save_image("a.jpg", image, quality=100)
    with Image.open(path) as stored:
        assert stored.mode == "CMYK"
    assert np.abs(pixels_of(path).astype(int) - [200, 40, 90]).max() <= 4


def test_cmyk_tiff(save_image):
    path = save_image("a.tif", Image.new("CMYK", (2, 2), (0, 255, 255, 0)))
    assert pixels_of(path)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_rotation_gives_the_upright_image(save_image, orientation, suffix):
    upright = np.full((32, 64, 3), 250, dtype=np.uint8)
    upright[:16, :16] = (250, 0, 0)
    upright[16:, 48:] = (0, 0, 250)
    as_stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    options = {".jpg": {"quality": 100, "subsampling": 0}, ".png": {}, ".webp": {"lossless": True}}[suffix]
    path = save_image(f"a{suffix}", np.ascontiguousarray(as_stored), exif=exif, **options)
    read = pixels_of(path).astype(int)
    assert read.shape == upright.shape
    assert np.abs(read - upright).max() <= 6


def test_damaged_exif_leaves_the_image_usable(save_image):
    path = save_image("a.jpg", RGB, exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
    assert pixels_of(path).shape == RGB.shape


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_the_first_frame_of_an_animation(save_image, suffix):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if suffix == ".webp" else {}
    path = save_image(f"a{suffix}", frames[0], save_all=True, append_images=frames[1:], **options)
    with Image.open(path) as stored:
        assert stored.n_frames == 3
    assert pixels_of(path)[0, 0].tolist() == [255, 0, 0]


def test_unicode_names(save_image):
    path = save_image("Übung/猫 😀 é.png", RGB)
    np.testing.assert_array_equal(pixels_of(path), RGB)


def test_a_large_jpeg_is_decoded_small_and_still_right(save_image):
    rows, columns = np.mgrid[0:800, 0:1000] / 1000
    smooth = (np.stack([rows, columns, rows * columns], -1) * 255).astype(np.uint8)
    path = save_image("a.jpg", smooth, quality=95)
    assert read_image(path, shrink_to=50).size == (125, 100)
    fast = read_square(path, 50).astype(int)
    slow = np.asarray(centre_square(read_image(path), 50)).astype(int)
    assert np.abs(fast - slow).max() <= 5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(640, 320), (400, 400)])
def test_the_full_size_is_known_of_a_image_that_was_decoded_small(save_image, orientation, size):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = save_image("large.jpg", size=size, exif=exif)
    small, full = read_sized(path, shrink_to=32)
    assert full == read_image(path).size
    assert min(small.size) < min(full)


def test_the_square_is_the_resized_centre():
    blocks = np.repeat(np.repeat(RGB[:4, :6], 8, 0), 8, 1)  # 32 x 48: its centre is the 4 x 4 blocks 1..4
    square = np.asarray(centre_square(Image.fromarray(blocks), 32))
    np.testing.assert_array_equal(square, blocks[:, 8:40])
    halved = np.asarray(centre_square(Image.fromarray(np.full((40, 21, 3), 77, dtype=np.uint8)), 8))
    assert halved.shape == (8, 8, 3)
    assert (halved == 77).all()


def jpeg_bytes():
    buffer = io.BytesIO()
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


def saved_bytes(kind):
    buffer = io.BytesIO()
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, rows, depth=8):
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("part", [0.02, 0.2, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path, kind, part):
    content = saved_bytes(kind)
    path = tmp_path / f"cut.{kind.lower()}"
    path.write_bytes(content[: int(len(content) * part)])
    assert why_unreadable(path) is not None
    with pytest.raises(UnreadableImageError, match=r"cannot read the image '.*cut\.\w+': it is"):
        read_square(path, 16)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"it is empty \(0 bytes\)"),
        (b"not an image at all", "it is not an image in a known format"),
        (b"\xff\xd8\xff", "it is"),
        (b"GIF89a", "it is"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is a PostScript document, whatever its name"),
        (b"\x89PNG\r\n\x1a\n", "it is"),
        (np.random.default_rng(3).bytes(4096), "it is not an image in a known format"),
        (png(4, 4, b"\0" * 5), "it is damaged: image file is truncated"),
        (jpeg_bytes()[:200] + b"\0" * 400, "it is (damaged|not an image in a known format)"),  # newer and older Pillow
    ],
)
def test_other_files_are_refused(tmp_path, content, reason):
    path = tmp_path / "wrong.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=rf"cannot read the image '.*wrong\.jpg': {reason}"):
        read_image(path)


def test_a_damaged_checksum_is_refused(tmp_path):
    content = bytearray(saved_bytes("PNG"))
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert "damaged" in why_unreadable(path)


@pytest.mark.parametrize("side", [20_000, 60_000])
def test_huge_images_are_refused_before_decoding(tmp_path, side):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side, b"\0"))
    with pytest.raises(UnreadableImageError, match=r"pixels.*the limit.*max_pixels"):
        read_image(path)
    assert "max_pixels" in why_unreadable(path, "header")


def test_the_limit_of_pixels_is_a_setting(save_image, monkeypatch):
    path = save_image("a.png", RGB)
    assert why_unreadable(path, max_pixels=54) is None
    assert "it has 9 x 6 pixels, more than the limit of 53" in why_unreadable(path, max_pixels=53)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # a host's smaller limit is lifted only by a larger one here
    assert why_unreadable(path) is None


def test_missing_and_special_files(tmp_path):
    with pytest.raises(UnreadableImageError, match=r"nothing\.png': it does not exist"):
        read_image(tmp_path / "nothing.png")
    os.mkfifo(tmp_path / "pipe.png")  # opening it would wait for ever
    assert why_unreadable(tmp_path / "pipe.png") == "it is not a regular file"
    assert why_unreadable(tmp_path) == "it is not a regular file"


def test_a_disk_that_fails_is_not_called_a_damaged_image(save_image, monkeypatch):
    path = save_image("a.png", RGB)

    def fail(*args, **kwargs):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Image, "open", fail)
    assert why_unreadable(path) == "it cannot be read: Input/output error"


def test_the_header_alone_does_not_show_missing_pixels(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_bytes()[:-500])
    assert why_unreadable(path, "header") is None
    assert why_unreadable(path, "none") is None
    assert why_unreadable(path, "decode").startswith("it is damaged: image file is truncated")


def test_decoding_in_threads_leaves_the_warning_filters_as_they_were(save_image):
    paths = [save_image(f"{i}.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage") for i in range(8)]
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda p=path: [read_image(p) for _ in range(20)]) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
