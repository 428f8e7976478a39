"""Files that name the classes of masks: lists of names, and colour maps."""

import csv
import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from minimax_al.data.masks.legend import Rgb
from minimax_al.data.masks.mask_names import COLOUR_MAPS
from minimax_al.data.masks.void_names import is_void
from minimax_al.data.tables.text_files import read_text
from minimax_al.errors import DataError, nearest

_HEX = re.compile("#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
_LABEL_MAP_LINE = re.compile(r"(.+?):(\s*\d+\s*,\s*\d+\s*,\s*\d+\s*)(?::|$)")
_DELIMITERS = (",", ";", "\t", "|")
_HEADERS = (
    ("name", "class", "label", "class_name"),
    ("red", "r"),
    ("green", "g"),
    ("blue", "b"),
)
"""Names of the columns of name, red, green and blue."""


def read_class_list(path: Path) -> list[str]:
    """Return the names in a text file, one per line; empty lines and comments ("# …") are skipped.

    Args:
        path: Text file.

    Raises:
        DataError: The file cannot be read, or has no name.
    """
    lines = [line.strip() for line in read_text(path).splitlines()]
    names = [line for line in lines if line and not line.startswith("# ")]
    if not names:
        raise DataError(f"{str(path)!r} lists no class: write one name per line")
    return names


def read_colour_map(path: Path) -> dict[str, Rgb]:
    """Return the colour of each class, read from a file.

    Names are text in every format: `no`, `007` and `2024-01-01` in YAML are names as they are written.

    Args:
        path: `.csv` of rows "name,red,green,blue" or "name,#rrggbb", in the order of the header where there is one;
            `.json`, `.yaml` or `.yml` of `name: [red, green, blue]` or `name: "#rrggbb"`; or `.txt` of lines
            "name:red,green,blue:…", as CVAT writes it.

    Raises:
        DataError: The file cannot be read, a name occurs twice, or an entry is not a colour.
    """
    if path.suffix.lower() == ".csv":
        entries = _table(path)
    elif path.suffix.lower() == ".txt":
        entries = _label_map(read_text(path))
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
        parts = [str(part).strip() for part in value]
        numbers = [int(part) for part in parts if part.isdecimal() and len(part) <= 3]
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


def find_colour_map(folder: Path) -> Path | None:
    """Return the first colour map in a folder, in the order of `COLOUR_MAPS`; case does not count."""
    return find_file_of(folder, COLOUR_MAPS)


def find_file_of(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the first file in a folder that has one of the names, in lower case; case does not count."""
    files = {entry.name.lower(): entry for entry in sorted(folder.iterdir(), reverse=True) if entry.is_file()}
    return next((files[name] for name in names if name in files), None)


def _table(path: Path) -> list[tuple[str, Any]]:
    """Return names and colours of a CSV file, by its header or in the order name, red, green, blue."""
    lines = read_text(path).splitlines()
    delimiter = max(_DELIMITERS, key=lines[0].count) if lines else ","
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    except csv.Error as error:
        raise DataError(f"the colour map {str(path)!r} is not CSV: {error}") from error
    rows = [_without_blank_end(row) for row in rows if any(row)]
    order: Sequence[int] | None = None
    if rows and not any(value.isdecimal() or _HEX.fullmatch(value) for value in rows[0]):
        order = _order([cell.lower() for cell in rows.pop(0)])
    if order is not None:
        rows = [[row[position] for position in order if position < len(row)] for row in rows]
    return [(row[0], row[1] if len(row) == 2 else row[1:]) for row in rows]


def _without_blank_end(row: list[str]) -> list[str]:
    """Return a row without the blank cells that Excel puts at its end."""
    return row[: max(number for number, cell in enumerate(row, start=1) if cell)]


def _order(header: Sequence[str]) -> list[int] | None:
    """Return the positions of name, red, green and blue in a header; None where it does not name all of them."""
    found = [next((number for number, cell in enumerate(header) if cell in names), None) for names in _HEADERS]
    return [number for number in found if number is not None] if None not in found else None


def _label_map(text: str) -> list[tuple[str, Any]]:
    """Return names and colours of lines "name:red,green,blue:parts:actions"; lines that begin with # are comments."""
    lines = [line.strip() for line in text.splitlines()]
    entries = []
    for line in lines:
        if not line or line.startswith("#"):
            continue
        found = _LABEL_MAP_LINE.match(line)  # names may have colons, too
        name, colour = (found[1], found[2]) if found else (*line.split(":"), "")[:2]
        entries.append((name.strip(), colour.split(",")))
    return entries


def _mapping(path: Path) -> list[tuple[str, Any]]:
    """Return the entries of a JSON or YAML file in their order, doubled names included."""
    text = read_text(path)
    try:
        if path.suffix.lower() == ".json":
            content = json.loads(text, object_pairs_hook=lambda pairs: pairs)
        else:
            content = _yaml_pairs(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
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
