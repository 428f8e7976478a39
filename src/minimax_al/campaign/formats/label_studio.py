"""Label Studio's JSON: a list of tasks with choices, brush masks or polygons."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import numpy as np

from minimax_al.campaign.formats.coco import fill_polygons
from minimax_al.campaign.formats.labelled import Context, Given, Labelled
from minimax_al.campaign.formats.run_length import Binary, decode_label_studio, encode_label_studio
from minimax_al.campaign.masks import IGNORED, Mask
from minimax_al.durable import write_durably
from minimax_al.errors import DataError

LOCAL_FILES = "/data/local-files/?d="
_PICTURE, _ANSWER = "image", "label"


def read(source: Path, context: Context) -> Iterator[Given]:
    """One label for every annotated task; of several annotations the last one counts, cancelled ones do not.

    Raises:
        DataError: the file is no such JSON, or a task has several choices.
    """
    content = json.loads(source.read_bytes())
    for number, task in enumerate(content, start=1):
        where = f"{str(source)!r}, task {task.get('id', number) if isinstance(task, Mapping) else number}"
        try:
            given = given_of_task(task, where, context)
        except DataError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
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
    """What a task says of its picture: where Label Studio's local storage has it, and its path in the campaign."""
    return {_PICTURE: LOCAL_FILES + quote(path), "path": path}


def path_of_task(data: Mapping[str, Any]) -> str:
    """The picture's path in the campaign, from what a task says of it.

    Example:
        >>> path_of_task({"image": "/data/local-files/?d=cats/my%20cat.jpg"})
        'cats/my cat.jpg'
    """
    if "path" in data:
        return str(data["path"])
    link = urlsplit(str(data[_PICTURE]))
    files = parse_qs(link.query).get("d")
    return files[0] if files else unquote(link.path)


def given_of_task(task: Mapping[str, Any], where: str, context: Context) -> Given | None:
    """The label of one task; None where nobody has given one."""
    finished = [one for one in task.get("annotations", []) if not one.get("was_cancelled") and one.get("result")]
    if not finished:
        return None
    last = max(finished, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""))
    name, author = path_of_task(task["data"]), _author(last.get("completed_by"))
    if context.task == "segmentation":
        return Given(name, where, mask=_mask(last["result"], where, context), author=author)
    chosen = [choice for one in last["result"] if one["type"] == "choices" for choice in one["value"]["choices"]]
    if len(set(chosen)) != 1:
        raise DataError(f"{where} has {len(set(chosen))} choices ({', '.join(chosen)}): a picture has one class")
    return Given(name, where, str(chosen[0]), author=author)


def _author(given: object) -> str | None:
    if isinstance(given, Mapping):
        given = given.get("email") or given.get("id")
    return None if given is None else str(given)


def _results(row: Labelled, context: Context) -> Iterator[dict[str, Any]]:
    ends = {"from_name": _ANSWER, "to_name": _PICTURE, "original_width": row.width, "original_height": row.height}
    if row.mask is None:
        yield {**ends, "type": "choices", "value": {"choices": [row.class_name]}}
        return
    mask = context.masks.load(row.mask)
    for index, name in enumerate(context.class_names):
        if (mask == index).any():
            value = {"format": "rle", "rle": encode_label_studio(mask == index), "brushlabels": [name]}
            yield {**ends, "type": "brushlabels", "value": value}


def _mask(results: Sequence[Mapping[str, Any]], where: str, context: Context) -> Mask:
    numbers = {name: number for number, name in enumerate(context.class_names)}
    mask: Mask | None = None
    for result in results:
        if result["type"] not in ("brushlabels", "polygonlabels"):
            continue
        (name,) = result["value"][result["type"]]
        if name not in numbers:
            raise DataError(f"{where}: unknown class {name!r}; known: {', '.join(context.class_names)}")
        here = _region(result)
        mask = np.full(here.shape, IGNORED, dtype=np.uint8) if mask is None else mask
        mask[here] = numbers[name]
    if mask is None:
        raise DataError(f"{where} has neither brush nor polygon")
    return mask


def _region(result: Mapping[str, Any]) -> Binary:
    height, width = int(result["original_height"]), int(result["original_width"])
    if result["type"] == "brushlabels":
        return decode_label_studio(result["value"]["rle"], (height, width))
    corners = [(x * width / 100, y * height / 100) for x, y in result["value"]["points"]]
    return fill_polygons([corners], height, width)
