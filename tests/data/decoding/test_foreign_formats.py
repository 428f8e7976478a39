import io

import pytest

from minimax_al.data.decoding.decode import read_size, why_unreadable
from minimax_al.data.locations.scan import scan_folder
from minimax_al.errors import UnreadableImageError

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HEIC, "it is HEIC, whatever its name: convert it to JPEG or PNG"),
        (b"\xff\x0a" + b"\0" * 30, "it is JPEG XL, whatever its name: convert it to JPEG or PNG"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 30, "it is a video, whatever its name: save its frames as images"),
        (b"\r\n<!DOCTYPE html><title>404</title>", "it is a web page, whatever its name: download the image again"),
        (b"\xef\xbb\xbf<svg xmlns=''/>", "it is an SVG drawing, whatever its name: convert it to JPEG or PNG"),
        (b"PK\x03\x04" + b"\0" * 30, "it is a ZIP archive, whatever its name: unpack it"),
        (b"hello", "it is not an image in a known format"),
        (b"\0\0\0\x20ftypxxxx", "it is not an image in a known format"),
    ],
)
def test_files_of_other_formats_are_named(tmp_path, content, reason):
    (tmp_path / "a.jpg").write_bytes(content)
    for verify in ("decode", "header"):
        assert why_unreadable(tmp_path / "a.jpg", verify) == reason
    with pytest.raises(UnreadableImageError, match=reason):
        read_size(tmp_path / "a.jpg")


def test_open_files_are_named_too():
    from minimax_al.data.decoding.decode import read_image

    with pytest.raises(UnreadableImageError, match="it is HEIC"):
        read_image(io.BytesIO(HEIC))


def test_endings_of_other_formats_have_a_remedy(tmp_path):
    for name in ("a.HEIC", "b.zip", "c.mov", "d.txt"):
        (tmp_path / name).touch()
    start = "is not that of an image format that is read"
    assert [entry.reason.partition(start)[2] for entry in scan_folder(tmp_path).set_aside] == [
        ": convert it to JPEG or PNG",
        ": unpack it",
        ": save its frames as images",
        "",
    ]
