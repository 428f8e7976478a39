"""Access control: known hosts, same origin, the token; and security headers.

The checks are ASGI middleware around the application, so that they hold for every route.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minimax_al.web.refusals import refusal
from minimax_al.web.roles import ROLE, Role, Tokens

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names of the loopback interface."""

ANY = "*"
"""Wildcard that accepts every host name."""

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
"""Headers of every answer that does not set them itself."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN_DAYS = 30
_WELCOME = '<!doctype html><meta charset="utf-8"><title>Labelling</title><a href="./">Go on to the page</a>'

Check = Callable[[HTTPConnection], Response | None]
"""Function of a request that returns a refusal, or None to accept it."""


class Gate:
    """Middleware that passes a request on if every check accepts it.

    Args:
        app: Application behind the middleware.
        checks: Checks, in order.
    """

    def __init__(self, app: ASGIApp, checks: Sequence[Check]) -> None:
        self.app = app
        self.checks = checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""
        if scope["type"] in ("http", "websocket"):
            connection = HTTPConnection(scope)
            for check in self.checks:
                answer = check(connection)
                if answer is not None:
                    await answer(scope, receive, send)
                    return
        await self.app(scope, receive, send)


def known_host(hosts: Collection[str]) -> Check:
    """Return a check that refuses other hosts, which protects against DNS rebinding.

    Args:
        hosts: Names and addresses without ports; `ANY` accepts every host.
    """
    names = {host.strip("[]").lower() for host in hosts}

    def check(connection: HTTPConnection) -> Response | None:
        given = connection.headers.get("host", "")
        if ANY in names or _host_name(given) in names:
            return None
        return refusal(403, f"the host {given!r} is not one of this server's: {', '.join(sorted(names))}")

    return check


def same_origin(connection: HTTPConnection) -> Response | None:
    """Refuse a change that comes from another site's page."""
    if connection.scope.get("method") in _SAFE_METHODS:
        return None
    origin = connection.headers.get("origin")
    foreign = origin is not None and _netloc(origin) != connection.headers.get("host", "").lower()
    if foreign or connection.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return refusal(403, "a page of another site cannot change anything here")
    return None


def token_needed(tokens: Tokens) -> Check:
    """Return a check that requires one of the tokens, in a cookie or as `Authorization: Bearer`, and notes its role.

    `GET /?token=…` sets the cookie and answers with a page that leads on. A redirect would not do: browsers attribute
    it to the site with the link, and do not send a strict cookie.
    """
    # A browser shares cookies among ports. Both roles have one name: the link opened last counts.
    cookie = f"minimax_al_{hashlib.sha256(tokens.manager.encode()).hexdigest()[:8]}"

    def role_of(connection: HTTPConnection) -> Role | None:
        scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
        by_header = tokens.role(bearer.strip()) if scheme.lower() == "bearer" else None
        return by_header or tokens.role(connection.cookies.get(cookie, ""))

    def check(connection: HTTPConnection) -> Response | None:
        asked = connection.scope.get("method") == "GET" and connection.url.path == "/"
        token = connection.query_params.get("token", "") if asked else ""
        if tokens.role(token) is not None:
            return _welcome(cookie, token, secure=connection.url.scheme == "https")
        if (role := role_of(connection)) is not None:
            connection.scope[ROLE] = role
            return None
        sentence = "the token is missing or wrong: open the address that the server has printed"
        return refusal(401, sentence, {"WWW-Authenticate": "Bearer"})

    return check


class AnswerHeaders:
    """Middleware that adds headers to every answer that does not set them.

    Args:
        app: Application behind the middleware.
        headers: Values by name.
    """

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self.app = app
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""

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
