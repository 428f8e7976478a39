"""Legend of masks: label numbers or colours, to class numbers and void."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minimax_al.data.masks.void_names import is_void
from minimax_al.errors import ConfigurationError, DataError, nearest
from minimax_al.vocabulary import IGNORED

Rgb = tuple[int, int, int]

_NO_CLASS = -1
_LABELS = 1 << 16


@dataclass(frozen=True)
class Legend:
    """Class number of every value that a mask may hold.

    Masks hold label numbers where `colours` is empty, and colours otherwise. The label 255 is always void.

    Attributes:
        class_names: Names of the classes, without void, in the order of their numbers.
        labels: Class number, or 255 for void, of each label number in the file.
        colours: Class number, or 255 for void, of each red, green and blue in the file.

    Example:
        >>> legend = Legend.of_names(["road", "void", "tree"])
        >>> legend.class_names, legend.labels
        (('road', 'tree'), {0: 0, 1: 255, 2: 1})
    """

    class_names: tuple[str, ...]
    labels: Mapping[int, int] = field(default_factory=dict)
    colours: Mapping[Rgb, int] = field(default_factory=dict)

    @classmethod
    def of_names(cls, names: Sequence[str], void: Collection[str] | None = None) -> "Legend":
        """Return the legend of masks whose label i is the i-th name.

        Args:
            names: Names in the order of the labels.
            void: Names of pixels without a class; by default those that `is_void` recognises.

        Raises:
            DataError: A name occurs twice, or `void` has a name that `names` lacks.
            ConfigurationError: The classes are more than a mask of 8 bits can hold, or one has the label 255.
        """
        numbers = _numbers(names, void)
        return cls(_classes(numbers), _checked({label: numbers[name] for label, name in enumerate(names)}, names))

    @classmethod
    def of_numbers(cls, class_names: Sequence[str]) -> "Legend":
        """Return the legend of masks that hold class numbers, whatever the classes are called; 255 is void.

        Raises:
            ConfigurationError: The classes are more than 255.
        """
        if len(class_names) > IGNORED:
            raise ConfigurationError(_too_many(len(class_names)))
        return cls(tuple(class_names), {number: number for number in range(len(class_names))})

    @classmethod
    def of_colours(
        cls,
        colours: Mapping[str, Rgb],
        class_names: Sequence[str] | None = None,
        void: Collection[str] | None = None,
    ) -> "Legend":
        """Return the legend of masks in colour; classes are numbered in the order of the map.

        Args:
            colours: Red, green and blue of each name, 0 to 255 each.
            class_names: Class names in the order of their numbers, if it is fixed; all other names are void.
            void: Names of pixels without a class; by default those that `is_void` recognises.

        Raises:
            DataError: Two names have one colour, or `void` has a name that `colours` lacks.
            ConfigurationError: The classes are more than a mask of 8 bits can hold.
        """
        counts = Counter(colours.values())
        for name, colour in colours.items():
            if counts[colour] > 1:
                twins = [other for other in colours if colours[other] == colour]
                raise DataError(f"{twins[0]!r} and {twins[1]!r} have the same colour {colour}: pixels could be either")
            if any(not 0 <= value <= 255 for value in colour):
                raise DataError(f"the colour {colour} of {name!r} is invalid: red, green and blue are 0 to 255 each")
        numbers = _numbers(list(colours), void)
        names = _classes(numbers)
        if class_names is not None:
            names = tuple(class_names)
            numbers = dict.fromkeys(colours, IGNORED) | {name: number for number, name in enumerate(names)}
        return cls(names, colours={colour: numbers[name] for name, colour in colours.items()})

    def read(self, mask: Image.Image, name: str) -> NDArray[np.uint8]:
        """Return the class numbers of a mask's pixels.

        Args:
            mask: Decoded mask file.
            name: Name of the mask in errors.

        Returns:
            Class numbers, shape (H, W), uint8, 255 where void.

        Raises:
            DataError: A label or a colour is not a class, a pixel is transparent, or the mask is in colour and the
                legend has no colours. The sentence has the value, the file and the first such pixel.
        """
        _check_opaque(mask, name)
        if self.colours:
            return self._of_colours(np.asarray(mask.convert("RGB")), name)
        return self._of_labels(_label_values(mask, name), name)

    def _of_labels(self, labels_HW: NDArray[np.uint8] | NDArray[np.int64], name: str) -> NDArray[np.uint8]:
        table = np.full(_LABELS, _NO_CLASS, dtype=np.int16)
        table[IGNORED] = IGNORED
        table[list(self.labels)] = list(self.labels.values())
        if labels_HW.dtype == np.uint8:  # every label is in the table: masks of many megapixels need no copies
            wrong = (table == _NO_CLASS)[labels_HW]
            numbers_HW = table.astype(np.uint8)[labels_HW]
        else:
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


def _numbers(names: Sequence[str], void: Collection[str] | None) -> dict[str, int]:
    """Return the class number of each name, 255 for void."""
    for name, count in Counter(names).items():
        if count > 1:
            raise DataError(f"class names must differ, but {name!r} is there {count} times")
    for name in void or ():
        if name not in names:
            raise DataError(f"void={name!r} is not in the list of names{nearest(name, names)}")
    kept = [name for name in names if not (is_void(name) if void is None else name in void)]
    if len(kept) > IGNORED:
        raise ConfigurationError(_too_many(len(kept)))
    return {name: kept.index(name) if name in kept else IGNORED for name in names}


def _too_many(count: int) -> str:
    return f"{count} classes are more than the {IGNORED} that masks of 8 bits can tell apart"


def _checked(labels: dict[int, int], names: Sequence[str]) -> dict[int, int]:
    """Return the class number of each label; refuse a class with the label 255, which is void in every mask."""
    if labels.get(IGNORED, IGNORED) != IGNORED:
        raise ConfigurationError(
            f"the class {names[IGNORED]!r} has the label {IGNORED}, which is void in every mask: list at most "
            f"{IGNORED} names, or a name for void in place {IGNORED + 1}"
        )
    return labels


def _classes(numbers: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(name for name, number in numbers.items() if number != IGNORED)


def _check_opaque(mask: Image.Image, name: str) -> None:
    """Refuse transparent pixels: the colour under transparency is not part of the drawing."""
    if mask.mode in {"RGBA", "LA", "PA"}:
        transparent = np.asarray(mask.getchannel("A")) != 255
        if transparent.any():
            row, column = _first_place(transparent)
            raise DataError(
                f"the mask {name!r} is transparent at pixel (row {row}, column {column}), so it has no value there: "
                "save it without transparency"
            )


def _label_values(mask: Image.Image, name: str) -> NDArray[np.uint8] | NDArray[np.int64]:
    """Return a mask's label numbers; grey pixels that were saved as RGB are labels too."""
    if mask.mode == "F":
        raise DataError(f"the mask {name!r} holds fractions: save whole label numbers")
    if mask.mode in {"1", "L", "P", "I"} or mask.mode.startswith("I;"):
        labels = np.asarray(mask)
        return labels if labels.dtype == np.uint8 else labels.astype(np.int64)
    pixels_HW3 = np.asarray(mask.convert("RGB"))
    coloured = (pixels_HW3 != pixels_HW3[..., :1]).any(axis=2)
    if coloured.any():
        row, column = _first_place(coloured)
        raise DataError(
            f"the mask {name!r} is in colour ({tuple(pixels_HW3[row, column].tolist())} at pixel (row {row}, column "
            f"{column})), and the classes of its colours are unknown: give a colour map, colours.csv next to the masks "
            "with a row name,red,green,blue for each class"
        )
    return pixels_HW3[..., 0].astype(np.int64)


def _first_place(wrong_HW: NDArray[np.bool_]) -> tuple[int, int]:
    row, column = divmod(int(wrong_HW.argmax()), wrong_HW.shape[1])
    return row, column


def _packed(colour: Rgb) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def _spans(labels: Collection[int]) -> str:
    """Return labels in short form: "0 to 10"."""
    low, high = min(labels), max(labels)
    return f"{low} to {high}" if high - low + 1 == len(labels) else ", ".join(map(str, sorted(labels)))
