"""COCO JSON: images, categories and annotations: one category per image, or regions as polygons or run lengths."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minimax_al.data.masks.mask_store import Mask, check_mask_size
from minimax_al.durable import write_durably
from minimax_al.errors import DataError
from minimax_al.label_formats.json_file import brief, member, objects, read_json
from minimax_al.label_formats.labelled import Context, Given, Labelled, check_drawn
from minimax_al.label_formats.links import readings
from minimax_al.label_formats.polygons import fill_polygon
from minimax_al.label_formats.run_length import Binary, decode_coco, encode_coco_compressed
from minimax_al.vocabulary import IGNORED

_LONGEST_NUMBER = 18
"""Digits of an id that is a number, at most."""


def read(source: Path, context: Context) -> Iterator[Given | DataError]:
    """Yield one label per annotated image; an image without annotations has none.

    In segmentation, pixels that no region covers are ignored; where regions overlap, the later one counts.

    Raises:
        DataError: The file is not such JSON, or ids occur twice.
    """
    shown = context.shown or source
    form = _form(shown)
    content = read_json(source, shown)
    names = _names(objects(content, "categories", form), shown)
    annotations: dict[str | int, list[Any]] = defaultdict(list)
    for annotation in objects(content, "annotations", form):
        annotations[_id(annotation, "image_id", form)].append(annotation)
    images = objects(content, "images", form)
    _check_ids((_id(image, "id", form) for image in images), "image", shown)
    for image in images:
        identity = _id(image, "id", form)
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
    names = _names(objects(read_json(source), "categories", _form(source)), source)
    return [names[identity] for identity in sorted(names, key=lambda each: (isinstance(each, str), each))]


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


def _form(source: Path) -> str:
    """Return the start of the error of a file in another form."""
    return f"{str(source)!r} is not in COCO's form (images, categories and annotations)"


def _names(categories: Sequence[Mapping[str, Any]], source: Path) -> dict[str | int, str]:
    """Return the class of each category id."""
    form = _form(source)
    ids = [_id(category, "id", form) for category in categories]
    _check_ids(ids, "category", source)
    for identity, category in zip(ids, categories, strict=True):
        name = member(category, "name", f"{str(source)!r}, category {identity}")
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise DataError(f"{str(source)!r}, category {identity}: its name {name!r} is not text")
    return {identity: str(category["name"]) for identity, category in zip(ids, categories, strict=True)}


def _id(owner: Mapping[str, Any], key: str, where: str) -> str | int:
    """Return an id, one for 1, 1.0 and "1": tools write references in other types than the ids themselves."""
    found = member(owner, key, where)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        raise DataError(f"{where}: {key!r} is {brief(found)}, and it should be a number or a text")
    if isinstance(found, float):
        return int(found) if found.is_integer() else str(found)
    if isinstance(found, str) and len(found) <= _LONGEST_NUMBER and found.isdecimal() and str(int(found)) == found:
        return int(found)
    return found


def _check_ids(ids: Iterable[str | int], kind: str, source: Path) -> None:
    seen: set[str | int] = set()
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


def _given_or_error(
    one: _Annotated, names: Mapping[str | int, str], source: Path, context: Context
) -> Given | DataError:
    try:
        return _given(one, names, source, context)
    except DataError as error:
        return error


def _given(one: _Annotated, names: Mapping[str | int, str], source: Path, context: Context) -> Given:
    image, found, where = one
    categories = [_id(each, "category_id", f"{where}, annotation {each.get('id')}") for each in found]
    unknown = next((each for each in categories if each not in names), None)
    if unknown is not None:
        raise DataError(f"{where}: unknown category {unknown!r}")
    given_name = member(image, "file_name", where)
    if isinstance(given_name, bool) or not isinstance(given_name, str | int):
        raise DataError(f"{where}: 'file_name' is {brief(given_name)}, and it should be the name of a file")
    file_name = str(given_name)
    names_of_link = readings(file_name)
    name = names_of_link[0] if names_of_link else file_name
    # COCO files are often stored next to the folder of their images.
    given = Given(name, where, file=source.parent / file_name, readings=names_of_link)
    labels = [names[each] for each in categories]
    if context.task == "segmentation":
        size = context.size_of(given)
        if (stated := _stated_size(image, where)) is not None:
            check_mask_size(stated, size, where)
        return replace(given, mask=_mask(size, list(zip(labels, found, strict=True)), where, context))
    classes = sorted(set(labels))
    if len(classes) > 1:
        raise DataError(f"{where}: annotations of {classes[0]!r} and {classes[1]!r} disagree: an image has one class")
    return replace(given, class_name=classes[0])


def _stated_size(image: Mapping[str, Any], where: str) -> tuple[int, int] | None:
    """Return (height, width) of an image as the file has it; None where it has none."""
    height, width = image.get("height"), image.get("width")
    if height is None or width is None:
        return None
    try:
        return int(height), int(width)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{where}: 'height' is {brief(height)} and 'width' is {brief(width)}, and they should be numbers of pixels"
        ) from error


def _mask(
    size: tuple[int, int], annotations: Sequence[tuple[str, Mapping[str, Any]]], where: str, context: Context
) -> Mask:
    """Return the mask of an image's annotations, each with its class."""
    height, width = size
    numbers = {name: number for number, name in enumerate(context.class_names)}
    mask = np.full((height, width), IGNORED, dtype=np.uint8)
    for name, annotation in annotations:
        which = f"{where}: annotation {annotation.get('id')} of {name!r}"
        if name not in numbers:
            raise DataError(f"{where}: unknown class {name!r}; known: {', '.join(context.class_names)}")
        outline = annotation.get("segmentation")
        if not outline:
            raise DataError(f"{which} has no outline: masks come from a polygon or run lengths, boxes are not enough")
        try:
            mask[region(outline, height, width)] = numbers[name]
        except ValueError as error:
            raise DataError(f"{which} cannot be read: {error}") from error
        except (KeyError, TypeError, ArithmeticError) as error:
            raise DataError(
                f"{which} has the segmentation {brief(outline)}, which is neither polygons [[x1, y1, …], …] nor "
                "run lengths with counts and size"
            ) from error
    check_drawn(mask, where)
    return mask


def region(segmentation: Any, height: int, width: int) -> Binary:  # noqa: ANN401 - two kinds of JSON
    """Return the pixels of a COCO segmentation: a list of polygons, or a run-length code.

    Raises:
        ValueError: The code is of another size, or does not fill it, or a corner is not a finite point.
        TypeError: It is neither polygons nor a code.
        KeyError: The code has no size or no counts.
    """
    if isinstance(segmentation, Mapping):
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"a region of {segmentation['size']}, where the image is of {[height, width]}")
        return decode_coco(segmentation["counts"], (height, width))
    inside = np.zeros((height, width), dtype=bool)
    for flat in segmentation:
        if not isinstance(flat, list | tuple):
            raise TypeError(flat)
        if len(flat) % 2:
            raise ValueError(f"a polygon of {len(flat)} numbers, where each corner has two")
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
