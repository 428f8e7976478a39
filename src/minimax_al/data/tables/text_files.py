"""Text files as other programs write them: their encoding, and files that are not text at all."""

import codecs
from pathlib import Path

from minimax_al.errors import DataError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks and the encodings that they announce."""

_NOT_TEXT = (
    (b"PK\x03\x04", "a workbook or a ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "a workbook of an old Excel"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF document"),
)
"""First bytes of files that are given where text is expected, and the kind of file."""

_START = 64
"""Bytes by which a file is recognised."""


def encoding_of(path: Path) -> str:
    """Return the encoding of a text file: UTF-8, or UTF-16 or UTF-32, which Excel and PowerShell write.

    A byte order mark decides; without one, text of mostly Latin letters in UTF-16 is recognised by its zero bytes.

    Args:
        path: Text file.

    Raises:
        OSError: The file cannot be read.
    """
    start = _start(path)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    first, second = start[::2].count(0), start[1::2].count(0)
    if second > len(start) / 4 and not first:
        return "utf-16-le"
    return "utf-16-be" if first > len(start) / 4 and not second else "utf-8-sig"


def why_not_text(path: Path) -> str | None:
    """Return the kind of a file that is certainly not text, or None.

    Args:
        path: File.

    Raises:
        OSError: The file cannot be read.
    """
    start = _start(path)
    return next((kind for magic, kind in _NOT_TEXT if start.startswith(magic)), None)


def read_text(path: Path) -> str:
    """Return the content of a text file in UTF-8, UTF-16 or UTF-32, without a byte order mark.

    Args:
        path: Text file.

    Raises:
        DataError: The file cannot be read, or is not such text.
    """
    try:
        kind = why_not_text(path)
        if kind is not None:
            raise DataError(f"{str(path)!r} is {kind}, not text: save its content as text in UTF-8")
        return path.read_bytes().decode(encoding_of(path))
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        name = error.encoding.removesuffix("-sig").upper()
        raise DataError(f"{str(path)!r} is not {name} ({error.reason}): save it as UTF-8") from error


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_START)
