import numpy as np
import pytest
from PIL import Image

from minimax_al.data.masks.colour_maps import read_class_list
from minimax_al.data.masks.legend import Legend
from minimax_al.data.masks.mask_files import read_mask
from minimax_al.errors import DataError

LABELS = np.arange(64, dtype=np.uint8).reshape(8, 8) % 3
LEGEND = Legend.of_numbers("abc")


@pytest.mark.parametrize(
    ("format", "options"),
    [("PNG", {}), ("TIFF", {}), ("BMP", {}), ("GIF", {}), ("PPM", {}), ("WEBP", {"lossless": True})],
)
@pytest.mark.parametrize("name", ["m.png", "m.webp"])
def test_formats_that_keep_values_are_read_whatever_the_name(tmp_path, format, options, name):  # noqa: A002 - Pillow's
    Image.fromarray(LABELS).save(tmp_path / name, format=format, **options)
    assert read_mask(tmp_path / name, LEGEND).tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("format", "kind"),
    [
        ("JPEG", "a JPEG, which changes"),
        ("WEBP", "a lossy WebP image, which changes"),
        ("AVIF", "an AVIF or JPEG 2000 image, which may change"),
        ("JPEG2000", "an AVIF or JPEG 2000 image, which may change"),
    ],
)
def test_formats_that_change_values_are_refused_whatever_the_name(tmp_path, format, kind):  # noqa: A002 - Pillow's
    Image.fromarray(LABELS).save(tmp_path / "m.png", format=format)
    with pytest.raises(DataError, match=rf"m\.png' is {kind} the values of pixels: save masks as PNG"):
        read_mask(tmp_path / "m.png", LEGEND)


def test_comments_are_no_classes(tmp_path):
    (tmp_path / "classes.txt").write_text("# names of the labels\nroad\n#tag\n  # more\nsky\n")
    assert read_class_list(tmp_path / "classes.txt") == ["road", "#tag", "sky"]
