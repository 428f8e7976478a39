"""Types of the answers of Label Studio's REST API: the fields that the bridge reads (as of Label Studio 1.23)."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel


def _with_zone(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_with_zone)]
"""Time with a zone. Label Studio keeps UTC, so a time without a zone is read as UTC."""


class User(BaseModel):
    """User of Label Studio."""

    id: int
    email: str = ""
    first_name: str = ""
    last_name: str = ""

    @property
    def author(self) -> str:
        """Return the author for a campaign's history: the e-mail address, or else the name."""
        return self.email or f"{self.first_name} {self.last_name}".strip() or f"Label Studio user {self.id}"


class Annotation(BaseModel):
    """Latest version of an annotation of a task; Label Studio keeps no earlier ones."""

    id: int
    result: list[dict[str, Any]] | None = None
    was_cancelled: bool = False
    created_at: Moment
    updated_at: Moment
    completed_by: int | User | None = None
    created_username: str = ""


class TaskData(BaseModel):
    """Task without its annotations: its number and its data."""

    id: int
    data: dict[str, Any]


class Task(TaskData):
    """Task of a project; the list of annotations is empty unless the request included them."""

    project: int | None = None
    total_annotations: int | None = 0
    cancelled_annotations: int | None = 0
    annotations: list[Annotation] = []


class TaskPage(BaseModel):
    """Page of the list of a project's tasks."""

    tasks: list[Task]
    total: int


class ControlInput(BaseModel):
    """Input of a control: an object tag of the labelling configuration, and its variable."""

    type: str
    value: str | None = None


class ParsedControl(BaseModel):
    """Control of a labelling configuration, as parsed by Label Studio itself."""

    type: str
    to_name: list[str] = []
    inputs: list[ControlInput] = []
    labels: list[str] = []
    labels_attrs: dict[str, dict[str, Any]] = {}


class Project(BaseModel):
    """Project with its labelling configuration."""

    id: int
    title: str
    label_config: str
    parsed_label_config: dict[str, ParsedControl] = {}
    model_version: str | None = None


class ProjectTitle(BaseModel):
    """Entry of the list of projects."""

    id: int
    title: str


class ProjectPage(BaseModel):
    """Page of the list of projects."""

    results: list[ProjectTitle]
    next: str | None = None


class Imported(BaseModel):
    """Outcome of an import of tasks or files."""

    task_count: int
    file_upload_ids: list[int] = []


class FileUpload(BaseModel):
    """Uploaded file of a project; `file` is its path below `/data/`."""

    id: int
    file: str


class Access(BaseModel):
    """Short-lived key that a personal access token is exchanged for; it is valid for some minutes."""

    access: str


class Version(BaseModel):
    """Version of the Label Studio server."""

    release: str
