"""Upload of a round's waiting images to Label Studio, each image once."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from minimax_al.campaign.campaign import Campaign
from minimax_al.campaign.rounds.rounds import Pick
from minimax_al.errors import CampaignError, ConfigurationError
from minimax_al.label_studio.client import LabelStudio, Upload
from minimax_al.label_studio.configuration import Configuration, extended, read_configuration
from minimax_al.label_studio.images import TaskImage, active_images, as_upload
from minimax_al.label_studio.messages import FileUpload, Imported, Project, Task
from minimax_al.label_studio.projects import find_or_make_project, list_tasks
from minimax_al.label_studio.suggestions import Prediction, prediction_of_pick, version_of_round

_PORTION_FILES, _PORTION_BYTES = 50, 32 * 2**20
"""Most files and bytes per upload; Label Studio accepts 100 files and 250 MiB."""


@dataclass(frozen=True)
class Push:
    """Outcome of a push, counted in images.

    Attributes:
        project: Number of the project.
        url: Address of the project's page.
        made: Whether the push created the project.
        sent: Images for which a task was created.
        renewed: Images that have an unanswered task of an earlier round: their tasks now show this round's reason.
        there: Images of this round that had a task already.
        answered: Images that are labelled in Label Studio already: a pull imports their labels.
        held: Images that are leased to annotators on the campaign's page: a later push sends those that still wait.
    """

    project: int
    url: str
    made: bool
    sent: int
    renewed: int
    there: int
    answered: int
    held: int


class _Todo(NamedTuple):
    """Pick with its image and, if an earlier round sent it, the task to renew."""

    pick: Pick
    image: TaskImage
    task: Task | None = None


class _Plan(NamedTuple):
    """Waiting picks by the state of their tasks, as `Push` counts them."""

    new: list[_Todo]
    renewed: list[_Todo]
    there: list[_Todo]
    answered: list[_Todo]


class _Target(NamedTuple):
    """Project that receives the tasks, and the form of its tasks."""

    campaign: Campaign
    client: LabelStudio
    project: Project
    configuration: Configuration
    version: str | None
    images_url: str | None


def push(
    campaign: Campaign,
    client: LabelStudio,
    project: int | str,
    *,
    images_url: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Push:
    """Send the open round's waiting images as tasks, with predictions.

    The prediction of a task is the model's suggestion. Images with a task are reserved for Label Studio
    (`Campaign.lend`): the campaign's own page shows them to no annotator until they are answered, recalled, or picked
    by another round. Images that are leased to an annotator on that page are not sent.

    The data of each task have the fields `item`, `path`, `content_hash`, `round`, `rank`, `reason`, `scores` and
    `at_random`. An image that has a task is not sent again, so a push that was interrupted can be repeated.

    Args:
        campaign: Campaign with an open round.
        client: Client of the server.
        project: Number or title of the project; a project with a new title is created.
        images_url: Address at which Label Studio's users find the images' folder, such as `https://images.example/`
            or `/data/local-files/?d=photos/`; None uploads the files.
        progress: Function that is called after every upload with the number of tasks sent and the number of all.

    Raises:
        CampaignError: No round is open; or the server cannot be reached, or refuses.
        ConfigurationError: The labelling configuration of the project does not fit the campaign.
        DataError: The file of an image has changed since the campaign read it.
    """
    state = campaign.round()
    if not state.is_open:
        raise CampaignError(f"round {state.number} has no waiting images: query first")
    kind, class_names = campaign.settings.task, campaign.classes
    if images_url is not None:
        _check_images_url(images_url)
    found, made = find_or_make_project(client, project, kind, class_names)
    configuration = read_configuration(found, kind, class_names)
    if configuration.missing:
        config = extended(found.label_config, configuration)
        found = client.patch(f"/api/projects/{found.id}/", Project, {"label_config": config})
    version = version_of_round(campaign, state.number)
    target = _Target(campaign, client, found, configuration, version, images_url)
    free, held = _waiting(campaign)
    plan = _plan(free, list_tasks(client, found.id))
    _lend(target, [*plan.renewed, *plan.there, *plan.answered])
    _send(target, plan.new, progress)
    predicted = [_renew(target, todo) for todo in plan.renewed]
    _show_predictions_of(target, any_sent=bool(plan.new or predicted))
    return Push(
        project=found.id,
        url=f"{client.url}/projects/{found.id}/data",
        made=made,
        sent=len(plan.new),
        renewed=len(plan.renewed),
        there=len(plan.there),
        answered=len(plan.answered),
        held=held,
    )


def _check_images_url(url: str) -> None:
    if not url.startswith(("https://", "http://", "/")):
        raise ConfigurationError(
            f"images_url={url!r} is not an address: give one that starts with https://, http:// or /"
        )


def _waiting(campaign: Campaign) -> tuple[list[_Todo], int]:
    """Return the round's waiting picks with an active image, by rank, and the number that is leased to annotators."""
    waiting = [pick for pick in campaign.picks() if pick.answer == "waiting"]
    now = campaign.lease_clock()
    free = [pick for pick in waiting if not pick.is_with_a_person(now)]
    with campaign.store.reading() as connection:
        images = active_images(connection, [pick.item for pick in free])
    return [_Todo(pick, images[pick.item]) for pick in free if pick.item in images], len(waiting) - len(free)


def _plan(todos: Sequence[_Todo], tasks: Iterable[Task]) -> _Plan:
    """Sort the picks by the state of their tasks."""
    there: dict[Any, list[Task]] = defaultdict(list)
    for task in tasks:
        there[task.data.get("content_hash")].append(task)
    plan = _Plan([], [], [], [])
    for todo in todos:
        same = there.get(todo.image.content_hash, [])
        untouched = [task for task in same if not task.total_annotations and not task.cancelled_annotations]
        if any(task.total_annotations for task in same):
            plan.answered.append(todo)
        elif any(task.data.get("round") == todo.pick.round for task in same):
            plan.there.append(todo)
        elif untouched:
            plan.renewed.append(todo._replace(task=untouched[0]))
        else:  # No task, or a task that was skipped in an earlier round, which Label Studio would not show again.
            plan.new.append(todo)
    return plan


def _lend(target: _Target, todos: Sequence[_Todo]) -> None:
    target.campaign.lend([todo.pick.item for todo in todos], f"Label Studio, project {target.project.id}")


def _send(target: _Target, todos: Sequence[_Todo], progress: Callable[[int, int], None] | None) -> None:
    done = 0
    for portion in _portions(target, todos):
        addresses = _addresses(target, portion)
        tasks = [
            {"data": _data(todo, target, address), "predictions": _predictions(target, todo)}
            for (todo, _), address in zip(portion, addresses, strict=True)
        ]
        target.client.post(f"/api/projects/{target.project.id}/import", Imported, json=tasks)
        _lend(target, [todo for todo, _ in portion])
        done += len(portion)
        if progress is not None:
            progress(done, len(todos))


def _portions(target: _Target, todos: Sequence[_Todo]) -> Iterator[list[tuple[_Todo, Upload | None]]]:
    """Yield images with their files in portions that fit into one request."""
    portion: list[tuple[_Todo, Upload | None]] = []
    size = 0
    for todo in todos:
        upload = None
        if target.images_url is None:
            upload = as_upload(todo.image, target.campaign.image(todo.pick.item))
        length = len(upload[1]) if upload else 0
        if portion and (len(portion) == _PORTION_FILES or size + length > _PORTION_BYTES):
            yield portion
            portion, size = [], 0
        portion.append((todo, upload))
        size += length
    if portion:
        yield portion


def _addresses(target: _Target, portion: Sequence[tuple[_Todo, Upload | None]]) -> list[str]:
    """Return the addresses of the images for Label Studio's page; upload the files if `images_url` is None."""
    if target.images_url is not None:
        base = target.images_url
        base += "" if base.endswith(("/", "=")) else "/"
        return [base + quote(todo.image.path) for todo, _ in portion]
    files = [upload for _, upload in portion if upload is not None]
    route = f"/api/projects/{target.project.id}"
    done = target.client.post(f"{route}/import", Imported, files=files, params={"commit_to_project": "false"})
    ids = json.dumps(done.file_upload_ids)
    found = target.client.get(f"{route}/file-uploads", list[FileUpload], {"ids": ids})
    by_name = {one.file.rpartition("/")[2].partition("-")[2]: one.file for one in found}
    missing = next((name for name, _, _ in files if name not in by_name), None)
    if missing is not None:
        raise CampaignError(
            f"Label Studio at {target.client.url} has accepted {missing!r} but does not list it among the project's "
            "files: push again"
        )
    return [f"/data/{by_name[name]}" for name, _, _ in files]


def _data(todo: _Todo, target: _Target, address: str) -> dict[str, Any]:
    pick = todo.pick
    return {
        target.configuration.variable: address,
        "item": pick.item,
        "path": pick.path,
        "content_hash": todo.image.content_hash,
        "round": pick.round,
        "rank": pick.rank,
        "reason": pick.reason,
        "scores": dict(pick.scores),
        "at_random": pick.at_random,
    }


def _predictions(target: _Target, todo: _Todo) -> list[Prediction]:
    found = prediction_of_pick(target.campaign, todo.pick, target.version, target.configuration)
    return [] if found is None else [found]


def _renew(target: _Target, todo: _Todo) -> bool:
    """Update an unanswered task of an earlier round; return whether it has a new prediction."""
    assert todo.task is not None
    predictions = _predictions(target, todo)
    for prediction in predictions:
        target.client.post("/api/predictions/", dict[str, Any], json={"task": todo.task.id, **prediction})
    address = todo.task.data.get(target.configuration.variable, "")
    # The round is written last: if an earlier step fails, the next push renews the task again.
    data = {**todo.task.data, **_data(todo, target, address)}
    target.client.patch(f"/api/tasks/{todo.task.id}/", dict[str, Any], {"data": data})
    return bool(predictions)


def _show_predictions_of(target: _Target, *, any_sent: bool) -> None:
    """Select this round's model as the project's model: Label Studio shows the predictions of one model only."""
    if any_sent and target.version is not None and target.project.model_version != target.version:
        target.client.patch(f"/api/projects/{target.project.id}/", Project, {"model_version": target.version})
