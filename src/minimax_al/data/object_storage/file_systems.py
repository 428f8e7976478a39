"""File systems of fsspec, one per protocol and process, set up so that this package alone repeats requests."""

import inspect
import os
import threading
from typing import Any, NamedTuple

from minimax_al.data.object_storage.urls import redacted
from minimax_al.errors import ConfigurationError, MissingDependencyError, UnknownNameError

FileSystem = Any
"""`fsspec.AbstractFileSystem`, which has no types."""

_S3: dict[str, Any] = {
    "config_kwargs": {
        "retries": {"total_max_attempts": 1},
        "connect_timeout": 10,
        "read_timeout": 60,
        "max_pool_connections": 64,
    }
}
_CODES = frozenset(
    (
        *("ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "TokenRefreshRequired"),
        *("RequestTimeTooSkewed", "InvalidSecurity", "NotSignedUp", "AccountProblem", "AllAccessDisabled"),
        *("ExpiredTokenException", "AuthorizationHeaderMalformed", "RequestExpired", "AuthenticationFailed"),
    )
)
"""Codes of a refusal that concerns the credentials and not one object."""

_WITHOUT_CREDENTIALS = frozenset(
    (
        *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
        *("RefreshError", "DefaultCredentialsError", "CredentialUnavailableError"),
    )
)
"""Errors of the libraries of S3, GCS and Azure that find no credentials or cannot renew them."""

_STATUS = ("status", "status_code", "code")
"""Names under which errors of aiohttp, Azure and GCS have the status of HTTP."""

_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
}
_systems: dict[tuple[int, str], FileSystem] = {}
_lock = threading.Lock()


class Refusal(NamedTuple):
    """Refusal of a request.

    Attributes:
        reason: Code or message of the storage.
        is_general: Whether every request is refused, as with an expired credential; otherwise this object alone.
    """

    reason: str
    is_general: bool


def file_system(url: str) -> FileSystem:
    """Return the file system of a URL.

    Raises:
        ConfigurationError: fsspec does not know the protocol, or a setting in the environment is wrong.
        MissingDependencyError: A package for the protocol is not installed.
    """
    protocol = url.split("://", 1)[0].lower()
    key = os.getpid(), protocol  # a connection does not survive a fork
    with _lock:
        if key not in _systems:
            _systems[key] = _connect(protocol)
        return _systems[key]


def forget_connections() -> None:
    """Connect anew at the next request, for example with other credentials."""
    with _lock:
        _systems.clear()


def why_refused(system: FileSystem, url: str, fault: Exception) -> Refusal | None:
    """Return why a request was refused; None for other failures.

    Args:
        system: File system that made the request.
        url: URL of the object.
        fault: Error of the request.
    """
    if type(fault).__name__ in _WITHOUT_CREDENTIALS:
        return Refusal("none are in the environment" if "No" in type(fault).__name__ else str(fault), is_general=True)
    status = next((found for name in _STATUS if isinstance(found := getattr(fault, name, None), int)), None)
    code = _code_of(fault)
    if code in _CODES or status == 401:
        return Refusal(code or "status 401", is_general=True)
    # The answer to HEAD has a status and no code; an expired token is 400 there.
    if not isinstance(fault, PermissionError) and status != 403 and code != "400":
        return None
    if code in {None, "400", "403", "AccessDenied"}:
        code = _code_of_read(system, url) or code
    if code == "400":
        return None
    return Refusal(code or "status 403", is_general=code in _CODES)


def _code_of(fault: BaseException) -> str | None:
    """Return the code of an error of S3."""
    for each in (fault, fault.__cause__):
        response = getattr(each, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code") or "") or None
    return None


def _code_of_read(system: FileSystem, url: str) -> str | None:
    """Return the code with which reading a byte is refused: the answer to HEAD has none."""
    try:
        system.cat_file(url, start=0, end=1)
    except Exception as error:  # noqa: BLE001 - its code alone is used
        return _code_of(error)
    return None


def _connect(protocol: str) -> FileSystem:
    try:
        import fsspec  # noqa: PLC0415 - an optional package, and only for URLs
    except ImportError as error:
        raise MissingDependencyError("fsspec", "remote", f"reading {protocol}:// URLs") from error
    options = _S3 if protocol in {"s3", "s3a"} else {}
    if protocol not in {*fsspec.available_protocols(), *fsspec.registry}:
        raise UnknownNameError("protocol of a URL", protocol, ["s3", "gs", "abfs", "http", "https"])
    try:
        _check_arguments(protocol, fsspec.get_filesystem_class(protocol))
        system = fsspec.filesystem(protocol, use_listings_cache=False, skip_instance_cache=True, **options)
    except ImportError as error:
        package = _PACKAGES.get(protocol, protocol)
        raise MissingDependencyError(package, "remote", f"reading {protocol}:// URLs") from error
    except ConfigurationError:
        raise
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{protocol}:// cannot be used: {redacted(str(error))}") from error
    if hasattr(system, "retries"):
        system.retries = 1
    return system


def _check_arguments(protocol: str, kind: type[Any]) -> None:
    """Refuse a file system that needs arguments which a URL does not have here, such as the host of ftp."""
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    named = (each for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(each.default is inspect.Parameter.empty for each in named):
        raise ConfigurationError(
            f"{protocol}:// cannot be used, since it needs more than a URL: copy the images to a folder, or to storage "
            "of S3, GCS, Azure or HTTP"
        )
