"""Files of JSON, as Label Studio and COCO have them."""

import json
from pathlib import Path

from minimax_al.errors import DataError


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
        return file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
