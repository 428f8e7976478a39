"""Names of mask files and of the colour maps next to them."""

_WORDS = ("mask", "label", "labels", "segmentation", "seg", "gt", "train_id")
MASK_ENDINGS = (
    "",
    "_L",
    *(f"{sign}{case(word)}" for word in _WORDS for sign in "_-." for case in (str, str.capitalize, str.upper)),
)
"""Endings that a mask's name may have after the name of its image."""

LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
"""File name endings, in lower case, of a format that changes the values of pixels."""

COLOUR_MAPS = (
    *(
        f"{stem}.{suffix}"
        for stem in ("colours", "colors", "colour_map", "color_map", "class_dict")
        for suffix in ("csv", "json", "yaml", "yml")
    ),
    "labelmap.txt",
)
"""Names of colour maps; the last is the one that CVAT writes next to its masks."""


def shorter_names(stem: str) -> list[str]:
    """Return the names that the image of a mask may have, where the mask's name has an ending.

    Args:
        stem: Mask's name without its file name suffix.

    Example:
        >>> shorter_names("7_L"), shorter_names("7")
        (['7'], [])
    """
    return [stem.removesuffix(ending) for ending in MASK_ENDINGS if ending and stem.endswith(ending)]
