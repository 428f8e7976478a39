import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from minimax_al.data.decoding.decode import read_as_is
from minimax_al.data.masks.legend import Legend
from minimax_al.data.masks.mask_files import read_mask, read_png_mask
from minimax_al.errors import DataError

LABELS = np.array([[0, 1, 2, 3], [3, 2, 1, 0]], dtype=np.uint8)


def png(labels, bits):
    """Returns a grey PNG file of `bits` bits per pixel, written without Pillow."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = labels.shape
    rows = [b"\0" + np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel()).tobytes() for row in labels]
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"".join(rows))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def pgm(labels, largest, *, plain):
    height, width = labels.shape
    if plain:
        return f"P2 {width} {height} {largest}\n{' '.join(map(str, labels.ravel()))}\n".encode()
    return f"P5 {width} {height} {largest}\n".encode() + labels.astype("u1" if largest < 256 else ">u2").tobytes()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_labels_of_few_bits_are_not_stretched(bits):
    legend = Legend.of_numbers([f"class {number}" for number in range(100)])
    found = read_png_mask(png(LABELS, bits), legend, "m.png", lambda _: None)
    assert found.tolist() == LABELS.tolist()


def test_a_label_of_few_bits_is_named_as_it_is_stored():
    with pytest.raises(
        DataError, match=r"has the label 3 at pixel \(row 0, column 3\), but the labels of the 3 classes"
    ):
        read_png_mask(png(LABELS, 4), Legend.of_numbers("abc"), "m.png", lambda _: None)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("largest", [3, 99, 255, 300, 65535])
def test_the_largest_value_of_a_pgm_file_does_not_count(tmp_path, largest, plain):
    (tmp_path / "m.pgm").write_bytes(pgm(LABELS, largest, plain=plain))
    assert read_mask(tmp_path / "m.pgm", Legend.of_numbers("abcd")).tolist() == LABELS.tolist()


@pytest.mark.parametrize("mode", ["1", "P", "L", "I;16", "RGB"])
def test_other_files_are_loaded_as_they_are(mode):
    image = Image.fromarray(LABELS).convert(mode)
    file = io.BytesIO()
    image.save(file, "PNG")
    assert np.asarray(read_as_is(file)).tolist() == np.asarray(image).tolist()
