"""Class folders, and the parts of a split that may hold them.

A folder holds class folders (`CLASS/*`) or the parts of a split, each with class folders (`train/CLASS/*`,
`test/CLASS/*`). Programs spell parts in many ways; `part_role` knows the usual ones. A folder that could mean either
is refused, so that a part never becomes a class.

Folders, tables and features have one rule for validation parts: they are the test part if no other exists, and are not
read next to one (`without_validation`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from minimax_al.data.decoding.decode import IMAGE_SUFFIXES
from minimax_al.data.decoding.foreign_formats import is_archive
from minimax_al.data.locations.scan import is_hidden, printable
from minimax_al.errors import DataError

Role = Literal["train", "test", "validation"]
"""Purpose of a part of a split."""

NOT_READ = "a validation part next to a test part is not read"
"""Why images of the validation part are set aside."""

_ROLES: dict[str, Role] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "eval", "evaluation", "holdout"), "validation"),
}
_OTHER_FOLDERS = frozenset(
    (
        *("images", "image", "imgs", "img", "jpegimages", "pngimages", "labels", "label", "labeltxt", "annotations"),
        *("annotation", "masks", "mask", "imagesets", "segmentationclass", "segmentationobject", "xmls", "bboxes"),
    )
)
"""Folders, in lower case, of data sets of boxes or masks: YOLO, Pascal VOC, and others."""

_PARTS = "train|training|test|testing|val|valid|validation"
_PART_AND_CLASS = (
    re.compile(rf"(?P<part>{_PARTS})[\W_]*(?P<rest>.+)", re.IGNORECASE),
    re.compile(rf"(?P<rest>.+?)[\W_]*(?P<part>{_PARTS})", re.IGNORECASE),
)
"""Names such as trainA, test_cats and cats_train."""

_ENDINGS = ("dataset", "set", "data", "images", "imgs", "split", "part")


@dataclass(frozen=True)
class Parts:
    """Folders that hold class folders.

    Attributes:
        train: Folder of the training part, or the root where the folder is not split.
        test: Folder of the test part, else of the validation part; None without class folders of its own.
        rest: Further parts with class folders.
    """

    train: Path
    test: Path | None = None
    rest: tuple[Path, ...] = ()

    @property
    def labelled(self) -> tuple[Path, ...]:
        """All folders that hold class folders."""
        return (self.train, *(() if self.test is None else (self.test,)), *self.rest)


def part_role(name: str) -> Role | None:
    """Return the part of a split that a folder name denotes.

    Case, digits, punctuation and endings such as "set" or "data" do not count.

    Example:
        >>> [part_role(name) for name in ("Training_Set", "valid", "val2017", "test1", "holdout", "cat")]
        ['train', 'validation', 'validation', 'test', 'validation', None]
    """
    letters = "".join(re.findall("[a-z]+", name.lower()))
    stems = (letters.removesuffix(ending) for ending in ("", *_ENDINGS))
    return next((_ROLES[stem] for stem in stems if stem in _ROLES), None)


def without_validation(roles: Sequence[Role | None]) -> list[Role | None]:
    """Return the roles of images with the validation part as the test part, if no image is in a test part.

    Args:
        roles: Part of each image; None where it is unknown.

    Example:
        >>> without_validation(["train", "validation"]), without_validation(["validation", "test"])
        (['train', 'test'], ['validation', 'test'])
    """
    if "test" in roles:
        return list(roles)
    return ["test" if role == "validation" else role for role in roles]


def class_folders(root: Path) -> list[str]:
    """Return the sorted names of the folders in `root` that do not belong to the system.

    Raises:
        DataError: `root` is not a folder.
    """
    if not root.is_dir():
        kind = "does not exist" if not root.exists() else "is an archive" if is_archive(root) else "is not a folder"
        unpack = "unpack it, and " if kind == "is an archive" else ""
        raise DataError(f"{str(root)!r} {kind}: {unpack}give the folder that holds the class folders")
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not is_hidden(entry.name))


def part_folders(root: Path) -> dict[Role, str]:
    """Return the folder in `root` of each part, by role; the first name in alphabetical order counts."""
    found: dict[Role, str] = {}
    for name in class_folders(root):
        role = part_role(name)
        if role is not None:
            found.setdefault(role, name)
    return found


def find_parts(root: Path) -> Parts:
    """Return the folders of `root` that hold class folders.

    Args:
        root: Folder of class folders or of the parts of a split, or the parent of such parts.

    Raises:
        DataError: The folders are parts of a split without a training part, all hold folders of the same names, name
            a part and a class at once, or are those of a data set of boxes or masks; either way their own names would
            become classes. Or a name is not valid UTF-8.
    """
    parts = _find_parts(root)
    for part in parts.labelled:
        refuse_other_folders(class_folders(part), str(part))
    return parts


def refuse_other_folders(names: Sequence[str], root: str) -> None:
    """Refuse names of folders that are not those of classes.

    Args:
        names: Names of the class folders.
        root: Folder that holds them, for the error.

    Raises:
        DataError: All of them are names of parts and classes, or of the folders of a data set of boxes or masks, or
            one is not valid UTF-8.
    """
    broken = next((name for name in names if printable(name) != name), None)
    if broken is not None:
        raise DataError(f"the name of the class folder '{printable(broken)}' in {root!r} is not valid UTF-8: rename it")
    if len(names) < 2:
        return
    if all(name.lower() in _OTHER_FOLDERS for name in names):
        raise DataError(
            f"the folders {_listed(list(names))} in {root!r} are those of a data set of boxes or masks, not classes: "
            "import its labels as COCO, load images and masks with the source 'masks', or list the images in a "
            "manifest path,label"
        )
    for pattern in _PART_AND_CLASS:
        found = [match for name in names if (match := pattern.fullmatch(name)) is not None]
        rest = [match["rest"].lower() for match in found]
        # One class in two parts: trainA, testA.
        if len(found) == len(names) and len(set(rest)) < len(rest):
            raise DataError(
                f"the folders {_listed(list(names))} in {root!r} name a part and a class at once: call them "
                f"{found[0]['part']}/{found[0]['rest']} and so on, or list the images in a manifest path,label,split"
            )


def _find_parts(root: Path) -> Parts:
    split = _split(root)
    if split is not None:
        return split
    folders = class_folders(root)
    if len(folders) == 1 and not _has_images(root):
        # A zip archive unpacked into a folder of its own: one level deeper, or more.
        inner = root / folders[0]
        deeper = _deeper_split(inner)
        if deeper is not None:
            return deeper
        names = class_folders(inner)
        if len(names) > 1 and not _has_images(inner):
            raise DataError(
                f"{str(root)!r} holds the one folder {folders[0]!r}, which leaves one class: where the classes are "
                f"its folders ({_listed(names)}), give {str(inner)!r}"
            )
    _refuse_hidden_split(root, folders)
    return Parts(root)


def _deeper_split(root: Path, depth: int = 5) -> Parts | None:
    """Return the parts in `root`, or in the only folder of a folder without images; None without parts."""
    split = _split(root)
    folders = class_folders(root)
    if split is not None or depth == 0 or len(folders) != 1 or _has_images(root):
        return split
    return _deeper_split(root / folders[0], depth - 1)


def _split(root: Path) -> Parts | None:
    """Return the parts in `root`; None where its folders are not parts."""
    folders = class_folders(root)
    parts = [(name, role) for name in folders if (role := part_role(name)) is not None]
    roles = {role for _, role in parts}
    if "train" not in roles:
        return None
    # "train" next to other names may be a class of vehicles; alone, it is the training part.
    if len(roles) == 1 and not (len(folders) == 1 and class_folders(root / folders[0])):
        return None
    train = next(name for name, role in parts if role == "train")
    others = [(name, role) for name, role in parts if name != train and class_folders(root / name)]
    ordered = [*(name for name, role in others if role == "test"), *(name for name, role in others if role != "test")]
    return Parts(
        root / train,
        root / ordered[0] if ordered else None,
        tuple(root / name for name in ordered[1:]),
    )


def _refuse_hidden_split(root: Path, folders: list[str]) -> None:
    """Refuse folders that all hold only folders, each of the same names."""
    if len(folders) < 2:
        return
    inner = [class_folders(root / name) for name in folders]
    if not inner[0] or any(names != inner[0] for names in inner) or any(_has_images(root / name) for name in folders):
        return
    if all(part_role(name) is not None for name in inner[0]):
        raise DataError(
            f"each class folder in {str(root)!r} is split into {_listed(inner[0])}: put the split outside, as "
            "train/CLASS and test/CLASS, or list the images in a manifest path,label,split"
        )
    raise DataError(
        f"the folders {_listed(folders)} in {str(root)!r} hold nothing but folders of the same names "
        f"({_listed(inner[0])}), so they look like the parts of a split, not like classes: name one of them 'train' "
        "and another 'test', or give one of them; where they are classes, list the images in a manifest path,label"
    )


def _has_images(folder: Path) -> bool:
    return any(
        entry.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(entry.name) and entry.is_file()
        for entry in folder.iterdir()
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
