"""Server of the labelling page, which runs until it is stopped."""

import ipaddress
import re
import secrets
import socket
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from urllib.parse import quote

import uvicorn
from fastapi import FastAPI

from minimax_al.campaign import Campaign
from minimax_al.campaign.rounds.live_state import LiveOptions
from minimax_al.errors import ConfigurationError
from minimax_al.web.app import create_app
from minimax_al.web.connections import BACKLOG, connection_limit, protocol_with_limits
from minimax_al.web.learner import Learner
from minimax_al.web.log_throttle import throttle
from minimax_al.web.roles import Tokens
from minimax_al.web.security import ANY, LOOPBACK
from minimax_al.web.tls import Certificate

PORT = 8765
FEWEST_CHARACTERS = 16
"""Smallest length of a token."""

_GRACE_SECONDS = 10


class Links(NamedTuple):
    """Addresses of the page.

    Attributes:
        manager: Address that opens everything.
        annotator: Address that opens labelling and review alone; None without a token, where `manager` is for all.
    """

    manager: str
    annotator: str | None


def serve(
    campaign: Campaign,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    token: str | None = None,
    open_browser: bool = False,
    certificate: Path | str | None = None,
    key: Path | str | None = None,
    live: LiveOptions | None = None,
    overlap: float | None = None,
    tell: Callable[[Links], object] = print,
) -> None:
    """Serve the labelling page until SIGINT or SIGTERM, which end a running job.

    Args:
        campaign: Open campaign.
        host: Name or address to listen on; "0.0.0.0" for all interfaces.
        port: Port to listen on; 0 selects a free one.
        token: Token of the manager's link; the annotator's is derived from it. Beyond loopback it is required, and
            generated if it is None.
        open_browser: Whether to open the page here. Not with a token: other users of the machine can read the
            arguments of a browser's process.
        certificate: PEM file of the certificate and those that signed it; the page is served by HTTPS then.
        key: PEM file of the certificate's private key; None if the certificate's file holds it.
        live: Options of live labelling, for a campaign that learns on features; None works in rounds.
        overlap: New value of the setting `overlap`, which changes when everything else is known to be valid; None
            leaves it.
        tell: Function that is called with the addresses before the server accepts requests.

    Raises:
        ConfigurationError: `overlap` is out of its range, the address cannot be listened on, the token is too short, or
            the certificate is invalid.
    """
    tls = Certificate.checked(certificate, key)
    local = is_loopback(host)
    token = checked_token(token) if token is not None or local else secrets.token_urlsafe(32)
    # Beyond loopback the machine has names that it does not know; there the token keeps other sites out.
    learner = None if live is None else Learner(campaign, live)
    app = create_app(campaign, token=token, hosts=(*LOOPBACK, host) if local else (ANY,), learner=learner)

    def announce(number: int) -> None:
        if overlap is not None:
            campaign.configure(overlap=overlap)
        tokens = (token, None) if token is None else Tokens.of(token)
        manager, annotator = (address(host, number, one, is_secure=tls is not None) for one in tokens)
        tell(Links(manager, None if token is None else annotator))
        if open_browser and token is None:
            Thread(target=webbrowser.open, args=(manager,), daemon=True).start()

    run(app, host, port, announce, tls)


def run(
    app: FastAPI, host: str, port: int, announce: Callable[[int], object], certificate: Certificate | None = None
) -> None:
    """Serve an application until SIGINT or SIGTERM.

    Args:
        app: Application to serve.
        host: Name or address to listen on.
        port: Port to listen on; 0 selects a free one.
        announce: Function that is called with the port before the server accepts requests.
        certificate: Certificate with which to serve by HTTPS; None serves by HTTP.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # it would show the token
        server_header=False,
        http=protocol_with_limits(connection_limit()),
        ws="none",
        backlog=BACKLOG,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=None if certificate is None else str(certificate.chain),
        ssl_keyfile=None if certificate is None else str(certificate.key),
    )
    throttle("asyncio", "uvicorn.error")
    with listen(host, port) as listener:
        announce(listener.getsockname()[1])
        with suppress(KeyboardInterrupt):  # Ctrl+C stops the server
            uvicorn.Server(config).run(sockets=[listener])


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server at an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def checked_token(token: str | None) -> str | None:
    """Return the token if it is valid in an address and long enough.

    Raises:
        ConfigurationError: It is too short, or has other characters than letters, digits and -._~
    """
    if token is not None and not re.fullmatch(rf"[A-Za-z0-9._~-]{{{FEWEST_CHARACTERS},200}}", token):
        raise ConfigurationError(
            f"a token has at least {FEWEST_CHARACTERS} letters, digits or -._~, so that it cannot be guessed: "
            "leave it out to have one made"
        )
    return token


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ConfigurationError: The address is unknown, taken, or not allowed.
    """
    if not 0 <= port <= 65_535:
        raise ConfigurationError(f"port {port} is invalid: give one from 1 to 65535, or 0 for a free one")
    try:
        family, *_, where = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)[0]
        return socket.create_server((where[0], port), family=family)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"cannot listen on {host!r}, port {port}: {why}; give another with --host or --port (0 takes a free one)"
        ) from error


def address(host: str, port: int, token: str | None, *, is_secure: bool = False) -> str:
    """Return the address of the page.

    Args:
        host: Name or address that the server listens on.
        port: Port that it listens on.
        token: Token that the address carries; None for none.
        is_secure: Whether the page is served by HTTPS.

    Example:
        >>> address("0.0.0.0", 8765, None).endswith(":8765/")
        True
    """
    name = host.strip("[]")
    if name in ("0.0.0.0", "::"):  # noqa: S104 - a comparison
        name = socket.gethostname()
    name = f"[{name}]" if ":" in name else name
    return f"http{'s' * is_secure}://{name}:{port}/" + ("" if token is None else f"?token={quote(token)}")
