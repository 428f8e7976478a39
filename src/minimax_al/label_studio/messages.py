"""What Label Studio's REST API answers, as far as it is read here (as of Label Studio 1.23)."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel


def _with_zone(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_with_zone)]
"""A time; Label Studio keeps UTC, also where it does not say so."""


class User(BaseModel):
    """Somebody who annotates."""

    id: int
    email: str = ""
    first_name: str = ""
    last_name: str = ""

    @property
    def author(self) -> str:
        """What a campaign's history calls them: the address, or else the name."""
        return self.email or f"{self.first_name} {self.last_name}".strip() or f"Label Studio user {self.id}"


class Annotation(BaseModel):
    """An annotation of a task in its latest version; Label Studio keeps no earlier ones."""

    id: int
    result: list[dict[str, Any]] | None = None
    was_cancelled: bool = False
    created_at: Moment
    updated_at: Moment
    completed_by: int | User | None = None
    created_username: str = ""


class TaskData(BaseModel):
    """What a task shows."""

    id: int
    data: dict[str, Any]


class Task(TaskData):
    """A task of a project; its annotations only where they were asked for."""

    project: int | None = None
    total_annotations: int | None = 0
    cancelled_annotations: int | None = 0
    annotations: list[Annotation] = []


class TaskPage(BaseModel):
    """Some of a project's tasks."""

    tasks: list[Task]
    total: int


class ControlInput(BaseModel):
    """What a control is about: an object tag of the labelling configuration, and its variable."""

    type: str
    value: str | None = None


class ParsedControl(BaseModel):
    """A control of a labelling configuration, as Label Studio itself parses it."""

    type: str
    to_name: list[str] = []
    inputs: list[ControlInput] = []
    labels: list[str] = []
    labels_attrs: dict[str, dict[str, Any]] = {}


class Project(BaseModel):
    """A project."""

    id: int
    title: str
    label_config: str
    parsed_label_config: dict[str, ParsedControl] = {}
    model_version: str | None = None


class ProjectTitle(BaseModel):
    """A project in a list."""

    id: int
    title: str


class ProjectPage(BaseModel):
    """Some of all projects."""

    results: list[ProjectTitle]
    next: str | None = None


class Imported(BaseModel):
    """What an import of tasks or files did."""

    task_count: int
    file_upload_ids: list[int] = []


class FileUpload(BaseModel):
    """A file that was uploaded to a project; `file` is its path below `/data/`."""

    id: int
    file: str


class Access(BaseModel):
    """What a personal access token is good for during some minutes."""

    access: str


class Version(BaseModel):
    """Which Label Studio it is."""

    release: str
