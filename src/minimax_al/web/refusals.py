"""Refusals: a status code and one sentence for every error."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from minimax_al.errors import AnsweredMeanwhileError, CampaignError, ClassesChangedError, MinimaxALError, StoreError
from minimax_al.web.models import Refusal

RETRY_SECONDS = 2

_MEANINGS = {
    400: "The campaign refuses: an invalid value, an unknown class",
    401: "The token is missing or wrong",
    403: "The request comes from another site, names another host, or needs the manager's link",
    404: "The image or round does not exist, or has nothing to show",
    408: "The body has not arrived in time",
    409: "The state does not allow it: a round is open or none is, a job runs, a mask has another image's name or "
    "corrects an answer that has changed or has a class that has left, or a conflict is decided already",
    413: "The body is larger than this route takes",
    422: "The request is not of the form that the route takes",
    429: "Too many uploads are under way: the same request may do well later",
    503: "The database is busy or cannot be reached: the same request may do well later",
}


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the declaration of a route's refusals, which are JSON for every route."""
    content = {"application/json": {"schema": Refusal.model_json_schema()}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


def refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal with one sentence."""
    # Text of a client may hold code points that UTF-8 does not have; they are shown as escapes.
    text = sentence.encode("utf-8", "backslashreplace").decode()
    return JSONResponse({"error": text}, status, headers)


def not_found(why: object) -> HTTPException:
    """Return the error for an image or round that does not exist."""
    return HTTPException(404, str(why))


def conflict(why: object) -> HTTPException:
    """Return the error for a request that the state does not allow."""
    return HTTPException(409, str(why))


@contextmanager
def as_conflict() -> Iterator[None]:
    """Answer 409 if the campaign refuses, and 503 as ever if its database is at fault."""
    try:
        yield
    except CampaignError as error:
        if is_passing(error):
            raise
        raise conflict(error) from error


@contextmanager
def meanwhile() -> Iterator[None]:
    """Answer 409 if somebody else has answered meanwhile, or a class has left."""
    try:
        yield
    except (AnsweredMeanwhileError, ClassesChangedError) as error:
        raise conflict(error) from error


def add_exception_handlers(app: FastAPI) -> None:
    """Register exception handlers that answer with one sentence."""
    app.add_exception_handler(MinimaxALError, _of_campaign)
    app.add_exception_handler(StarletteHTTPException, _of_routing)
    app.add_exception_handler(RequestValidationError, _of_form)
    app.add_exception_handler(ClientDisconnect, _of_disconnect)
    app.add_exception_handler(Exception, _of_bug)


def _of_campaign(request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler's signature
    if is_passing(error):
        return refusal(503, str(error), {"Retry-After": str(RETRY_SECONDS)})
    return refusal(400, str(error))


def is_passing(error: Exception) -> bool:
    """Return whether the database is at fault and not the request."""
    return isinstance(error, StoreError)


def _of_routing(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    sentence = {
        "Not Found": f"there is nothing at {request.url.path!r}",
        "Method Not Allowed": f"{request.url.path!r} does not take {request.method}",
    }.get(error.detail, error.detail)
    return refusal(error.status_code, sentence, error.headers)


def _of_form(request: Request, error: Exception) -> Response:  # noqa: ARG001
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return refusal(422, f"{where}: {first['msg']}")


def _of_disconnect(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return refusal(400, "the client closed the connection before the body was complete")


def _of_bug(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return refusal(500, "the server has failed; the reason is in its log")
