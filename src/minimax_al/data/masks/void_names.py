"""Names of pixels without a class."""

import re

VOID_NAMES = frozenset(
    (
        *("void", "ignore", "ignored", "unlabelled", "unlabeled", "unannotated", "undefined", "dontcare"),
        *("donotcare", "outofroi", "nolabel", "noclass", "notlabelled", "notlabeled", "invalid"),
    )
)
"""Names of void, in lower case and letters only."""

_ENDINGS = ("", "class", "label", "area", "region", "regions", "pixel", "pixels", "index")


def is_void(name: str) -> bool:
    """Return whether a name in a list of classes denotes pixels without a class.

    Case, digits, spaces and punctuation do not count, and neither does an ending such as "class", "label", "area" or
    "pixels". "background", "other" and "unknown" are classes.

    Example:
        >>> [is_void(name) for name in ("Void", "ignore_label", "Un-labelled area", "background", "other")]
        [True, True, True, False, False]
    """
    letters = "".join(re.findall("[a-z]+", name.lower()))
    return any(letters.removesuffix(ending) in VOID_NAMES for ending in _ENDINGS)
