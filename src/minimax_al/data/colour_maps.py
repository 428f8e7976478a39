"""Files that name the classes of masks: lists of names, and colour maps."""

import csv
import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from minimax_al.data.legend import Rgb
from minimax_al.data.void_names import is_void
from minimax_al.errors import DataError, nearest

_HEX = re.compile("#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


def read_class_list(path: Path) -> list[str]:
    """Return the names in a text file, one per line; empty lines are skipped.

    Args:
        path: Text file, UTF-8.

    Raises:
        DataError: The file cannot be read, or has no name.
    """
    names = [line.strip() for line in _text(path).splitlines() if line.strip()]
    if not names:
        raise DataError(f"{str(path)!r} lists no class: write one name per line")
    return names


def read_colour_map(path: Path) -> dict[str, Rgb]:
    """Return the colour of each class, read from a file.

    Names are text in every format: `no`, `007` and `2024-01-01` in YAML are names as they are written.

    Args:
        path: `.csv` of rows "name,red,green,blue" (a header is skipped); `.json`, `.yaml` or `.yml` of
            `name: [red, green, blue]` or `name: "#rrggbb"`; or `.txt` of lines "name:red,green,blue:…", as CVAT
            writes it.

    Raises:
        DataError: The file cannot be read, a name occurs twice, or an entry is not a colour.
    """
    if path.suffix.lower() == ".csv":
        rows = [row for row in csv.reader(_text(path).splitlines()) if row]
        if rows and not any(value.strip().isdecimal() for value in rows[0][1:]):
            rows = rows[1:]
        entries = [(row[0].strip(), row[1:]) for row in rows]
    elif path.suffix.lower() == ".txt":
        entries = _label_map(_text(path))
    else:
        entries = _mapping(path)
    colours: dict[str, Rgb] = {}
    for name, value in entries:
        if name in colours:
            raise DataError(f"the colour map {str(path)!r} names {name!r} twice")
        colours[name] = as_colour(value, f"{name!r} in the colour map {str(path)!r}")
    if not colours:
        raise DataError(f"the colour map {str(path)!r} is empty")
    return colours


def as_colour(value: object, whose: str) -> Rgb:
    """Return red, green and blue from three integers, three texts of integers, or "#rrggbb".

    Args:
        value: Value from a file or a caller.
        whose: Owner of the colour, for the error.

    Raises:
        DataError: The value is not a colour.
    """
    found = _HEX.fullmatch(value) if isinstance(value, str) else None
    if found is not None:
        red, green, blue = (int(part, 16) for part in found.groups())
        return red, green, blue
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 3:
        numbers = [int(part) for part in value if str(part).strip().isdecimal()]
        if len(numbers) == 3 and max(numbers) <= 255:
            return numbers[0], numbers[1], numbers[2]
    raise DataError(f"the colour {value!r} of {whose} is invalid: give red, green and blue, 0 to 255 each")


def in_order(colours: Mapping[str, Rgb], names: Sequence[str], void: Collection[str] | None = None) -> dict[str, Rgb]:
    """Return a colour map in the order of a list of classes.

    Args:
        colours: Colour of each name.
        names: Class names in the order of their numbers.
        void: Names of pixels without a class; by default those that `is_void` recognises.

    Raises:
        DataError: The list or the map has a class that the other lacks.
    """
    for name in names:
        if name not in colours:
            raise DataError(f"the class {name!r} has no colour in the colour map{nearest(name, colours)}")
    for name in colours:
        if name not in names and not (is_void(name) if void is None else name in void):
            raise DataError(
                f"the colour map names {name!r}, which is not in the list of classes{nearest(name, names)}; "
                "where its pixels are of no class, call it void"
            )
    return {name: colours[name] for name in [*names, *(name for name in colours if name not in names)]}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{str(path)!r} cannot be read as text: {error}") from error


def _label_map(text: str) -> list[tuple[str, Any]]:
    """Return names and colours of lines "name:red,green,blue:parts:actions"; lines that begin with # are comments."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    parts = [(*line.split(":"), "")[:2] for line in lines]
    return [(name.strip(), colour.split(",")) for name, colour in parts]


def _mapping(path: Path) -> list[tuple[str, Any]]:
    """Return the entries of a JSON or YAML file in their order, doubled names included."""
    text = _text(path)
    try:
        if path.suffix.lower() == ".json":
            content = json.loads(text, object_pairs_hook=lambda pairs: pairs)
        else:
            content = _yaml_pairs(text)
    except (json.JSONDecodeError, yaml.YAMLError, RecursionError) as error:
        raise DataError(f"the colour map {str(path)!r} cannot be read: {error}") from error
    if not isinstance(content, list) or not all(isinstance(entry, tuple) for entry in content):
        raise DataError(f"the colour map {str(path)!r} must map names to [red, green, blue]")
    return content


def _yaml_pairs(text: str) -> object:
    """Return the entries of a YAML mapping, all scalars as text.

    YAML 1.1 reads `no` as false, `007` as 7 and `12:30` as 750, which would rename classes.
    """
    node = yaml.compose(text, Loader=yaml.BaseLoader)
    if not isinstance(node, yaml.MappingNode):
        return None
    plain = yaml.BaseLoader("")
    return [
        (str(plain.construct_object(key, deep=True)), plain.construct_object(value, deep=True))
        for key, value in node.value
    ]
