"""Other spellings of a file name that tables and tools write: backslashes, URLs, Unicode forms."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from minimax_al.errors import DataError


def spellings(name: str) -> list[str]:
    r"""Return the other spellings that `name` may denote, the likeliest first.

    Windows writes backslashes, some tools write `file:` URLs or percent-encoded names, and macOS decomposes accents
    (NFD) where other systems compose them (NFC).

    Args:
        name: Path as a table has it.

    Example:
        >>> spellings("sub\\b.jpg"), spellings("c%20d.jpg"), spellings("a.jpg")
        (['sub/b.jpg'], ['c d.jpg'], [])
    """
    plain = [name]
    if name.lower().startswith("file:"):
        plain.append(unquote(urlsplit(name).path))
    plain += [other.replace("\\", "/") for other in plain]
    plain += [unquote(other) for other in plain]
    forms = [unicodedata.normalize(form, other) for other in plain for form in ("NFC", "NFD")]
    return [other for other in dict.fromkeys([*plain, *forms]) if other != name]


def find_file(name: str, exists: Callable[[str], bool], where: str) -> str:
    """Return the spelling of a name that exists; the name itself where none does.

    Args:
        name: Path as a table has it.
        exists: Function that returns whether a spelling is a file.
        where: Start of the error's sentence.

    Raises:
        DataError: Two spellings are two files.
    """
    if exists(name):
        return name
    found = [other for other in spellings(name) if exists(other)]
    if len(found) > 1 and not all(_same(found[0], other) for other in found[1:]):
        raise DataError(f"{where}: {name!r} may be {found[0]!a} or {found[1]!a}: write the one that is meant")
    return found[0] if found else name


def _same(one: str, other: str) -> bool:
    """Return whether two paths are one file, as on systems that ignore the Unicode form."""
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
