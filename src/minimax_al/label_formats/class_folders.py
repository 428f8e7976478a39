"""Class folders: one folder per class with copies of its images under their own paths."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from minimax_al.data.decoding.decode import IMAGE_SUFFIXES
from minimax_al.data.locations.class_folders import class_folders, find_parts, part_role, refuse_other_folders
from minimax_al.data.locations.location import copy_image, relative_name
from minimax_al.data.locations.scan import is_hidden, list_files
from minimax_al.errors import DataError
from minimax_al.label_formats.labelled import Context, Given, Labelled

_NOT_IN_FOLDERS = frozenset('/\\:*?"<>|%')


def read(source: Path, context: Context) -> Iterator[Given | DataError]:
    """Yield every image below a class folder, with the folder's name as its label; all parts of a split are read."""
    folders = [part / name for part in find_parts(source).labelled for name in class_folders(part)]
    if not folders:
        raise DataError(f"{str(source)!r} has no class folders: put each class's images in a folder of its name")
    for folder in folders:
        class_name = class_of_folder(folder.name, context.class_names)
        for name in list_files(folder):
            file = folder / name
            if file.suffix.lower() in IMAGE_SUFFIXES:
                yield Given(name, repr(str(file)), class_name, file=file, by_content=True)


def write(out: Path, labelled: Sequence[Labelled], context: Context) -> list[str]:
    """Copy every labelled image to `out/CLASS/PATH`; return a sentence for each image whose file is gone."""
    left_out = []
    folders = _folders_of({str(row.class_name) for row in labelled})
    for row in labelled:
        target = out / folders[str(row.class_name)] / relative_name(row.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            copy_image(context.images / row.path, target)
        except FileNotFoundError:
            left_out.append(f"{row.path!r} is gone from {str(context.images)!r}")
    return left_out


def _folders_of(names: Collection[str]) -> dict[str, str]:
    """Return the folder name of each class; where they would be read as something else, all begin encoded."""
    folders = {name: folder_of_class(name) for name in names}
    roles = {role for folder in folders.values() if (role := part_role(folder)) is not None}
    try:
        refuse_other_folders(sorted(folders.values()), "")
    except DataError:
        roles |= {"train", "test"}
    if len(roles) < 2:
        return folders
    return {name: folder if folder[0] == "%" else quote_first(folder) for name, folder in folders.items()}


def quote_first(folder: str) -> str:
    """Return a folder name whose first character is percent-encoded.

    Example:
        >>> quote_first("train")
        '%74rain'
    """
    return "".join(f"%{byte:02X}" for byte in folder[0].encode()) + folder[1:]


def folder_of_class(name: str) -> str:
    """Return the folder name of a class: characters that folder names cannot have are percent-encoded.

    Example:
        >>> folder_of_class("n/a"), folder_of_class("grey heron"), folder_of_class("..")
        ('n%2Fa', 'grey heron', '%2E.')
    """
    letters = [f"%{ord(letter):02X}" if letter in _NOT_IN_FOLDERS else letter for letter in name]
    for place in (0, -1):  # a hidden folder is not read: its first letter tells that it is hidden, or its ending
        if is_hidden("".join(letters)) and len(letters[place]) == 1:
            letters[place] = f"%{ord(name[place]):02X}"
    return "".join(letters)


def class_of_folder(folder: str, class_names: Sequence[str]) -> str:
    """Return the class that a folder's name means."""
    decoded = unquote(folder)
    return folder if decoded not in class_names and folder in class_names else decoded
