"""The campaign as an ML backend of Label Studio: predictions when it asks, labels as soon as they are given.

The routes are those of Label Studio's own `label-studio-ml` servers. Label Studio notifies this server's webhook of
every annotation. Only the number of the task is read from the message; the annotation itself is fetched with the key,
so a forged message cannot add a label.
"""

import base64
import binascii
import logging
import secrets
from collections.abc import Callable, Collection
from threading import Lock
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import Response

from minimax_al.campaign import Campaign
from minimax_al.errors import ConfigurationError, MinimaxALError
from minimax_al.label_studio.client import LabelStudio
from minimax_al.label_studio.configuration import Configuration, read_configuration
from minimax_al.label_studio.messages import TaskData
from minimax_al.label_studio.projects import find_project, get_task
from minimax_al.label_studio.pulling import Pull, pull, take_tasks
from minimax_al.label_studio.suggestions import Suggestions
from minimax_al.web.bodies import BodyLimit
from minimax_al.web.refusals import add_exception_handlers, declared, refusal
from minimax_al.web.security import (
    ANY,
    LOOPBACK,
    Check,
    Gate,
    known_host,
    same_origin,
)
from minimax_al.web.serving import address, checked_token, is_loopback, run

PORT = 9090
"""Port of ML backends in Label Studio's documentation."""

_CREATED = ("ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED")
_MOST_TASKS = 20  # number of tasks that are fetched one by one
_log = logging.getLogger(__name__)
router = APIRouter()


class PredictRequest(BaseModel):
    """Request for predictions of tasks."""

    tasks: list[TaskData]


class SetupRequest(BaseModel):
    """Request of a project that connects; its key is ignored."""

    project: str


class Identified(BaseModel):
    """Object with a number."""

    id: int


class WebhookEvent(BaseModel):
    """Event in Label Studio."""

    action: str
    project: Identified | None = None
    task: Identified | list[Identified] | None = None


class Backend:
    """Campaign and the project of Label Studio that labels for it.

    Args:
        campaign: Open campaign.
        client: Client of the Label Studio server.
        project: Number or title of the project.

    Raises:
        ConfigurationError: The project does not exist, or its configuration does not fit.
        CampaignError: The server cannot be reached, or refuses.
    """

    def __init__(self, campaign: Campaign, client: LabelStudio, project: int | str) -> None:
        self.campaign = campaign
        self.client = client
        self.suggestions = Suggestions(campaign)
        self._lock = Lock()
        found = find_project(client, project)
        self.project = found.id
        self.configuration: Configuration = read_configuration(found, campaign.settings.task, campaign.classes)

    def look_again(self) -> None:
        """Read the project's configuration again after a change."""
        found = find_project(self.client, self.project)
        self.configuration = read_configuration(found, self.campaign.settings.task, self.campaign.classes)

    def take(self, task_ids: Collection[int]) -> Pull:
        """Import the annotations of tasks of this project.

        For many tasks, reading pages of all annotated tasks takes fewer requests than reading each task.
        """
        if len(task_ids) > _MOST_TASKS:
            with self._lock:
                return pull(self.campaign, self.client, self.project)
        tasks = [get_task(self.client, number) for number in task_ids]
        with self._lock:  # several webhooks may send one event
            return take_tasks(self.campaign, [task for task in tasks if task.project == self.project], {})


def create_backend(
    campaign: Campaign,
    client: LabelStudio,
    project: int | str,
    *,
    token: str | None = None,
    hosts: Collection[str] = LOOPBACK,
) -> FastAPI:
    """Return the ML backend of a campaign as an ASGI application.

    Args:
        campaign: Open campaign; the caller closes it after the application has stopped.
        client: Client of the Label Studio server; the caller closes it, too.
        project: Number or title of the project.
        token: Token that every request must have, as the password of basic authentication or as a bearer token; None
            accepts all requests.
        hosts: Names and addresses of the server, without ports; "*" accepts any.

    Raises:
        ConfigurationError: The project does not exist, or its configuration does not fit.
        CampaignError: Label Studio cannot be reached, or refuses.
    """
    checks = [known_host(hosts), same_origin, *([_password_needed(token)] if token is not None else [])]
    app = FastAPI(
        title="minimax-al: ML backend for Label Studio",
        docs_url=None,
        redoc_url=None,
        responses=declared(400, 401, 403, 503),
        middleware=[
            Middleware(Gate, checks=checks),
            Middleware(BodyLimit, uploads=["/predict"], notices=["/webhook"]),
        ],
    )
    app.state.backend = Backend(campaign, client, project)
    add_exception_handlers(app)
    app.include_router(router)
    return app


@router.get("/")
@router.get("/health")
def health() -> dict[str, str]:
    """Return that the server runs."""
    return {"status": "UP", "model_class": "minimax-al"}


@router.get("/metrics")
def metrics() -> dict[str, Any]:
    """Return nothing; Label Studio requests this route."""
    return {}


@router.post("/setup", responses=declared(408, 413, 422))
def setup(request: Request, body: SetupRequest) -> dict[str, str]:
    """Return the version of the model to a project that connects."""
    backend = _backend(request)
    number = body.project.partition(".")[0]
    if number != str(backend.project):
        raise ConfigurationError(
            f"this server is for project {backend.project} of Label Studio, and project {number} connects: "
            "start another one for it"
        )
    return {"model_version": backend.suggestions.version}


@router.post("/predict", responses=declared(408, 413, 422, 429))
def predict(request: Request, body: PredictRequest) -> dict[str, list[Any]]:
    """Return the predictions of each task; an empty list for a task without one."""
    backend = _backend(request)
    found = backend.suggestions.of_tasks(body.tasks, backend.configuration)
    return {"results": [[] if one is None else one for one in found]}


@router.post("/webhook", responses=declared(408, 413, 422))
def webhook(request: Request, event: WebhookEvent) -> Response:
    """Import the annotations of an event's tasks."""
    backend = _backend(request)
    if event.project is not None and event.project.id != backend.project:
        return JSONResponse({"status": "another project"})
    if event.action == "PROJECT_UPDATED":
        backend.look_again()
        return JSONResponse({"status": "ok"}, 201)
    if event.action not in _CREATED or event.task is None:
        return JSONResponse({"status": "nothing to do"})
    tasks = event.task if isinstance(event.task, list) else [event.task]
    try:
        done = backend.take(dict.fromkeys(task.id for task in tasks))
    except MinimaxALError as error:
        _log.warning("%s", error)  # Label Studio does not show the answer of a webhook
        raise
    return JSONResponse({"status": "ok", "result": vars(done)}, 201)


def serve_backend(
    campaign: Campaign,
    client: LabelStudio,
    project: int | str,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    token: str | None = None,
    tell: Callable[[str, str | None], object] = print,
) -> None:
    """Serve the ML backend until SIGINT or SIGTERM.

    Args:
        campaign: Open campaign.
        client: Client of the Label Studio server.
        project: Number or title of the project.
        host: Name or address to listen on; "0.0.0.0" for all interfaces.
        port: Port to listen on; 0 selects a free one.
        token: Password of basic authentication that Label Studio must send. Beyond loopback it is required, and
            generated if it is None.
        tell: Function that is called with address and token before the server accepts requests.

    Raises:
        ConfigurationError: The address cannot be listened on, the token is too short, or the project does not fit.
        CampaignError: Label Studio cannot be reached, or refuses.
    """
    local = is_loopback(host)
    token = checked_token(token) if token is not None or local else secrets.token_urlsafe(32)
    app = create_backend(campaign, client, project, token=token, hosts=(*LOOPBACK, host) if local else (ANY,))
    run(app, host, port, lambda number: tell(address(host, number, None).rstrip("/"), token))


def _backend(request: Request) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


def _password_needed(token: str) -> Check:
    """Return a check that requires the token, as any user's password or as `Authorization: Bearer`."""

    def check(connection: HTTPConnection) -> Response | None:
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        password = _password(given) if scheme.lower() == "basic" else given if scheme.lower() == "bearer" else ""
        if secrets.compare_digest(password.strip().encode("utf-8", "surrogateescape"), token.encode()):
            return None
        sentence = "the token is missing or wrong: give it as the password of basic authentication"
        return refusal(401, sentence, {"WWW-Authenticate": 'Basic realm="minimax-al"'})

    return check


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
