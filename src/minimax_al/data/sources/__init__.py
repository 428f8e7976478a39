"""Data sets by name, one module per source. Sources read from the disk, two from object storage; none downloads.

A source is a module with a function `load(root, ...) -> Dataset`; its keyword arguments are the options that
`load_dataset` takes for it.
"""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from minimax_al.data.datasets.dataset import Dataset
from minimax_al.data.datasets.files import FileOptions
from minimax_al.data.object_storage.urls import as_address, redacted
from minimax_al.errors import ConfigurationError, UnknownNameError

SOURCES = {
    "arrays": "minimax_al.data.sources.arrays",
    "bdd100k": "minimax_al.data.sources.bdd100k",
    "camvid": "minimax_al.data.sources.camvid",
    "cifar10": "minimax_al.data.sources.cifar10",
    "cifar100": "minimax_al.data.sources.cifar100",
    "digits": "minimax_al.data.sources.digits",
    "features": "minimax_al.data.sources.features",
    "folder": "minimax_al.data.sources.folder",
    "imagenet": "minimax_al.data.sources.imagenet",
    "inaturalist2018": "minimax_al.data.sources.inaturalist2018",
    "manifest": "minimax_al.data.sources.listed_files",
    "masks": "minimax_al.data.sources.mask_folders",
    "shapes": "minimax_al.data.sources.shapes",
    "voc": "minimax_al.data.sources.voc",
}
"""Module of each source, by its name."""

REMOTE = frozenset({"folder", "manifest"})
"""Sources that read URLs of object storage, too."""

WITHOUT_ROOT = frozenset({"digits", "shapes"})
"""Sources that read no folder: they come with the package's dependencies, or are drawn."""


def load_dataset(name: str, root: Path | str | None = None, **options: object) -> Dataset:
    """Load the data set `name` from `root`.

    Args:
        name: Name of a source, one of `SOURCES`.
        root: Folder, `.npz` file or manifest to read; a URL of object storage for sources of `REMOTE`; sources of
            `WITHOUT_ROOT` need none.
        **options: Options of the source, and those of `FileOptions` where it reads image files. NumPy and pandas values
            are accepted.

    Raises:
        UnknownNameError: The source, or an option of it, does not exist.
        ConfigurationError: The root is missing, or an option's value is invalid.
        DataError: The data at `root` cannot be used.

    Example:
        >>> digits = load_dataset("digits")
        >>> len(digits.train), len(digits.test), digits.num_classes
        (1297, 500, 10)
    """
    options = {key: _plain(value) for key, value in options.items()}
    if name not in SOURCES:
        raise UnknownNameError("dataset", name, SOURCES)
    load = import_module(SOURCES[name]).load
    known = dict(inspect.signature(load).parameters)
    reads_files = known.pop("files", None) is not None
    known.pop("root", None)
    for option in options:
        if option not in known and not (reads_files and option in FileOptions.model_fields):
            names = [*known, *(FileOptions.model_fields if reads_files else ())]
            raise UnknownNameError(f"option of the dataset {name!r}:", option, names)
    kinds = get_type_hints(load)
    given = {key: _as_kind(key, value, kinds[key]) for key, value in options.items() if key in known}
    if reads_files:
        given["files"] = _file_options({key: value for key, value in options.items() if key not in known})
    if name in WITHOUT_ROOT:
        if root is not None:
            raise ConfigurationError(f"the dataset {name!r} brings its own images: leave out the root {str(root)!r}")
        return _checked(load(**given))
    if root is None:
        raise ConfigurationError(f"the dataset {name!r} is read from disk: give its root (a folder or a file)")
    address = as_address(root)
    if isinstance(address, str) and name not in REMOTE:
        raise ConfigurationError(
            f"the dataset {name!r} is read from disk, and {redacted(address)!r} is a URL: copy it to a folder, or use "
            f"{' or '.join(map(repr, sorted(REMOTE)))}"
        )
    return _checked(load(address, **given))


def _plain(value: object) -> object:
    """Return NumPy and pandas values as plain numbers and lists."""
    convert = getattr(value, "tolist", None)
    return convert() if callable(convert) else value


def _as_kind(key: str, value: object, kind: Any) -> object:  # noqa: ANN401 - an annotation
    try:
        return TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        raise ConfigurationError(f"{key}={value!r} is not allowed: {error.errors()[0]['msg']}") from None


def _file_options(options: dict[str, object]) -> FileOptions:
    try:
        return FileOptions.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{key}={first['input']!r} is not allowed: {first['msg']}") from None


def _checked(dataset: object) -> Dataset:
    if not isinstance(dataset, Dataset):
        raise TypeError(f"a source must return a Dataset, not {type(dataset).__name__}")
    return dataset
