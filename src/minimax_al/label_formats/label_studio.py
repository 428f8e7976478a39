"""Label Studio's JSON: a list of tasks with choices, brush masks or polygons."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import numpy as np

from minimax_al.data.decoding.decode import IMAGE_SUFFIXES
from minimax_al.data.masks.mask_store import Mask, check_mask_size
from minimax_al.durable import write_durably
from minimax_al.errors import DataError
from minimax_al.label_formats.json_file import brief, member, objects, read_json
from minimax_al.label_formats.labelled import Context, Given, Labelled, check_drawn
from minimax_al.label_formats.links import LOCAL_FILES, readings
from minimax_al.label_formats.polygons import fill_polygon
from minimax_al.label_formats.run_length import Binary, decode_label_studio, encode_label_studio
from minimax_al.label_formats.times import read_time
from minimax_al.vocabulary import IGNORED

_IMAGE, _PATH, _ANSWER = "image", "path", "label"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def read(source: Path, context: Context) -> Iterator[Given | DataError]:
    """Yield one label per annotated task: of the ground truth, or else of the latest annotation that was submitted.

    Raises:
        DataError: The file is not such JSON.
    """
    shown = context.shown or source
    content: Any = read_json(source, shown)
    if not isinstance(content, list):
        raise DataError(f"{str(shown)!r} is not in Label Studio's form: its export 'JSON' is a list of tasks")
    for number, task in enumerate(content, start=1):
        where = f"{str(shown)!r}, task {task.get('id', number) if isinstance(task, Mapping) else number}"
        try:
            given = given_of_task(task, where, context)
        except DataError as error:
            yield error
        else:
            if given is not None:
                yield given


def write(out: Path, labelled: Sequence[Labelled], context: Context) -> None:
    """Write one JSON file, ready for Label Studio's import."""
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
    """Return the data of a task: the image's link in Label Studio's local storage, and its path in the campaign."""
    return {_IMAGE: LOCAL_FILES + quote(path), "path": path}


class ImageNames(NamedTuple):
    """Names of a task's image.

    Attributes:
        name: Path in the campaign where the task has it; otherwise the link as it is written, without its start.
        readings: Names that the link may mean; empty for a plain path.
    """

    name: str
    readings: tuple[str, ...]


def names_of_task(data: Mapping[str, Any]) -> ImageNames:
    """Return the names of a task's image.

    Args:
        data: Data of the task.

    Raises:
        KeyError: The data have no image.

    Example:
        >>> names_of_task({"image": "/data/local-files/?d=cats/my%20cat.jpg"})
        ImageNames(name='cats/my%20cat.jpg', readings=('cats/my%20cat.jpg', 'cats/my cat.jpg'))
        >>> names_of_task({"image": "cats/1.jpg"})
        ImageNames(name='cats/1.jpg', readings=())
    """
    if _PATH in data and not _has_link(data):
        return ImageNames(str(data[_PATH]), ())
    link = _link(data)
    found = readings(link)
    name = found[0] if found else link
    return ImageNames(str(data[_PATH]), found or (link,)) if _PATH in data else ImageNames(name, found)


def _has_link(data: Mapping[str, Any]) -> bool:
    try:
        return bool(_link(data))
    except (KeyError, DataError):
        return False


def _link(data: Mapping[str, Any]) -> str:
    """Return the link to the image: projects may call its field otherwise than `image`."""
    others = [text for key, text in data.items() if key != _PATH and isinstance(text, str) and _is_image(text)]
    if isinstance(data.get(_IMAGE), str):
        return str(data[_IMAGE])
    if len(set(others)) > 1:
        raise DataError(f"the task shows {len(set(others))} images ({others[0]!r}, {others[1]!r}): keep one")
    if not others:
        raise KeyError(_IMAGE)
    return others[0]


def _is_image(text: str) -> bool:
    return PurePosixPath(urlsplit(text).path).suffix.lower() in IMAGE_SUFFIXES or bool(readings(text))


def given_of_task(task: Mapping[str, Any], where: str, context: Context) -> Given | None:
    """Return the label of one task; None if it has no submitted annotation.

    Raises:
        DataError: The task has no place for annotations, or an annotation cannot be imported.
    """
    form = f"{where} is not in Label Studio's form"
    if not isinstance(task, Mapping):
        raise DataError(f"{form}: {brief(task)} should be an object with 'data' and 'annotations'")
    if task.get("annotations") is None and ("data" not in task or "annotations" in task):
        raise DataError(f"{where} has no annotations: they are in the export 'JSON', and this may be 'JSON-MIN'")
    annotations = objects(task, "annotations", form) if "annotations" in task else []
    finished = [one for one in annotations if not one.get("was_cancelled") and one.get("result")]
    for one in finished:
        objects(one, "result", form)
    if not finished:
        return None
    truths = [one for one in finished if one.get("ground_truth")]
    last = _latest(truths or finished, where)
    data = member(task, "data", form)
    if not isinstance(data, Mapping):
        raise DataError(f"{form}: 'data' is {brief(data)}, and it should be an object with the link to the image")
    try:
        names = names_of_task(data)
    except KeyError as error:
        raise DataError(f"{form}: 'data' has no link to an image, such as 'image'; it is {brief(data)}") from error
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    given = Given(
        names.name,
        where,
        author=_author(last.get("completed_by")),
        at=_time(last, where) if _is_time(last) else None,
        readings=names.readings,
        by_path=_PATH in data,
        disagrees=any(_content(one) != _content(last) for one in finished),
        is_ground_truth=bool(truths) and len(finished) > len(truths),
    )
    if context.task == "segmentation":
        mask = mask_of_results(last["result"], where, context.class_names, context.size_of(given))
        return replace(given, mask=mask)
    return replace(given, class_name=class_of_results(last["result"], where))


def _latest(annotations: Sequence[Mapping[str, Any]], where: str) -> Mapping[str, Any]:
    """Return the annotation with the latest time; one without a time is older than any with one."""
    if len(annotations) == 1:
        return annotations[0]
    times = [_time(one, where) or _LONG_AGO for one in annotations]
    latest = [one for one, time in zip(annotations, times, strict=True) if time == max(times)]
    if any(_content(one) != _content(latest[-1]) for one in latest):
        raise DataError(f"{where} has annotations of the same time that disagree: keep one")
    return latest[-1]


def _time(annotation: Mapping[str, Any], where: str) -> datetime | None:
    return read_time(str(annotation.get("updated_at") or annotation.get("created_at") or ""), where)


def _is_time(annotation: Mapping[str, Any]) -> bool:
    try:
        return _time(annotation, "") is not None
    except DataError:
        return False


def _content(annotation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the answer of an annotation, without the ids and names of its regions."""
    regions = ((str(one.get("type")), json.dumps(one.get("value"), sort_keys=True)) for one in annotation["result"])
    return sorted(regions)


def class_of_results(results: Sequence[Mapping[str, Any]], where: str) -> str:
    """Return the class of an annotation of choices.

    Args:
        results: Regions of the annotation.
        where: Start of the error's sentence.

    Raises:
        DataError: It has no choice, or several.
    """
    chosen = list(dict.fromkeys(choice for one in results for choice in _choices(one, where)))
    if not chosen:
        kinds = sorted({str(one.get("type")) for one in results} - {"choices"})
        raise DataError(f"{where} has no choice, but {', '.join(kinds) or 'nothing'}: classes come from choices")
    if len(chosen) > 1:
        raise DataError(f"{where} has {len(chosen)} choices ({', '.join(chosen)}): an image has one class")
    return chosen[0]


def _choices(result: Mapping[str, Any], where: str) -> list[str]:
    """Return the choices of a region; none where it is of another kind."""
    if result.get("type") != "choices":
        return []
    value = member(result, "value", f"{where} is not in Label Studio's form")
    found = member(value, "choices", f"{where} is not in Label Studio's form")
    choices = found if isinstance(found, list) else [found]
    for choice in choices:
        if isinstance(choice, bool) or not isinstance(choice, str | int | float):
            raise DataError(f"{where} has the choice {brief(choice)}, which is not the name of a class")
    return [str(choice) for choice in choices]


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
    """Yield a brush region for every class of a mask, without the names of the configuration's tags.

    Args:
        mask: Class numbers in the image's size, shape (H, W).
        class_names: Classes in order.
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
    """Return the mask of an annotation of brushes and polygons; where they overlap, the later one counts.

    Args:
        results: Regions of the annotation.
        where: Start of the error's sentence.
        class_names: Classes in order; the mask has their numbers, and 255 in pixels without a region.
        size: (height, width) of the image.

    Raises:
        DataError: It has other regions, no region, a damaged one, one of another size, or an unknown class.
    """
    numbers = {name: number for number, name in enumerate(class_names)}
    mask = np.full(size, IGNORED, dtype=np.uint8)
    drawn = False
    for result in results:
        kind = str(result.get("type"))
        if kind not in ("brushlabels", "polygonlabels"):
            if kind.endswith("labels"):
                raise DataError(f"{where} has a region of {kind}: masks come from brushes and polygons")
            continue
        name = _name_of_region(result, kind, where)
        if name not in numbers:
            raise DataError(f"{where}: unknown class {name!r}; known: {', '.join(class_names)}")
        try:
            mask[_region(result, where, size)] = numbers[name]
        except DataError:
            raise
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            what = "rle" if kind == "brushlabels" else "points [[x, y], ...]"
            reason = f": {error}" if type(error) is ValueError else ""
            raise DataError(
                f"{where} has a region of {name!r} that cannot be read{reason}; it needs original_width, "
                f"original_height and {what}"
            ) from error
        drawn = True
    if not drawn:
        raise DataError(f"{where} has neither brush nor polygon")
    check_drawn(mask, where)
    return mask


def _name_of_region(result: Mapping[str, Any], kind: str, where: str) -> str:
    value = member(result, "value", f"{where} is not in Label Studio's form")
    names = member(value, kind, f"{where} is not in Label Studio's form")
    if not isinstance(names, list) or len(names) != 1:
        raise DataError(f"{where} has a region with {kind} {brief(names)}: give each region one class")
    return str(names[0])


def _region(result: Mapping[str, Any], where: str, size: tuple[int, int]) -> Binary:
    if (result.get("image_rotation") or 0) % 360:
        raise DataError(f"{where} was drawn on an image that was turned: turn it back, and draw again")
    check_mask_size((int(result["original_height"]), int(result["original_width"])), size, where)
    height, width = size
    if result["type"] == "brushlabels":
        return decode_label_studio(result["value"]["rle"], (height, width))
    corners = [(float(x) * width / 100, float(y) * height / 100) for x, y in result["value"]["points"]]
    return fill_polygon(corners, height, width)
