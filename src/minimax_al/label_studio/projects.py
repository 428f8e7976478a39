"""Projects of Label Studio: search, creation, and their tasks."""

import json
from collections.abc import Iterator, Sequence

from minimax_al.errors import ConfigurationError, UnknownNameError
from minimax_al.label_studio.client import LabelStudio, NotFoundError
from minimax_al.label_studio.configuration import make_configuration
from minimax_al.label_studio.messages import Project, ProjectPage, ProjectTitle, Task, TaskPage, User
from minimax_al.vocabulary import Task as Kind

_PAGE = 100
_ANNOTATED = {
    "conjunction": "or",
    "items": [
        {"filter": f"filter:tasks:{counter}", "operator": "greater", "type": "Number", "value": 0}
        for counter in ("total_annotations", "cancelled_annotations")
    ],
}


def find_project(client: LabelStudio, project: int | str) -> Project:
    """Return the project with this number or title.

    Raises:
        UnknownNameError: The project does not exist, or the key has no access to it.
        ConfigurationError: Several projects have the title.
    """
    if isinstance(project, int) or project.isdecimal():
        try:
            return client.get(f"/api/projects/{int(project)}/", Project)
        except NotFoundError as error:
            known = [f"{one.id} ({one.title})" for one in list_projects(client)]
            raise UnknownNameError(f"project of Label Studio at {client.url},", str(project), known) from error
    titles = list(list_projects(client))
    found = [one for one in titles if one.title == project]
    if len(found) > 1:
        numbers = ", ".join(str(one.id) for one in found)
        raise ConfigurationError(f"{len(found)} projects have the title {project!r}: give the number, one of {numbers}")
    if not found:
        known = [one.title for one in titles]
        raise UnknownNameError(f"project of Label Studio at {client.url},", project, known)
    return client.get(f"/api/projects/{found[0].id}/", Project)


def find_or_make_project(
    client: LabelStudio, project: int | str, kind: Kind, class_names: Sequence[str]
) -> tuple[Project, bool]:
    """Return the project with this number or title, and whether it was created.

    Raises:
        UnknownNameError: No project has the number.
        ConfigurationError: Several projects have the title.
        DataError: Label Studio refuses the title.
    """
    try:
        return find_project(client, project), False
    except UnknownNameError:
        if isinstance(project, int) or project.isdecimal():
            raise
    body = {"title": project, "label_config": make_configuration(kind, class_names)}
    return client.post("/api/projects/", Project, json=body), True


def list_projects(client: LabelStudio) -> Iterator[ProjectTitle]:
    """Yield every project that the key has access to."""
    number = 1
    while True:
        params = {"include": "id,title", "page": number, "page_size": _PAGE}
        page = client.get("/api/projects/", ProjectPage, params)
        yield from page.results
        if page.next is None:
            return
        number += 1


def list_tasks(client: LabelStudio, project_id: int) -> Iterator[Task]:
    """Yield every task of a project, with its data and its number of annotations."""
    include = "id,data,total_annotations,cancelled_annotations"
    yield from _tasks(client, {"project": project_id, "include": include, "page_size": 5 * _PAGE})


def list_annotated_tasks(client: LabelStudio, project_id: int, kind: Kind) -> Iterator[Task]:
    """Yield every annotated or skipped task of a project, with its annotations."""
    size = _PAGE if kind == "classification" else 10  # masks are long
    query = json.dumps({"filters": _ANNOTATED})
    yield from _tasks(client, {"project": project_id, "fields": "all", "query": query, "page_size": size})


def get_task(client: LabelStudio, task_id: int) -> Task:
    """Return one task with its annotations."""
    return client.get(f"/api/tasks/{task_id}/", Task, {"resolve_uri": "false"})


def list_users(client: LabelStudio) -> dict[int, User]:
    """Return all users of the server, by number."""
    return {user.id: user for user in client.get("/api/users/", list[User])}


def _tasks(client: LabelStudio, params: dict[str, object]) -> Iterator[Task]:
    seen, number = 0, 1
    while True:
        page = client.get("/api/tasks/", TaskPage, {**params, "page": number, "resolve_uri": "false"})
        yield from page.tasks
        seen += len(page.tasks)
        if seen >= page.total or not page.tasks:
            return
        number += 1
