"""COCO JSON: images, categories and annotations. A category an image, or regions of it as polygons or runs."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minimax_al.campaign.exchange.formats.json_file import read_json
from minimax_al.campaign.exchange.formats.labelled import Context, Given, Labelled, check_drawn
from minimax_al.campaign.exchange.formats.polygons import fill_polygon
from minimax_al.campaign.exchange.formats.run_length import Binary, decode_coco, encode_coco
from minimax_al.campaign.images.mask_files import Mask, check_mask_size
from minimax_al.durable import write_durably
from minimax_al.errors import DataError
from minimax_al.vocabulary import IGNORED


def read(source: Path, context: Context) -> Iterator[Given]:
    """One label for every annotated image; an image without annotations has none.

    In segmentation, pixels that no region covers are ignored; where regions overlap, the later one counts.

    Raises:
        DataError: the file is no such JSON, or an image has annotations of several classes.
    """
    content: Any = read_json(source)
    try:
        names = {category["id"]: str(category["name"]) for category in content["categories"]}
        annotations: dict[Any, list[Any]] = defaultdict(list)
        for annotation in content["annotations"]:
            annotations[annotation["image_id"]].append(annotation)
        for image in content["images"]:
            where = f"{str(source)!r}, image {image['id']}"
            if found := annotations.pop(image["id"], None):
                yield _given(image, found, names, where, context)
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise DataError(f"{str(source)!r} is not as COCO has it: {type(error).__name__} at {error}") from error
    if annotations:
        raise DataError(f"{str(source)!r}: an annotation is of image {next(iter(annotations))!r}, which is not listed")


def write(out: Path, labelled: Sequence[Labelled], context: Context) -> None:
    """Writes one JSON file."""
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


def _given(
    image: Mapping[str, Any], found: Sequence[Mapping[str, Any]], names: Mapping[Any, str], where: str, context: Context
) -> Given:
    unknown = next((one["category_id"] for one in found if one["category_id"] not in names), None)
    if unknown is not None:
        raise DataError(f"{where}: there is no category {unknown!r}")
    given = Given(str(image["file_name"]), where)
    if context.task == "segmentation":
        check_mask_size((int(image["height"]), int(image["width"])), context.size_of(given), where)
        return replace(given, mask=_mask(image, found, names, where, context))
    classes = sorted({names[annotation["category_id"]] for annotation in found})
    if len(classes) > 1:
        raise DataError(f"{where}: annotations of {classes[0]!r} and {classes[1]!r} disagree: an image has one class")
    return replace(given, class_name=classes[0])


def _mask(
    image: Mapping[str, Any], found: Sequence[Mapping[str, Any]], names: Mapping[Any, str], where: str, context: Context
) -> Mask:
    height, width = int(image["height"]), int(image["width"])
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
                f"{where}: annotation {annotation.get('id')} of {name!r} is not as COCO has it: "
                f"{type(error).__name__} at {error}"
            ) from error
    check_drawn(mask, where)
    return mask


def region(segmentation: Any, height: int, width: int) -> Binary:  # noqa: ANN401 - two kinds of JSON
    """The pixels of a COCO segmentation: a list of polygons, or a run-length code.

    Raises:
        ValueError: the code is of another size, or does not fill it; or a corner lies nowhere.
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
                "segmentation": encode_coco(here),
                "area": int(here.sum()),
                "bbox": box,
                "iscrowd": 1,
            }
