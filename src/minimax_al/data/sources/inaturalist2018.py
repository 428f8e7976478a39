"""Source of iNaturalist 2018 as published: `train2018.json`, `val2018.json` and the images in `train_val2018/`."""

import json
from pathlib import Path
from typing import Any

from minimax_al.data.datasets.dataset import Dataset
from minimax_al.data.datasets.files import FileList, FileOptions, dataset_from_files
from minimax_al.errors import DataError


def load(root: Path, files: FileOptions | None = None) -> Dataset:
    """Load 437,513 training and 24,426 test images of 8,142 species.

    Files are not checked before training unless the options request it: a file that cannot be read is named when it is
    needed.

    Args:
        root: Folder with both JSON files and `train_val2018`.
        files: Options for reading the files.

    Raises:
        DataError: An annotation file is missing or differs from the published format.
    """
    annotations = {part: _read(root / f"{part}2018.json") for part in ("train", "val")}
    try:
        categories = sorted(annotations["train"]["categories"], key=lambda category: int(category["id"]))
        number = {category["id"]: i for i, category in enumerate(categories)}
        train, test = (_files(root, annotations[part], number) for part in ("train", "val"))
        names = _names(categories)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"the annotations in {str(root)!r} lack {error}: expected images (id, file_name), annotations "
            "(image_id, category_id) and categories (id, name) as published"
        ) from error
    return dataset_from_files("inaturalist2018", names, train, test, files or FileOptions(), verify="none")


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"iNaturalist 2018 needs {str(path)!r}, which does not exist")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{str(path)!r} is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{str(path)!r} is not an annotation file: expected images, annotations and categories")
    return content


def _files(root: Path, annotations: dict[str, Any], number: dict[int, int]) -> FileList:
    class_of = {entry["image_id"]: number[entry["category_id"]] for entry in annotations["annotations"]}
    listed = FileList()
    for image in annotations["images"]:
        listed.add(str(root / image["file_name"]), image["file_name"], class_of[image["id"]])
    return listed


def _names(categories: list[dict[str, Any]]) -> list[str]:
    names = [str(category.get("name", category["id"])) for category in categories]
    return (
        names if len(set(names)) == len(names) else [f"{category['id']} {category['name']}" for category in categories]
    )
