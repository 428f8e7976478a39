"""Label formats: each reads and writes one way in which other programs store labels."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from minimax_al.data.decoding.foreign_formats import is_archive
from minimax_al.errors import ConfigurationError, DataError, UnknownNameError
from minimax_al.label_formats import class_folders, coco, label_studio, mask_folder, table
from minimax_al.label_formats.json_file import begins_as_list
from minimax_al.label_formats.labelled import Context, Given, Labelled
from minimax_al.vocabulary import Task

Read = Callable[[Path, Context], Iterator[Given | DataError]]
Write = Callable[[Path, Sequence[Labelled], Context], list[str] | None]


class Format(NamedTuple):
    """One way to store labels.

    Attributes:
        read: Function that yields the labels of a file or folder, and an error for each wrong one.
        write: Function that writes labels to a file or folder, and returns a sentence for each label that it left out.
        tasks: Tasks whose labels it can hold.
        is_folder: Whether it is a folder.
        keeps_unsure: Whether it can hold the answer "unsure".
    """

    read: Read
    write: Write
    tasks: tuple[Task, ...]
    is_folder: bool = False
    keeps_unsure: bool = False


FORMATS = {
    "csv": Format(table.read, table.write_csv, ("classification",), keeps_unsure=True),
    "parquet": Format(table.read, table.write_parquet, ("classification",), keeps_unsure=True),
    "imagefolder": Format(class_folders.read, class_folders.write, ("classification",), is_folder=True),
    "masks": Format(mask_folder.read, mask_folder.write, ("segmentation",), is_folder=True),
    "coco": Format(coco.read, coco.write, ("classification", "segmentation")),
    "label-studio": Format(label_studio.read, label_studio.write, ("classification", "segmentation")),
}
"""Formats by name."""


def get_format(name: str, task: Task) -> Format:
    """Return the format of that name.

    Raises:
        UnknownNameError: The format does not exist.
        ConfigurationError: It cannot hold the task's labels.
    """
    if name not in FORMATS:
        raise UnknownNameError("format", name, FORMATS)
    if task not in FORMATS[name].tasks:
        fitting = ", ".join(key for key, entry in FORMATS.items() if task in entry.tasks)
        raise ConfigurationError(f"the format {name!r} cannot hold labels of {task}: choose one of {fitting}")
    return FORMATS[name]


def usual_format(out: Path, task: Task) -> str:
    """Return the format of an export whose format is not given.

    Args:
        out: File or folder to write.
        task: Kind of the labels.

    Raises:
        ConfigurationError: The file's ending is that of several formats.
    """
    suffix = out.suffix.lower()
    if suffix == ".json":
        raise ConfigurationError(f"{str(out)!r} may be coco or label-studio: say which with --format")
    if task == "segmentation":
        return "masks"
    return "parquet" if suffix in {".parquet", ".pq"} else "csv"


def read_labels(name: str, source: Path, context: Context) -> Iterator[Given]:
    """Yield the labels of a source.

    Args:
        name: Name of the format.
        source: File or folder.
        context: Context of the campaign.

    Raises:
        DataError: A label is wrong; the first one ends the reading.
    """
    for given in FORMATS[name].read(source, context):
        if isinstance(given, DataError):
            raise given
        yield given


def detect_format(source: Path, task: Task, shown: Path | None = None) -> str:
    """Return the name of the format that a file or folder has; messages name `shown`, by default the source.

    Raises:
        DataError: It does not exist, is a pipe, or has none of the formats.
    """
    if source.is_dir():
        return "masks" if task == "segmentation" else "imagefolder"
    if not source.is_file():
        raise _no_file(source)
    match source.suffix.lower():
        case ".csv" | ".tsv":
            return "csv"
        case ".parquet" | ".pq":
            return "parquet"
        case ".json":
            return "label-studio" if begins_as_list(source) else "coco"
        case _ if is_archive(source):
            raise DataError(f"{str(shown or source)!r} is an archive: unpack it, and give the file or folder of labels")
        case suffix:
            raise DataError(
                f"{str(shown or source)!r} ends in {suffix!r}: labels come as .csv, .tsv, .parquet, .json or a folder"
            )


def _no_file(source: Path) -> DataError:
    if source.exists():
        return DataError(f"{str(source)!r} is a pipe or a device: save the labels to a file first, and give that file")
    return DataError(f"there is no {str(source)!r}: give a file or folder of labels")


def check_source(source: Path, name: str) -> None:
    """Refuse a file where the format of that name is a folder, and the other way round.

    Raises:
        DataError: The source does not exist, or is of the other kind.
    """
    if not source.is_file() and not source.is_dir():
        raise _no_file(source)
    if source.is_dir() is not FORMATS[name].is_folder:
        given, wanted = ("folder", "file") if source.is_dir() else ("file", "folder")
        raise DataError(
            f"{str(source)!r} is a {given}, and labels in the format {name!r} are a {wanted}: give a {wanted}"
        )


__all__ = [
    "FORMATS",
    "Context",
    "Format",
    "Given",
    "Labelled",
    "check_source",
    "detect_format",
    "get_format",
    "read_labels",
    "usual_format",
]
