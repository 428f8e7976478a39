"""Memory of decoding: the bound holds for every kind of file, and is kept before anything is decoded."""

import io
import json
import struct
import subprocess
import sys
import threading
import zlib

import pytest
from PIL import Image

from minimax_al.data.decoding.decode import read_as_is, read_size, why_unreadable
from minimax_al.data.decoding.decode_memory import MAX_PIXELS, _Budget, peak_bytes, why_too_large
from minimax_al.errors import UnreadableImageError

MEASURE = """
import io, json, sys
import numpy as np
from PIL import Image
from minimax_al.data.decoding.decode import read_image
from minimax_al.data.decoding.decode_memory import peak_bytes

SIDE = 1800
exif = Image.Exif()
exif[274] = 6
rgb = Image.new("RGB", (SIDE, SIDE), (10, 20, 30))
rgb.putpixel((5, 5), (200, 0, 0))
grey16 = Image.fromarray(np.full((SIDE, SIDE), 4000, dtype=np.uint16))
floats = Image.fromarray(np.zeros((SIDE, SIDE), dtype=np.float32))
palette = rgb.convert("P")
more = {"save_all": True, "append_images": [Image.new("RGB", (SIDE, SIDE), (1, 2, 3))]}
files = {
    "png": (rgb, "PNG", {}),
    "png turned": (rgb, "PNG", {"exif": exif}),
    "png transparent": (rgb.convert("RGBA"), "PNG", {}),
    "png palette, transparent": (palette, "PNG", {"transparency": 0}),
    "png bits": (rgb.convert("1"), "PNG", {}),
    "png 16 bit": (grey16, "PNG", {}),
    "png animated": (rgb, "PNG", more),
    "jpeg": (rgb, "JPEG", {}),
    "jpeg grey": (rgb.convert("L"), "JPEG", {}),
    "jpeg turned": (rgb, "JPEG", {"exif": exif}),
    "jpeg progressive": (rgb, "JPEG", {"progressive": True, "subsampling": 0}),
    "jpeg cmyk": (rgb.convert("CMYK"), "JPEG", {}),
    "jpeg 2000": (rgb, "JPEG2000", {}),
    "webp": (rgb, "WEBP", {"lossless": True, "method": 0}),
    "webp animated": (rgb, "WEBP", {"lossless": True, "method": 0} | more),
    "gif": (palette, "GIF", {}),
    "gif animated": (palette, "GIF", {"save_all": True, "append_images": [Image.new("P", (SIDE, SIDE), 3)]}),
    "tiff": (rgb, "TIFF", {"compression": "tiff_deflate"}),
    "tiff cmyk": (rgb.convert("CMYK"), "TIFF", {"compression": "tiff_lzw"}),
    "tiff floats": (floats, "TIFF", {"compression": "tiff_deflate"}),
    "tiff pages": (rgb, "TIFF", {"compression": "tiff_deflate"} | more),
    "bmp": (rgb, "BMP", {}),
}


def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) << 10


def resident():
    return int(open("/proc/self/statm").read().split()[1]) << 12


found = {}
for name, (image, kind, options) in files.items():
    path = f"{sys.argv[1]}/a.{'jp2' if kind == 'JPEG2000' else kind.lower()}"
    image.save(path, kind, **options)
    read_image(path)  # libraries allocate tables at first use
    open("/proc/self/clear_refs", "w").write("5")
    before = resident()
    read_image(path)
    with Image.open(path) as opened:
        found[name] = [peak() - before, peak_bytes(opened)]
print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_no_kind_of_file_needs_more_than_its_bound(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True, timeout=300
    )
    found = json.loads(done.stdout)
    assert len(found) == 22
    spare = 8 << 20  # bands, the compressed file, and what the allocator keeps
    assert {name: pair for name, pair in found.items() if pair[0] > pair[1] + spare} == {}


def bomb(side, depth, kind, *chunks):
    """A PNG file of a few kilobytes that decodes to side x side pixels."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    row = bytes(1 + (side * channels * depth + 7) // 8)
    packer = zlib.compressobj(9)
    content = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, depth, kind, 0, 0, 0)
    body = b"".join(chunk(name, value) for name, value in chunks)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", [0, 2, 3, 4, 6])
def test_a_large_image_is_refused_before_it_is_decoded(tmp_path, monkeypatch, kind):
    path = tmp_path / "a.png"
    path.write_bytes(bomb(1000, 8, kind, (b"PLTE", bytes(6)), (b"tRNS", b"\0")) if kind == 3 else bomb(1000, 8, kind))
    Image.init()  # loads the plug-ins of Pillow, one of which makes an image
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("decoded"))
    assert why_unreadable(path, max_pixels=999_999).startswith("it has 1000 x 1000 pixels, more than the limit")
    with pytest.raises(UnreadableImageError, match=r"a\.png': it has 1000 x 1000 pixels"):
        read_as_is(path, max_pixels=999_999)
    assert read_size(path, max_pixels=999_999) == (1000, 1000)


def tiff_of_one_huge_tile(side):
    """A TIFF file of 16 x 16 pixels whose one tile has side x side."""
    entries = [(256, 3, 16), (257, 3, 16), (258, 3, 8), (259, 3, 1), (262, 3, 1), (277, 3, 1)]
    entries += [(322, 4, side), (323, 4, side), (324, 4, 8), (325, 4, 8)]
    packed = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + packed + bytes(4)


def opened(data):
    return Image.open(io.BytesIO(data))


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "make",
    [
        lambda: saved(Image.new("RGB", (400, 400)), "JPEG2000"),
        lambda: saved(Image.new("RGB", (400, 400)), "WEBP"),
        lambda: saved(Image.new("RGB", (400, 400)), "JPEG", progressive=True),
        lambda: tiff_of_one_huge_tile(4000),
    ],
)
def test_decoders_that_need_more_have_a_lower_limit(tmp_path, make):
    path = tmp_path / "a.png"  # the content decides, not the name
    path.write_bytes(make())
    with opened(path.read_bytes()) as image:
        limit = image.width * image.height
        assert peak_bytes(image) > 8 * limit
    reason = why_unreadable(path, max_pixels=limit)
    assert "more than the limit of 1 MiB (8 bytes for each of max_pixels" in reason


def test_images_of_the_default_limit_fit():
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "F"):
        image = Image.new(mode, (1, 1))
        image._size = (13_377, 13_377)  # the header's promise alone
        assert image.width * image.height < MAX_PIXELS
        assert why_too_large(image, MAX_PIXELS) is None


def test_threads_share_the_budget_and_none_waits_for_ever():
    budget = _Budget(100)
    in_use, most, lock = 0, 0, threading.Lock()

    def work(size):
        nonlocal in_use, most
        for _ in range(200):
            with budget.use(size):
                with lock:
                    in_use += size
                    most = max(most, in_use if size <= 100 else 0)
                    assert size <= 100 or in_use == size
                with lock:
                    in_use -= size

    threads = [threading.Thread(target=work, args=(size,)) for size in (10, 30, 60, 90, 100, 250)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 100
    assert budget._used == 0
