"""Roles: the manager's link opens everything, the annotator's link labels and reviews.

Both links have a token. The annotator's token is derived from the manager's, so that one token sets both; the
derivation cannot be reversed.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Annotated, Literal, NamedTuple

from fastapi import Depends, HTTPException, Request
from starlette.requests import HTTPConnection

Role = Literal["manager", "annotator"]

ROLE = "minimax_al.role"
"""Key of the role in the scope of a request; without a token everybody is a manager."""


class Tokens(NamedTuple):
    """Tokens of a page.

    Attributes:
        manager: Token of the link that opens everything.
        annotator: Token of the link that opens labelling and review alone.
    """

    manager: str
    annotator: str

    @classmethod
    def of(cls, manager: str) -> "Tokens":
        """Return both tokens.

        Args:
            manager: Token of the manager's link.

        Example:
            >>> one, other = Tokens.of("a-token-that-nobody-guesses"), Tokens.of("b-token-that-nobody-guesses")
            >>> len(one.annotator), one.annotator == other.annotator
            (43, False)
        """
        derived = hmac.digest(manager.encode(), b"minimax-al: annotator's link", hashlib.sha256)
        return cls(manager, base64.urlsafe_b64encode(derived).rstrip(b"=").decode())

    def role(self, given: str) -> Role | None:
        """Return the role of a token; None if it is neither."""
        sent = given.encode("utf-8", "surrogateescape")
        # Both are compared always, so that the duration tells nothing.
        manager, annotator = (secrets.compare_digest(sent, known.encode()) for known in self)
        return "manager" if manager else "annotator" if annotator else None


def role_of(connection: HTTPConnection) -> Role:
    """Return the role of a request."""
    role: Role = connection.scope.get(ROLE, "manager")
    return role


async def _manager_only(request: Request) -> None:
    if role_of(request) != "manager":
        raise HTTPException(403, "this is for managers: open the manager's link, which the server has printed")


async def _role(request: Request) -> Role:
    return role_of(request)


ManagerOnly = Depends(_manager_only)
"""Dependency of routes that only the manager's link opens."""

TheRole = Annotated[Role, Depends(_role)]
"""Role of a request."""
