"""Label Studio's JSON: a list of tasks with choices, brush masks or polygons."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import numpy as np

from minimax_al.campaign.exchange.formats.json_file import read_json
from minimax_al.campaign.exchange.formats.labelled import Context, Given, Labelled, check_drawn
from minimax_al.campaign.exchange.formats.polygons import fill_polygon
from minimax_al.campaign.exchange.formats.run_length import Binary, decode_label_studio, encode_label_studio
from minimax_al.campaign.images.mask_files import Mask, check_mask_size
from minimax_al.data.decode import IMAGE_SUFFIXES
from minimax_al.durable import write_durably
from minimax_al.errors import DataError
from minimax_al.vocabulary import IGNORED

LOCAL_FILES = "/data/local-files/?d="
_IMAGE, _ANSWER = "image", "label"
_UPLOADED = re.compile(r".*/data/upload/\d+/(?:[0-9a-f]{8}-)?")


def read(source: Path, context: Context) -> Iterator[Given]:
    """One label for every annotated task; of several annotations the last one counts, cancelled ones do not.

    Raises:
        DataError: the file is no such JSON, or a task has several choices.
    """
    content: Any = read_json(source)
    if not isinstance(content, list):
        raise DataError(f"{str(source)!r} is not as Label Studio has it: its export 'JSON' is a list of tasks")
    for number, task in enumerate(content, start=1):
        where = f"{str(source)!r}, task {task.get('id', number) if isinstance(task, Mapping) else number}"
        try:
            given = given_of_task(task, where, context)
        except DataError:
            raise
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise DataError(f"{where} is not as Label Studio has it: {type(error).__name__} at {error}") from error
        if given is not None:
            yield given


def write(out: Path, labelled: Sequence[Labelled], context: Context) -> None:
    """Writes one JSON file, ready for Label Studio's import."""
    tasks = []
    for row in labelled:
        annotation = {
            "result": list(_results(row, context)),
            "completed_by": {"email": row.author},
            "created_at": row.at.isoformat(),
            "was_cancelled": False,
        }
        tasks.append({"data": task_data(row.path), "annotations": [annotation]})
    write_durably(out, json.dumps(tasks, ensure_ascii=False).encode())


def task_data(path: str) -> dict[str, str]:
    """What a task says of its image: where Label Studio's local storage has it, and its path in the campaign."""
    return {_IMAGE: LOCAL_FILES + quote(path), "path": path}


def path_of_task(data: Mapping[str, Any]) -> str:
    """The image's path in the campaign, from what a task says of it.

    Example:
        >>> path_of_task({"image": "/data/local-files/?d=cats/my%20cat.jpg"})
        'cats/my cat.jpg'
        >>> path_of_task({"image": "/data/upload/3/6c39e7e0-heron.jpg"})  # Label Studio's, before the name
        'heron.jpg'
    """
    if "path" in data:
        return str(data["path"])
    link = urlsplit(_link(data))
    if files := parse_qs(link.query).get("d"):
        return files[0]
    path = _UPLOADED.sub("", unquote(link.path))
    return path.removeprefix("/") if link.scheme else path


def _link(data: Mapping[str, Any]) -> str:
    """Where the task has its image: projects may call it otherwise than `image`."""
    if _IMAGE in data:
        return str(data[_IMAGE])
    found = (text for text in data.values() if isinstance(text, str) and _is_image(text))
    link = next(found, None)
    if link is None:
        raise KeyError(_IMAGE)
    return link


def _is_image(text: str) -> bool:
    return PurePosixPath(urlsplit(text).path).suffix.lower() in IMAGE_SUFFIXES or text.startswith(LOCAL_FILES)


def given_of_task(task: Mapping[str, Any], where: str, context: Context) -> Given | None:
    """The label of one task; None where nobody has given one.

    Raises:
        DataError: it has no place for annotations, or one that cannot be taken.
    """
    annotations = task.get("annotations", [] if "data" in task else None)
    if annotations is None:
        raise DataError(f"{where} has no annotations: they are in the export 'JSON', and this may be 'JSON-MIN'")
    finished = [one for one in annotations if not one.get("was_cancelled") and one.get("result")]
    if not finished:
        return None
    last = max(finished, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""))
    given = Given(path_of_task(task["data"]), where, author=_author(last.get("completed_by")))
    if context.task == "segmentation":
        mask = mask_of_results(last["result"], where, context.class_names, context.size_of(given))
        return replace(given, mask=mask)
    return replace(given, class_name=class_of_results(last["result"], where))


def class_of_results(results: Sequence[Mapping[str, Any]], where: str) -> str:
    """The class that an annotation of choices says.

    Args:
        results: the annotation's regions.
        where: the start of a message.

    Raises:
        DataError: it says none, or several.
    """
    chosen = [choice for one in results if one["type"] == "choices" for choice in one["value"]["choices"]]
    if len(set(chosen)) != 1:
        raise DataError(f"{where} has {len(set(chosen))} choices ({', '.join(chosen)}): an image has one class")
    return str(chosen[0])


def _author(given: object) -> str | None:
    if isinstance(given, Mapping):
        given = given.get("email") or given.get("id")
    return None if given is None else str(given)


def _results(row: Labelled, context: Context) -> Iterator[dict[str, Any]]:
    ends = {"from_name": _ANSWER, "to_name": _IMAGE}
    if row.mask is None:
        size = {"original_width": row.width, "original_height": row.height}
        yield {**ends, **size, "type": "choices", "value": {"choices": [row.class_name]}}
        return
    for region in results_of_mask(context.masks.load(row.mask), context.class_names):
        yield {**ends, **region}


def results_of_mask(mask: Mask, class_names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A brush region for every class of a mask, without the names of the configuration's tags.

    Args:
        mask: (H, W) class numbers, in the image's size.
        class_names: in order.
    """
    height, width = mask.shape
    for index, name in enumerate(class_names):
        if (mask == index).any():
            yield {
                "id": f"class-{index}",
                "type": "brushlabels",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {"format": "rle", "rle": encode_label_studio(mask == index), "brushlabels": [name]},
            }


def mask_of_results(
    results: Sequence[Mapping[str, Any]], where: str, class_names: Sequence[str], size: tuple[int, int]
) -> Mask:
    """The mask that an annotation of brushes and polygons says; where they overlap, the later one counts.

    Args:
        results: the annotation's regions.
        where: the start of a message.
        class_names: in order; the mask has their numbers, and 255 where nobody drew.
        size: (height, width) of the image.

    Raises:
        DataError: it has other regions, none at all, one of another size, or a class that is not known.
        ValueError: a region's code is damaged.
    """
    numbers = {name: number for number, name in enumerate(class_names)}
    mask = np.full(size, IGNORED, dtype=np.uint8)
    drawn = False
    for result in results:
        kind = result["type"]
        if kind not in ("brushlabels", "polygonlabels"):
            if kind.endswith("labels"):
                raise DataError(f"{where} has a region of {kind}: masks come from brushes and polygons")
            continue
        (name,) = result["value"][kind]
        if name not in numbers:
            raise DataError(f"{where}: unknown class {name!r}; known: {', '.join(class_names)}")
        mask[_region(result, where, size)] = numbers[name]
        drawn = True
    if not drawn:
        raise DataError(f"{where} has neither brush nor polygon")
    check_drawn(mask, where)
    return mask


def _region(result: Mapping[str, Any], where: str, size: tuple[int, int]) -> Binary:
    if result.get("image_rotation"):
        raise DataError(f"{where} was drawn on an image that was turned: turn it back, and draw again")
    check_mask_size((int(result["original_height"]), int(result["original_width"])), size, where)
    height, width = size
    if result["type"] == "brushlabels":
        return decode_label_studio(result["value"]["rle"], (height, width))
    corners = [(x * width / 100, y * height / 100) for x, y in result["value"]["points"]]
    return fill_polygon(corners, height, width)
