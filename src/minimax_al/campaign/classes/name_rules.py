"""Rules of class names: they can be written to a file and read again, and annotators can tell them apart."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from minimax_al.errors import ConfigurationError, DataError


def check_class_names(names: Sequence[str]) -> None:
    """Refuse names that could not be written to a file and read again, or told apart.

    Raises:
        ConfigurationError: A name is empty, has spaces around it, or unprintable characters.
        DataError: A name occurs twice, or in two Unicode forms.
    """
    for name in names:
        if (reason := why_not_a_class(name)) is not None:
            raise ConfigurationError(reason)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"class names must differ, but {twice[0]!r} is there {names.count(twice[0])} times")
    for position, name in enumerate(names):
        twin = class_twin(name, names[:position])
        if twin is not None and twin.looks_the_same:
            raise DataError(f"class names must differ, but {twin.why(name)}: give one of them")


def why_not_a_class(name: str) -> str | None:
    """Return why a name is not a class name, or None.

    Example:
        >>> why_not_a_class("egret"), why_not_a_class(" egret")
        (None, "class name ' egret' is invalid: give printable text without spaces around it")
    """
    if not name or name != name.strip() or not name.isprintable():
        return f"class name {name!r} is invalid: give printable text without spaces around it"
    return None


class Twin(NamedTuple):
    """Class whose name another name is easily taken for.

    Attributes:
        name: Name of the class.
        looks_the_same: Whether both names are two Unicode forms of one text.
    """

    name: str
    looks_the_same: bool

    def why(self, other: str) -> str:
        """Return how the names differ, as a part of a sentence."""
        if self.looks_the_same:
            return f"{other!a} and {self.name!a} are two Unicode forms of {self.name!r}"
        return f"the class {other!r} differs from {self.name!r} in case, spaces or invisible characters alone"


def class_twin(name: str, known: Iterable[str]) -> Twin | None:
    """Return the class that a name is easily taken for, or None.

    Example:
        >>> class_twin("juice ", ["Juice"]), class_twin("tea", ["Juice"])
        (Twin(name='Juice', looks_the_same=False), None)
        >>> class_twin("cafe\u0301", ["caf\u00e9"]).looks_the_same
        True
    """
    twins = [other for other in known if other != name and _folded(other) == _folded(name)]
    if not twins:
        return None
    same = [other for other in twins if unicodedata.normalize("NFC", other) == unicodedata.normalize("NFC", name)]
    return Twin((same or twins)[0], bool(same))


def _folded(name: str) -> str:
    """Return a name without invisible letters, differences of case and repeated spaces."""
    visible = "".join(
        letter for letter in unicodedata.normalize("NFKC", name) if letter.isprintable() or letter.isspace()
    )
    return " ".join(visible.casefold().split())
