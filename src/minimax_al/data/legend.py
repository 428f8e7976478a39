"""What the values of a mask mean: label numbers or colours, to classes and to void."""

import csv
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from minimax_al.errors import ConfigurationError, DataError, nearest

Rgb = tuple[int, int, int]

IGNORED = 255
"""Class number of a pixel without a class, as in `minimax_al.data.dataset`, which needs torch."""

VOID_NAMES = frozenset({"void", "ignore", "ignored", "unlabelled", "unlabeled"})
"""Names, in any case, in lists of classes that stand for pixels without a class."""

_NO_CLASS = -1
_LABELS = 1 << 16


@dataclass(frozen=True)
class Legend:
    """Which mask values are which classes.

    Masks hold label numbers where `colours` is empty, and colours otherwise. The label 255 is always void.

    Attributes:
        class_names: of the classes, without void, in the order of their numbers.
        labels: label number in the file → class number, or 255 for void.
        colours: red, green and blue in the file → class number, or 255 for void.

    Example:
        >>> legend = Legend.of_names(["road", "void", "tree"])
        >>> legend.class_names, legend.labels
        (('road', 'tree'), {0: 0, 1: 255, 2: 1})
    """

    class_names: tuple[str, ...]
    labels: Mapping[int, int] = field(default_factory=dict)
    colours: Mapping[Rgb, int] = field(default_factory=dict)

    @classmethod
    def of_names(cls, names: Sequence[str]) -> "Legend":
        """Masks whose label i is the i-th name.

        Args:
            names: in the order of the labels; those of `VOID_NAMES` stand for no class.

        Raises:
            DataError: a name is there twice, or there are more classes than a mask can tell apart.
        """
        numbers = _numbers(names)
        return cls(_classes(numbers), {label: numbers[name] for label, name in enumerate(names)})

    @classmethod
    def of_numbers(cls, class_names: Sequence[str]) -> "Legend":
        """Masks whose numbers are those of the classes, whatever these are called; 255 is void."""
        return cls(tuple(class_names), {number: number for number in range(len(class_names))})

    @classmethod
    def of_colours(cls, colours: Mapping[str, Rgb], class_names: Sequence[str] | None = None) -> "Legend":
        """Masks in colour; classes are numbered in the order of the map.

        Args:
            colours: red, green and blue of each name, from 0 to 255; names of `VOID_NAMES` stand for no class.
            class_names: the classes in the order of their numbers, where that is fixed; other names stand for none.

        Raises:
            DataError: two names have one colour, or there are more classes than a mask can tell apart.
        """
        counts = Counter(colours.values())
        for name, colour in colours.items():
            if counts[colour] > 1:
                twins = [other for other in colours if colours[other] == colour]
                raise DataError(f"{twins[0]!r} and {twins[1]!r} have the same colour {colour}: pixels could be either")
            if any(not 0 <= value <= 255 for value in colour):
                raise DataError(f"the colour {colour} of {name!r} is none: red, green and blue are 0 to 255 each")
        numbers = _numbers(list(colours))
        names = _classes(numbers)
        if class_names is not None:
            names = tuple(class_names)
            numbers = dict.fromkeys(colours, IGNORED) | {name: number for number, name in enumerate(names)}
        return cls(names, colours={colour: numbers[name] for name, colour in colours.items()})

    def read(self, mask: Image.Image, name: str) -> NDArray[np.uint8]:
        """Class numbers of a mask's pixels.

        Args:
            mask: the image file's content.
            name: what errors call it.

        Returns:
            (H, W), 255 where void.

        Raises:
            DataError: a label or a colour is no class, a pixel is see-through, or the mask is in colour and there is
                no map; names the value, the file and the first such pixel.
        """
        _check_opaque(mask, name)
        if self.colours:
            return self._of_colours(np.asarray(mask.convert("RGB")), name)
        return self._of_labels(_label_values(mask, name), name)

    def _of_labels(self, labels_HW: NDArray[np.int64], name: str) -> NDArray[np.uint8]:
        table = np.full(_LABELS, _NO_CLASS, dtype=np.int16)
        table[IGNORED] = IGNORED
        table[list(self.labels)] = list(self.labels.values())
        numbers_HW = table[labels_HW.clip(0, _LABELS - 1)]
        wrong = (numbers_HW == _NO_CLASS) | (labels_HW != labels_HW.clip(0, _LABELS - 1))
        if wrong.any():
            row, column = _first_place(wrong)
            raise DataError(
                f"the mask {name!r} has the label {labels_HW[row, column]} at pixel (row {row}, column {column}), but "
                f"the labels of the {len(self.class_names)} classes are {_spans(self.labels)}, and 255 is void"
            )
        return np.asarray(numbers_HW, dtype=np.uint8)

    def _of_colours(self, pixels_HW3: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
        codes = np.array(sorted(map(_packed, self.colours)))
        numbers = np.array([number for _, number in sorted((_packed(c), n) for c, n in self.colours.items())])
        packed_HW = (pixels_HW3.astype(np.int32) << np.array([16, 8, 0])).sum(axis=2)
        positions_HW = np.searchsorted(codes, packed_HW).clip(max=len(codes) - 1)
        wrong = codes[positions_HW] != packed_HW
        if wrong.any():
            row, column = _first_place(wrong)
            colour = tuple(pixels_HW3[row, column].tolist())
            raise DataError(
                f"the mask {name!r} has the colour {colour} at pixel (row {row}, column {column}), and the colour map "
                f"of {len(self.colours)} colours does not have it"
            )
        return np.asarray(numbers[positions_HW], dtype=np.uint8)


def read_class_list(path: Path) -> list[str]:
    """The names in a text file, one a line; empty lines are left out.

    Raises:
        DataError: the file cannot be read, or holds no name.
    """
    names = [line.strip() for line in _text(path).splitlines() if line.strip()]
    if not names:
        raise DataError(f"{str(path)!r} lists no class: write one name a line")
    return names


def read_colour_map(path: Path) -> dict[str, Rgb]:
    """The colour of each class, from a file.

    Args:
        path: `.csv` of rows "name,red,green,blue" (a header is skipped); `.json`, `.yaml` or `.yml` of
            `name: [red, green, blue]`; or `.txt` of lines "name:red,green,blue:…", as CVAT writes it.

    Raises:
        DataError: the file cannot be read, or an entry is no colour; names it.
    """
    if path.suffix.lower() == ".csv":
        rows = [row for row in csv.reader(_text(path).splitlines()) if row]
        if rows and not any(value.strip().isdigit() for value in rows[0][1:]):
            rows = rows[1:]
        entries = [(row[0].strip(), row[1:]) for row in rows]
    elif path.suffix.lower() == ".txt":
        entries = _label_map(_text(path))
    else:
        entries = list(_mapping(path).items())
    colours: dict[str, Rgb] = {}
    for name, value in entries:
        if name in colours:
            raise DataError(f"the colour map {str(path)!r} names {name!r} twice")
        colours[name] = as_colour(value, f"{name!r} in the colour map {str(path)!r}")
    if not colours:
        raise DataError(f"the colour map {str(path)!r} is empty")
    return colours


def as_colour(value: object, whose: str) -> Rgb:
    """Red, green and blue from three whole numbers, or from text of them.

    Raises:
        DataError: the value is none; says whose it is.
    """
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 3:
        numbers = [int(part) for part in value if str(part).strip().isdigit()]
        if len(numbers) == 3 and max(numbers) <= 255:
            return numbers[0], numbers[1], numbers[2]
    raise DataError(f"the colour {value!r} of {whose} is none: give red, green and blue, 0 to 255 each")


def in_order(colours: Mapping[str, Rgb], names: Sequence[str]) -> dict[str, Rgb]:
    """A colour map in the order of a list of classes.

    Raises:
        DataError: one names a class that the other does not.
    """
    for name in names:
        if name not in colours:
            raise DataError(f"the class {name!r} has no colour in the colour map{nearest(name, colours)}")
    for name in colours:
        if name not in names and name.lower() not in VOID_NAMES:
            raise DataError(
                f"the colour map names {name!r}, which is not in the list of classes{nearest(name, names)}; "
                "where its pixels are of no class, call it void"
            )
    return {name: colours[name] for name in [*names, *(name for name in colours if name not in names)]}


def _numbers(names: Sequence[str]) -> dict[str, int]:
    """Class number of each name, 255 for void."""
    for name, count in Counter(names).items():
        if count > 1:
            raise DataError(f"class names must differ, but {name!r} is there {count} times")
    kept = [name for name in names if name.lower() not in VOID_NAMES]
    if len(kept) > IGNORED:
        raise ConfigurationError(f"{len(kept)} classes are more than the {IGNORED} that masks of 8 bits can tell apart")
    return {name: kept.index(name) if name in kept else IGNORED for name in names}


def _classes(numbers: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(name for name, number in numbers.items() if number != IGNORED)


def _check_opaque(mask: Image.Image, name: str) -> None:
    """What lies under a see-through pixel is not what people drew."""
    if mask.mode in {"RGBA", "LA", "PA"}:
        seen_through = np.asarray(mask.getchannel("A")) != 255
        if seen_through.any():
            row, column = _first_place(seen_through)
            raise DataError(
                f"the mask {name!r} is see-through at pixel (row {row}, column {column}), so it has no value there: "
                "save it without transparency"
            )


def _label_values(mask: Image.Image, name: str) -> NDArray[np.int64]:
    """A mask's label numbers; grey pixels that were saved as RGB are labels too."""
    if mask.mode == "F":
        raise DataError(f"the mask {name!r} holds fractions: save whole label numbers")
    if mask.mode in {"1", "L", "P", "I"} or mask.mode.startswith("I;"):
        return np.asarray(mask).astype(np.int64)
    pixels_HW3 = np.asarray(mask.convert("RGB"))
    coloured = (pixels_HW3 != pixels_HW3[..., :1]).any(axis=2)
    if coloured.any():
        row, column = _first_place(coloured)
        raise DataError(
            f"the mask {name!r} is in colour ({tuple(pixels_HW3[row, column].tolist())} at pixel (row {row}, column "
            f"{column})), and nothing says which colour is which class: give a colour map, colours.csv beside the "
            "masks with a row name,red,green,blue for each class"
        )
    return pixels_HW3[..., 0].astype(np.int64)


def _first_place(wrong_HW: NDArray[np.bool_]) -> tuple[int, int]:
    row, column = divmod(int(wrong_HW.argmax()), wrong_HW.shape[1])
    return row, column


def _packed(colour: Rgb) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def _spans(labels: Collection[int]) -> str:
    """Labels in short: "0 to 10"."""
    low, high = min(labels), max(labels)
    return f"{low} to {high}" if high - low + 1 == len(labels) else ", ".join(map(str, sorted(labels)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{str(path)!r} cannot be read as text: {error}") from error


def _label_map(text: str) -> list[tuple[str, Any]]:
    """Names and colours of lines "name:red,green,blue:parts:actions"; a line that begins with # is a comment."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    parts = [(*line.split(":"), "")[:2] for line in lines]
    return [(name.strip(), colour.split(",")) for name, colour in parts]


def _mapping(path: Path) -> dict[str, Any]:
    text = _text(path)
    try:
        content = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        raise DataError(f"the colour map {str(path)!r} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"the colour map {str(path)!r} must map names to [red, green, blue]")
    return {str(name): value for name, value in content.items()}
