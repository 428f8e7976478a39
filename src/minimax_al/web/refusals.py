"""How the server says no: the status that tells whose turn it is, and one sentence."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from minimax_al.errors import MinimaxALError, StoreError
from minimax_al.web.models import Refusal

RETRY_SECONDS = 2

_MEANINGS = {
    400: "The campaign refuses: a value that cannot be, an unknown class",
    401: "The token is missing or wrong",
    403: "The request comes from another site, or names another host",
    404: "There is no such image or round, or nothing to show of it",
    408: "The body has not arrived in time",
    409: "Not now: a round is open, none is, or a job runs; or not so: a mask is named after another image",
    413: "The body is larger than this route takes",
    422: "The request is not of the form that the route takes",
    429: "Too many uploads are under way: the same request may do well later",
    503: "The database is busy or cannot be reached: the same request may do well later",
}


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses, as a route declares them; in JSON, whatever the route itself answers in."""
    content = {"application/json": {"schema": Refusal.model_json_schema()}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


def refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that says no."""
    # What a client has sent may hold code points that no encoding has; they are shown as escapes.
    text = sentence.encode("utf-8", "backslashreplace").decode()
    return JSONResponse({"error": text}, status, headers)


def not_found(why: object) -> HTTPException:
    """There is no such thing."""
    return HTTPException(404, str(why))


def conflict(why: object) -> HTTPException:
    """Not now."""
    return HTTPException(409, str(why))


def say_no_in_one_sentence(app: FastAPI) -> None:
    """Gives an application this module's words for everything that goes wrong."""
    app.add_exception_handler(MinimaxALError, _of_campaign)
    app.add_exception_handler(StarletteHTTPException, _of_routing)
    app.add_exception_handler(RequestValidationError, _of_form)
    app.add_exception_handler(ClientDisconnect, _of_nobody)
    app.add_exception_handler(Exception, _of_bug)


def _of_campaign(request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler's signature
    if is_passing(error):
        return refusal(503, str(error), {"Retry-After": str(RETRY_SECONDS)})
    return refusal(400, str(error))


def is_passing(error: Exception) -> bool:
    """Whether the database is at fault and not the request."""
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


def _of_nobody(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return refusal(400, "the client has gone before the body was whole")


def _of_bug(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return refusal(500, "the server has failed; its log says at what")
