"""Other spellings of a file name that tables and tools write: backslashes, URLs, Unicode forms."""

import os
import unicodedata
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


def find_file(folder: str, name: str, where: str) -> str:
    """Return the path of a table's file in its folder, in the spelling that exists; as it is written where none does.

    Args:
        folder: Folder that the name is relative to.
        name: Path as the table has it.
        where: Start of the error's sentence.

    Raises:
        DataError: Two spellings are two files.
    """
    # os.path, not pathlib: a million paths are made, and kept as plain strings.
    path = os.path.join(folder, name)  # noqa: PTH118
    if os.path.exists(path):  # noqa: PTH110
        return path
    found = {other: joined for other in spellings(name) if os.path.exists(joined := os.path.join(folder, other))}  # noqa: PTH110, PTH118
    if not found:
        return path
    first, *others = found
    for other in others:
        # Two Unicode forms are one file on systems that ignore the form.
        if not os.path.samefile(found[first], found[other]):  # noqa: PTH121
            raise DataError(f"{where}: {name!r} may be {first!a} or {other!a}: write the one that is meant")
    return found[first]
