"""What files of masks are called, and the files beside them that say what their colours mean."""

MASK_ENDINGS = ("", "_mask", "_label", "_labels", "_train_id", "_L")
"""What a mask's name may have after that of its image."""

LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
"""File name endings, in lower case, of a format that changes the values that it is given."""

COLOUR_MAPS = (
    *(
        f"{stem}.{suffix}"
        for stem in ("colours", "colors", "colour_map", "color_map", "class_dict")
        for suffix in ("csv", "json", "yaml", "yml")
    ),
    "labelmap.txt",
)
"""Names of files that say which colour is which class; the last is what CVAT puts beside its masks."""


def shorter_names(stem: str) -> list[str]:
    """What the image of a mask may be called, where the mask's name has more than that.

    Args:
        stem: the mask's name without its last ending.

    Example:
        >>> shorter_names("7_L"), shorter_names("7")
        (['7'], [])
    """
    return [stem.removesuffix(ending) for ending in MASK_ENDINGS if ending and stem.endswith(ending)]
