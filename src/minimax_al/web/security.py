"""Who may ask what: known hosts, our own pages, the token; and what browsers are told.

All of it is plain ASGI around the application, so that no route can be forgotten.
"""

import hashlib
import secrets
from collections.abc import Callable, Collection, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minimax_al.web.refusals import refusal

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""The names of this machine for itself."""

ANY = "*"
"""In place of host names: whatever name the request has."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
"""What every answer says, unless it has its own word for it."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN_DAYS = 30
_WELCOME = '<!doctype html><meta charset="utf-8"><title>Labelling</title><a href="./">Go on to the page</a>'

Check = Callable[[HTTPConnection], Response | None]
"""Looks at a request; its answer is sent in place of the application's."""


class Gate:
    """Lets a request through that no check has an answer to.

    Args:
        app: what is guarded.
        checks: asked one after the other.
    """

    def __init__(self, app: ASGIApp, checks: Sequence[Check]) -> None:
        self.app = app
        self.checks = checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] in ("http", "websocket"):
            connection = HTTPConnection(scope)
            for check in self.checks:
                answer = check(connection)
                if answer is not None:
                    await answer(scope, receive, send)
                    return
        await self.app(scope, receive, send)


def known_host(hosts: Collection[str]) -> Check:
    """Refuses requests for other hosts: a foreign name that was made to lead here (DNS rebinding).

    Args:
        hosts: names and addresses without ports; `ANY` among them lets all pass.
    """
    names = {host.strip("[]").lower() for host in hosts}

    def check(connection: HTTPConnection) -> Response | None:
        given = connection.headers.get("host", "")
        if ANY in names or _host_name(given) in names:
            return None
        return refusal(403, f"the host {given!r} is none of this server's: {', '.join(sorted(names))}")

    return check


def same_origin(connection: HTTPConnection) -> Response | None:
    """Refuses what another site's page wants to change here."""
    if connection.scope.get("method") in _SAFE_METHODS:
        return None
    origin = connection.headers.get("origin")
    foreign = origin is not None and _netloc(origin) != connection.headers.get("host", "").lower()
    if foreign or connection.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return refusal(403, "a page of another site cannot change anything here")
    return None


def token_needed(token: str) -> Check:
    """Refuses requests without the token: in a cookie, or as `Authorization: Bearer`.

    `GET /?token=…` sets the cookie and leads on to the page. It does so by a page of its own: after a redirect,
    browsers would still count the request as the work of the site with the link, and keep a strict cookie back.
    """
    cookie = f"minimax_al_{hashlib.sha256(token.encode()).hexdigest()[:8]}"  # a browser shares cookies among ports

    def fits(given: str) -> bool:
        return secrets.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())

    def check(connection: HTTPConnection) -> Response | None:
        scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
        if fits(connection.cookies.get(cookie, "")) or (scheme.lower() == "bearer" and fits(bearer.strip())):
            return None
        asked = connection.scope.get("method") == "GET" and connection.url.path == "/"
        if asked and fits(connection.query_params.get("token", "")):
            return _welcome(cookie, token, secure=connection.url.scheme == "https")
        sentence = "the token is missing or wrong: open the address that the server has printed"
        return refusal(401, sentence, {"WWW-Authenticate": "Bearer"})

    return check


class AnswerHeaders:
    """Adds headers to every answer that has no such header of its own.

    Args:
        app: what answers.
        headers: by name.
    """

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self.app = app
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)


def _host_name(netloc: str) -> str:
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:  # brackets that do not close
        return ""


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _welcome(cookie: str, token: str, *, secure: bool) -> Response:
    answer = HTMLResponse(_WELCOME, headers={"Refresh": "0; url=./", "Cache-Control": "no-store"})
    answer.set_cookie(cookie, token, _TOKEN_DAYS * 86_400, httponly=True, samesite="strict", secure=secure)
    return answer
