"""Files of JSON, as Label Studio and COCO have them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minimax_al.errors import DataError

_START = 1 << 16
"""Bytes by which a list is recognised."""
_BRIEF = 60
"""Longest value in an error's sentence, in characters."""


def read_json(source: Path, shown: Path | None = None) -> object:
    """Return the content of a JSON file; messages name `shown`, by default the file itself.

    Raises:
        DataError: The file cannot be read, or is not JSON.
    """
    try:
        content: object = json.loads(source.read_bytes())
    except OSError as error:
        raise DataError(f"{str(shown or source)!r} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{str(shown or source)!r} is not JSON: {error}") from error
    return content


def begins_as_list(source: Path) -> bool:
    """Return whether a JSON file holds a list; only its beginning is read, because the file may be long."""
    with source.open("rb") as file:
        start = file.read(_START)
    return start.decode(json.detect_encoding(start), "ignore").lstrip("\ufeff \t\r\n").startswith("[")


def objects(owner: object, key: str, where: str) -> list[Mapping[str, Any]]:
    """Return the member of a JSON object that is a list of objects.

    Args:
        owner: Value from the file.
        key: Name of the member.
        where: Start of the error's sentence.

    Raises:
        DataError: The owner is not an object, or the member is missing or is something else.

    Example:
        >>> objects({"images": [{"id": 1}]}, "images", "'x.json'")
        [{'id': 1}]
    """
    found = member(owner, key, where)
    if not isinstance(found, list):
        raise DataError(f"{where}: {key!r} is {brief(found)}, and it should be a list of objects")
    wrong = next((one for one in found if not isinstance(one, Mapping)), None)
    if wrong is not None or None in found:
        raise DataError(f"{where}: {key!r} has the entry {brief(wrong)}, and each should be an object")
    return found


def member(owner: object, key: str, where: str) -> Any:  # noqa: ANN401 - any JSON
    """Return a member of a JSON object.

    Args:
        owner: Value from the file.
        key: Name of the member.
        where: Start of the error's sentence.

    Raises:
        DataError: The owner is not an object, or has no such member.
    """
    if not isinstance(owner, Mapping):
        raise DataError(f"{where}: {brief(owner)} should be an object with {key!r}")
    if key not in owner:
        raise DataError(f"{where}: {key!r} is missing")
    return owner[key]


def brief(value: object) -> str:
    """Return a JSON value as a file has it, shortened.

    Example:
        >>> brief(None), brief([1, 2]), brief("x" * 99)[-5:]
        ('null', '[1, 2]', 'xxxx…')
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}…"
