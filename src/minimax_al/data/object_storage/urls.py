"""URLs of object storage: which text is one, which are refused, and how messages show text that may hold a secret."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from minimax_al.errors import ConfigurationError

_SCHEME = re.compile(r"(?!file:)[a-zA-Z][a-zA-Z0-9+.\-]+://", re.IGNORECASE)
"""Start of a URL; `file:` names a file of this machine, which is read as a path."""
_COLLAPSED = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]+):/(?=[^/])")
"""URL that went through `Path`, which joins adjacent slashes; two letters at least, since `C:/` is a drive."""

_USER = re.compile(r"(?<=://)[^/\s'\"@]*@")
_QUERY = re.compile(r"((?:[a-zA-Z][a-zA-Z0-9+.\-]+://|/)[^\s'\"?]*)\?[^\s'\"]*")
_SECRET_VARIABLES = re.compile(r"SECRET|TOKEN|PASSWORD|ACCESS_KEY|ACCOUNT_KEY|CREDENTIAL|CONNECTION_STRING|SAS")
_SHORTEST_SECRET = 8


def is_url(address: object) -> bool:
    """Return whether an address is a URL, such as "s3://bucket/pool"; a path or a `file:` URL is not.

    Example:
        >>> is_url("s3://bucket/pool"), is_url("photos/2024"), is_url("C:/photos")
        (True, False, False)
    """
    return isinstance(address, str) and _SCHEME.match(address) is not None


def as_address(given: Path | str) -> Path | str:
    """Return a URL as text and anything else as a path; a URL that went through `Path` is repaired.

    Example:
        >>> as_address(Path("s3://bucket/pool"))
        's3://bucket/pool'
        >>> str(as_address("file:///photos/a%20b"))
        '/photos/a b'
    """
    text = os.fspath(given)
    if text.lower().startswith("file:/"):
        return Path(unquote(urlsplit(text).path))
    if is_url(text):
        return text
    repaired = _COLLAPSED.sub(r"\1://", text, count=1) if _COLLAPSED.match(text) else text
    return repaired if is_url(repaired) and not Path(text).exists() else Path(text)


def check_url(url: str) -> str:
    """Return a URL without credentials and without a slash at its end, its protocol in lower case.

    Raises:
        ConfigurationError: The URL has a user, a query or a fragment, where credentials and signatures are, names no
            bucket, or chains several file systems.
    """
    _, rest = url.split("://", 1)
    fault = None
    if "::" in url:
        fault = "chains several file systems: give the URL of the images themselves"
    elif "@" in rest.split("/", 1)[0]:
        fault = "has a user or a password: leave them out, and set the credentials in the environment"
    elif not rest.split("/", 1)[0]:
        fault = "names no bucket or host: give one, as in s3://BUCKET/FOLDER"
    elif "?" in rest or "#" in rest:
        fault = (
            "has a query or a fragment, which may be a signature: leave it out; credentials belong in the environment"
        )
    if fault is not None:
        raise ConfigurationError(f"the URL {redacted(url)!r} {fault}")
    protocol, rest = url.split("://", 1)
    return f"{protocol.lower()}://{rest.rstrip('/')}"


def redacted(text: str) -> str:
    """Return text without the users and queries of its URLs, and without the environment's secrets.

    Args:
        text: Message of a library, or a URL.

    Example:
        >>> redacted("GET https://me:pw@host/a.jpg?X-Amz-Signature=1f failed")
        'GET https://…@host/a.jpg?… failed'
    """
    plain = _QUERY.sub(r"\1?…", _USER.sub("…@", text))
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_SECRET and _SECRET_VARIABLES.search(name.upper()):
            plain = plain.replace(value, "…")
    return plain
