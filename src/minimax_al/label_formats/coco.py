"""COCO JSON: images, categories and annotations: one category per image, or regions as polygons or run lengths."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minimax_al.data.mask_store import Mask, check_mask_size
from minimax_al.durable import write_durably
from minimax_al.errors import DataError
from minimax_al.label_formats.json_file import read_json
from minimax_al.label_formats.labelled import Context, Given, Labelled, check_drawn
from minimax_al.label_formats.links import readings
from minimax_al.label_formats.polygons import fill_polygon
from minimax_al.label_formats.run_length import Binary, decode_coco, encode_coco_compressed
from minimax_al.vocabulary import IGNORED


def read(source: Path, context: Context) -> Iterator[Given | DataError]:
    """Yield one label per annotated image; an image without annotations has none.

    In segmentation, pixels that no region covers are ignored; where regions overlap, the later one counts.

    Raises:
        DataError: The file is not such JSON, or ids occur twice.
    """
    shown = context.shown or source
    content: Any = read_json(source, shown)
    try:
        names = _names(content["categories"], shown)
        annotations: dict[Any, list[Any]] = defaultdict(list)
        for annotation in content["annotations"]:
            annotations[annotation["image_id"]].append(annotation)
        images = content["images"]
        _check_ids((image["id"] for image in images), "image", shown)
        by_id = {image["id"]: image for image in images}
    except KeyError as error:
        raise DataError(
            f"{str(shown)!r} is not in COCO's form: {error} is missing; it needs images, categories and annotations"
        ) from error
    except DataError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{str(shown)!r} is not in COCO's form: {type(error).__name__} at {error}") from error
    for identity, image in by_id.items():
        if found := annotations.pop(identity, None):
            yield _given_or_error(_Annotated(image, found, f"{str(shown)!r}, image {identity}"), names, source, context)
    for identity, left in annotations.items():
        yield DataError(
            f"{str(shown)!r}: an annotation ({left[0].get('id')}) is of image {identity!r}, which is not listed"
        )


def read_categories(source: Path) -> list[str]:
    """Return the class names of a file, in the order of their ids.

    Raises:
        DataError: The file is not such JSON.
    """
    content: Any = read_json(source)
    try:
        names = _names(content["categories"], source)
        return [names[identity] for identity in sorted(names)]
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{str(source)!r} is not in COCO's form: {type(error).__name__} at {error}") from error


def write(out: Path, labelled: Sequence[Labelled], context: Context) -> None:
    """Write one JSON file."""
    numbers = {name: number for number, name in enumerate(context.class_names, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, row in enumerate(labelled, start=1):
        size = {"width": row.width, "height": row.height}
        images.append({"id": image_id, "file_name": row.path, **size, "date_captured": row.at.isoformat()})
        for annotation in _annotations(row, numbers, context):
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **annotation})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
    }
    write_durably(out, json.dumps(content, ensure_ascii=False).encode())


def _names(categories: Sequence[Mapping[str, Any]], source: Path) -> dict[Any, str]:
    """Return the class of each category id."""
    _check_ids((category["id"] for category in categories), "category", source)
    for category in categories:
        if not isinstance(category["name"], str | int) or isinstance(category["name"], bool):
            raise DataError(f"{str(source)!r}, category {category['id']}: its name {category['name']!r} is not text")
    return {category["id"]: str(category["name"]) for category in categories}


def _check_ids(ids: Iterable[Any], kind: str, source: Path) -> None:
    seen: set[Any] = set()
    for identity in ids:
        if identity in seen:
            raise DataError(
                f"{str(source)!r}: the {kind} id {identity!r} is there twice, so annotations may be of either"
            )
        seen.add(identity)


class _Annotated(NamedTuple):
    """Image of the file with its annotations, and the start of errors about it."""

    image: Mapping[str, Any]
    found: Sequence[Mapping[str, Any]]
    where: str


def _given_or_error(one: _Annotated, names: Mapping[Any, str], source: Path, context: Context) -> Given | DataError:
    try:
        return _given(one, names, source, context)
    except DataError as error:
        return error
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        return DataError(f"{one.where} is not in COCO's form: {type(error).__name__} at {error}")


def _given(one: _Annotated, names: Mapping[Any, str], source: Path, context: Context) -> Given:
    image, found, where = one
    unknown = next((each["category_id"] for each in found if each["category_id"] not in names), None)
    if unknown is not None:
        raise DataError(f"{where}: unknown category {unknown!r}")
    file_name = str(image["file_name"])
    names_of_link = readings(file_name)
    name = names_of_link[0] if names_of_link else file_name
    # COCO files are often stored next to the folder of their images.
    given = Given(name, where, file=source.parent / file_name, readings=names_of_link)
    if context.task == "segmentation":
        size = context.size_of(given)
        if "height" in image and "width" in image:
            check_mask_size((int(image["height"]), int(image["width"])), size, where)
        return replace(given, mask=_mask(size, found, names, where, context))
    classes = sorted({names[annotation["category_id"]] for annotation in found})
    if len(classes) > 1:
        raise DataError(f"{where}: annotations of {classes[0]!r} and {classes[1]!r} disagree: an image has one class")
    return replace(given, class_name=classes[0])


def _mask(
    size: tuple[int, int],
    found: Sequence[Mapping[str, Any]],
    names: Mapping[Any, str],
    where: str,
    context: Context,
) -> Mask:
    height, width = size
    numbers = {name: number for number, name in enumerate(context.class_names)}
    mask = np.full((height, width), IGNORED, dtype=np.uint8)
    for annotation in found:
        name = names[annotation["category_id"]]
        if name not in numbers:
            raise DataError(f"{where}: unknown class {name!r}; known: {', '.join(context.class_names)}")
        if not annotation.get("segmentation"):
            raise DataError(
                f"{where}: annotation {annotation.get('id')} of {name!r} has no outline: masks come from a polygon or "
                "run lengths, boxes are not enough"
            )
        try:
            mask[region(annotation["segmentation"], height, width)] = numbers[name]
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise DataError(
                f"{where}: annotation {annotation.get('id')} of {name!r} is not in COCO's form: "
                f"{type(error).__name__} at {error}"
            ) from error
    check_drawn(mask, where)
    return mask


def region(segmentation: Any, height: int, width: int) -> Binary:  # noqa: ANN401 - two kinds of JSON
    """Return the pixels of a COCO segmentation: a list of polygons, or a run-length code.

    Raises:
        ValueError: The code is of another size, or does not fill it, or a corner is not a finite point.
    """
    if isinstance(segmentation, Mapping):
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"a region of {segmentation['size']}, where the image is of {[height, width]}")
        return decode_coco(segmentation["counts"], segmentation["size"])
    inside = np.zeros((height, width), dtype=bool)
    for flat in segmentation:
        inside |= fill_polygon(list(zip(flat[::2], flat[1::2], strict=True)), height, width)
    return inside


def _annotations(row: Labelled, numbers: Mapping[str, int], context: Context) -> Iterator[dict[str, Any]]:
    if row.mask is None:
        yield {"category_id": numbers[str(row.class_name)]}
        return
    mask = context.masks.load(row.mask)
    for index, name in enumerate(context.class_names):
        here = mask == index
        if here.any():
            rows, columns = np.flatnonzero(here.any(axis=1)), np.flatnonzero(here.any(axis=0))
            box = [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
            yield {
                "category_id": numbers[name],
                # Run lengths, since polygons cannot have holes or the exact pixels. `iscrowd` marks groups of objects
                # that other tools leave out, whatever the encoding.
                "segmentation": encode_coco_compressed(here),
                "area": int(here.sum()),
                "bbox": box,
                "iscrowd": 0,
            }
