"""EXIF orientation: the same image, however its file is turned."""

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from minimax_al.data.decoding.decode import read_image, read_size, read_sized

WIDTH, HEIGHT = 32, 24


def turned(orientation):
    """Image with an EXIF `orientation`, and the same image turned upright by Pillow."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    pixels[: HEIGHT // 2, : WIDTH // 2] = (250, 20, 20)
    pixels[HEIGHT // 2 :, WIDTH // 2 :] = (20, 250, 20)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image.getexif()[ExifTags.Base.Orientation] = orientation
    return image, exif, ImageOps.exif_transpose(image)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        *((".png", {}), (".jpg", {"quality": 100, "subsampling": 0}), (".webp", {"lossless": True})),
        *((".tif", {}), (".tif", {"compression": "tiff_lzw"}), (".tiff", {"compression": "tiff_deflate"})),
    ],
)
def test_every_format_is_turned_upright_and_its_size_says_so(tmp_path, orientation, suffix, options):
    image, exif, upright = turned(orientation)
    path = tmp_path / f"a{suffix}"
    image.save(path, exif=exif, **options)
    found, size = read_sized(path)
    assert read_size(path) == size == found.size == read_image(path, 8).size == upright.size
    assert np.abs(np.asarray(found).astype(int) - np.asarray(upright)).max() <= (3 if suffix == ".jpg" else 0)


def test_exif_data_behind_a_pngs_pixels_count(tmp_path):
    image, exif, upright = turned(6)
    path = tmp_path / "a.png"
    image.save(path, exif=exif)
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4])
    tail = data.index(b"IEND") - 4
    path.write_bytes(data[:start] + data[end:tail] + data[start:end] + data[tail:])
    assert read_size(path) == read_image(path).size == upright.size


def test_a_sideways_tiff_of_a_mask_campaign_keeps_its_size(tmp_path):
    for orientation in (1, 6):
        image, exif, upright = turned(orientation)
        image.save(tmp_path / "a.tif", exif=exif)
        assert read_size(tmp_path / "a.tif") == upright.size
