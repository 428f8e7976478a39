"""Manifests of pools as other programs write them: names, numbers, and further columns."""

import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from minimax_al.data.locations.location import ManifestLocation, list_images, scan_images
from minimax_al.data.locations.manifest import read_rows
from minimax_al.errors import DataError, ManifestError


@pytest.fixture
def manifest(tmp_path):
    """Writes a manifest next to three images, and returns its location."""
    (tmp_path / "sub").mkdir()
    for name in ("a b.png", "sub/c.png", unicodedata.normalize("NFC", "sub/é.png")):
        Image.new("RGB", (8, 8)).save(tmp_path / name)

    def write(text):
        (tmp_path / "pool.csv").write_text(text, encoding="utf-8")
        return ManifestLocation(tmp_path / "pool.csv")

    return write


@pytest.mark.parametrize(
    "names",
    [
        ["a b.png", "sub\\c.png", unicodedata.normalize("NFD", "sub/é.png")],
        ["a%20b.png", "./sub/c.png", "sub/%C3%A9.png"],
        ["file://{folder}/a%20b.png", "FILE:{folder}/sub/c.png", "{folder}/sub/é.png"],
    ],
)
def test_images_are_found_however_their_names_are_spelled(manifest, tmp_path, names):
    names = [name.format(folder=tmp_path) for name in names]
    location = manifest("path\n" + "".join(f"{name}\n" for name in names))
    assert scan_images(location) == (tuple(names), ())
    assert all(image.size_bytes > 0 for image in list_images(location))


def test_a_name_that_may_mean_two_files_is_refused(manifest, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / unicodedata.normalize("NFD", "sub/é.png"))
    with pytest.raises(DataError, match=r"may be .* or .*: write the one that is meant"):
        list(list_images(manifest("path\nsub\\é.png\n")))


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [("width", "64", 64), ("height", "48.0", 48), ("size", "1" * 18, int("1" * 18)), ("size", "", 0)],
)
def test_numbers_of_manifests(manifest, column, text, expected):
    (row,) = read_rows(manifest(f"path,{column}\na b.png,{text}\n").source)
    assert {"width": row.width, "height": row.height, "size": row.size_bytes}[column] == expected


@pytest.mark.parametrize(
    ("column", "text"), [("width", "9" * 10), ("width", "-5"), ("size", "9" * 5000), ("size", "5kB"), ("height", "4.5")]
)
def test_numbers_that_cannot_be_stored_are_refused(manifest, column, text):
    with pytest.raises(ManifestError, match=rf"line 2: {column}='.*' is not a whole number of at most \d+ digits"):
        list(read_rows(manifest(f"path,{column}\na b.png,{text}\n").source))


def test_a_zero_character_is_no_part_of_a_path(manifest):
    with pytest.raises(ManifestError, match=r"line 2: the path 'a\\x00\.png' has a zero character"):
        list(read_rows(manifest("path\na\0.png\n").source))


def test_further_columns_may_hold_anything(tmp_path):
    columns = {
        "path": ["a.png", "b.png"],
        "tags": [["x", "y"], None],
        "image": [{"bytes": b"\xff\xd8", "path": "orig.jpg"}, {"bytes": b"\xff", "path": None}],
        "raw": [b"\xff\xd8", b"text"],
        "box": [{"x": 1}, None],
    }
    pq.write_table(pa.table(columns), tmp_path / "pool.parquet")
    assert [row.attributes for row in read_rows(tmp_path / "pool.parquet")] == [
        {"tags": '["x", "y"]', "image": "orig.jpg", "box": '{"x": 1}'},
        {"raw": "text"},
    ]
