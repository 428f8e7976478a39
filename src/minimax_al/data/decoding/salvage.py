"""Files whose pixels are whole although a strict decoder refuses them.

* A JPEG file without its end marker (cameras that lost power, cut downloads of the last two bytes).
* A PNG file with long or damaged text or colour profile, which Pillow limits to one megabyte.
"""

import hashlib
import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_METADATA = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})
_FILLERS = (b"", b"\x55" * 64, b"\xa5\x3c" * 32)
"""Continuations of a cut JPEG file that decode to different pixels, if any pixel is missing."""


def salvaged(file: Path | str | BinaryIO) -> BinaryIO | None:
    """Return an equal image that a strict decoder accepts, or None.

    Args:
        file: Image file that a decoder refused.
    """
    if isinstance(file, (str, Path)):
        with Path(file).open("rb") as opened:
            return salvaged(opened)
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    if start == PNG_SIGNATURE:
        return _without_metadata(file)
    return _with_end(file.read()) if start.startswith(_JPEG_START) else None


def _without_metadata(file: BinaryIO) -> BinaryIO | None:
    """Return the PNG file without its text and colour profile; None where it has neither."""
    chunks = list(png_chunks(file))
    if not any(name in _METADATA for name, _ in chunks):
        return None
    kept = io.BytesIO(PNG_SIGNATURE)
    kept.seek(0, io.SEEK_END)
    ends = [start - 8 for _, start in chunks[1:]] + [None]
    for (name, start), end in zip(chunks, ends, strict=True):
        if name not in _METADATA:
            file.seek(start - 8)
            kept.write(file.read() if end is None else file.read(end - start + 8))
    kept.seek(0)
    return kept


def png_chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield the name of each chunk of a PNG file, and the position of its content.

    The content itself is skipped: the file's position afterwards is undefined.

    Args:
        file: Open PNG file.
    """
    position = len(PNG_SIGNATURE)
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head)
        yield name, position + 8
        position += 12 + length  # length, name, content, checksum


def _with_end(data: bytes) -> BinaryIO | None:
    """Return the JPEG file with an end marker, where no pixel depends on what may be missing before it."""
    if data.rstrip(b"\0").endswith(_JPEG_END) or not _has_one_scan(data):
        return None
    data = data.rstrip(b"\xff")  # half a marker, which would hide the continuations
    pixels = {_pixels_hash(data + filler + _JPEG_END) for filler in _FILLERS}
    if len(pixels) > 1 or None in pixels:
        return None
    return io.BytesIO(data + _JPEG_END)


def _has_one_scan(data: bytes) -> bool:
    """Return whether the first scan has all channels, so that no later scan can be missing."""
    position, channels = 2, 0
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4])
        content = data[position + 4 : position + 2 + length]
        if marker in {0xC0, 0xC1} and len(content) > 5:  # frame header: precision, height, width, channels
            channels = content[5]
        if marker == 0xDA:  # scan header
            return bool(content) and 0 < channels == content[0]
        position += 2 + length
    return False


def _pixels_hash(data: bytes) -> str | None:
    """Return a hash of a JPEG's pixels; None where they cannot be decoded."""
    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG",))
        image.load()
    except Exception:  # noqa: BLE001 - a damaged file makes a decoder raise anything
        return None
    with image:
        found = hashlib.sha256()
        for top in range(0, image.height, 64):
            found.update(image.crop((0, top, image.width, min(top + 64, image.height))).tobytes())
        return found.hexdigest()
