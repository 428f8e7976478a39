"""Files of formats that are not read, found among images: their format and the remedy."""

import os
from pathlib import Path
from typing import BinaryIO

_CONVERT = "convert it to JPEG or PNG"
_UNPACK = "unpack it"
_FRAMES = "save its frames as images"

_REMEDIES = {
    **dict.fromkeys(
        (".heic", ".heif", ".hif", ".jxl", ".jxr", ".svg", ".psd", ".xcf", ".pdf", ".eps", ".ai"), _CONVERT
    ),
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".raw", ".pef"), _CONVERT),
    **dict.fromkeys(
        (".dcm", ".nii", ".exr", ".hdr", ".pfm", ".pam", ".fits", ".ico", ".j2k", ".jpx", ".mpo"), _CONVERT
    ),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"), _UNPACK),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"), _FRAMES),
}
"""Remedy for files of an ending, in lower case."""

_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), ("HEIC", _CONVERT)),
    **dict.fromkeys((b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"M4V ", b"qt  "), ("a video", _FRAMES)),
}
"""Formats of files that begin with `ftyp`, by brand."""

_STARTS = (
    (b"\xff\x0a", ("JPEG XL", _CONVERT)),
    (b"\0\0\0\x0cJXL ", ("JPEG XL", _CONVERT)),
    (b"8BPS", ("a Photoshop document", _CONVERT)),
    (b"%PDF", ("a PDF document", _CONVERT)),
    (b"%!PS", ("a PostScript document", _CONVERT)),
    (b"PK\x03\x04", ("a ZIP archive", _UNPACK)),
    (b"\x1f\x8b", ("compressed by gzip", _UNPACK)),
    (b"<svg", ("an SVG drawing", _CONVERT)),
    (b"<!doctype html", ("a web page", "download the image again")),
    (b"<html", ("a web page", "download the image again")),
    (b"<?xml", ("an XML document, such as an SVG drawing or the error of a download", _CONVERT)),
    (b"data:image/", ("a data URL", "decode it from base64")),
)
"""First bytes of files, in lower case where they are text, and the format that they show."""

_START = 64


def remedy_of_ending(suffix: str) -> str:
    """Return the remedy for a file of this ending, as the end of a sentence; empty for an unknown one.

    Example:
        >>> remedy_of_ending(".HEIC"), remedy_of_ending(".txt")
        (': convert it to JPEG or PNG', '')
    """
    remedy = _REMEDIES.get(suffix.lower())
    return "" if remedy is None else f": {remedy}"


def is_archive(path: Path) -> bool:
    """Return whether the ending of a file is that of an archive.

    Example:
        >>> is_archive(Path("images.tar.gz")), is_archive(Path("images.parquet"))
        (True, False)
    """
    return _REMEDIES.get(path.suffix.lower()) == _UNPACK


def why_foreign(file: Path | str | BinaryIO) -> str | None:
    """Return the format of a file that no decoder recognises, with the remedy; None for an unknown one.

    Args:
        file: Image file, or an open binary file.
    """
    try:
        found = _format_of(_start(file))
    except OSError:
        return None
    return None if found is None else f"it is {found[0]}, whatever its name: {found[1]}"


def _format_of(start: bytes) -> tuple[str, str] | None:
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12])
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((kind for magic, kind in _STARTS if start.startswith(magic) or text.startswith(magic)), None)


def _start(file: Path | str | BinaryIO) -> bytes:
    if isinstance(file, (str, os.PathLike)):
        with Path(file).open("rb") as opened:
            return opened.read(_START)
    file.seek(0)
    return file.read(_START)
