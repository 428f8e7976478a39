"""Client of Label Studio's REST API: requests with a key, checked answers, and errors in one sentence."""

from collections.abc import Generator, Mapping, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from minimax_al.errors import CampaignError, ConfigurationError, DataError
from minimax_al.label_studio.messages import Access, Version

KNOWN_VERSION = "1.23"
"""The version of Label Studio that the bridge was written against."""

TIMEOUT_SECONDS = 60.0

T = TypeVar("T")
Upload = tuple[str, bytes, str]
"""File to send: name, content and media type."""


class NotFoundError(CampaignError):
    """A path of Label Studio does not exist, or the key has no access to it."""


class LabelStudio:
    """Client of a Label Studio server.

    Args:
        url: Address of its page, such as `http://localhost:8080`.
        api_key: Personal access token or legacy token, from the account page.
        transport: Transport that replaces the network, for tests.
        timeout_seconds: Longest time until an answer, in seconds.

    Attributes:
        url: Address without a slash at its end.

    Raises:
        ConfigurationError: The address or the key is invalid.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(
            base_url=_checked_url(self.url),
            auth=_authentication(api_key, self.url),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # a session cookie would override the key
            transport=transport,
            timeout=timeout_seconds,
        )

    def close(self) -> None:
        """Close all connections; the object is a context manager, too."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def get(self, path: str, form: type[T], params: Mapping[str, Any] | None = None) -> T:
        """Send a GET request and return the answer as an object of type `form`.

        Raises:
            NotFoundError: The path does not exist.
            CampaignError: The server cannot be reached, refuses the key, or answers in another form.
        """
        return self._form("GET", path, self._request("GET", path, params=params), form)

    def post(
        self,
        path: str,
        form: type[T],
        *,
        json: object = None,
        files: Sequence[Upload] = (),
        params: Mapping[str, Any] | None = None,
    ) -> T:
        """Send a POST request and return the answer as an object of type `form`.

        Args:
            path: Path of the route.
            form: Type of the answer.
            json: Body, unless files are sent.
            files: Files to send.
            params: Parameters of the query.

        Raises:
            DataError: The server refuses the body or the files as invalid.
            CampaignError: As in `get`.
        """
        parts = {f"file-{number}": file for number, file in enumerate(files)}
        body: dict[str, Any] = {"files": parts} if parts else {"json": json}
        return self._form("POST", path, self._request("POST", path, params=params, **body), form)

    def patch(self, path: str, form: type[T], json: object) -> T:
        """Send a PATCH request and return the answer as an object of type `form`.

        Raises:
            DataError: The server refuses the body as invalid.
            CampaignError: As in `get`.
        """
        return self._form("PATCH", path, self._request("PATCH", path, json=json), form)

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        try:
            response = self._client.request(method, path, **arguments)
        except httpx.TimeoutException as error:
            raise CampaignError(
                f"Label Studio at {self.url} did not answer {method} {path} in time ({type(error).__name__}): "
                "check that it runs, then try again"
            ) from error
        except httpx.RequestError as error:
            raise CampaignError(
                f"Label Studio at {self.url} cannot be reached ({error}): start it, or correct the address"
            ) from error
        if response.is_success:
            return response
        raise self._refusal(method, path, response)

    def _refusal(self, method: str, path: str, response: httpx.Response) -> Exception:
        """Return the error for an answer that is not a success."""
        why, status = _detail(response), response.status_code
        if response.is_redirect:
            return ConfigurationError(
                f"{self.url} redirects to {response.headers.get('location')!r}: give that address"
            )
        if status == httpx.codes.UNAUTHORIZED:
            return _wrong_key(self.url, why)
        if status == httpx.codes.FORBIDDEN:
            return CampaignError(f"Label Studio at {self.url} does not allow {method} {path} with this key ({why})")
        if status == httpx.codes.NOT_FOUND:
            return NotFoundError(f"Label Studio at {self.url} has no {path} ({why}){self._if_other_version()}")
        if status in (httpx.codes.BAD_REQUEST, httpx.codes.CONFLICT, httpx.codes.REQUEST_ENTITY_TOO_LARGE):
            return DataError(f"Label Studio at {self.url} refuses {method} {path}: {why}")
        return CampaignError(
            f"Label Studio at {self.url} answers {method} {path} with status {status} ({why}){self._if_other_version()}"
        )

    def _form(self, method: str, path: str, response: httpx.Response, form: type[T]) -> T:
        try:
            return TypeAdapter(form).validate_json(response.content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the whole answer"
            raise CampaignError(
                f"{self.url} answers {method} {path} in another form than Label Studio {KNOWN_VERSION} does "
                f"({where}: {first['msg']}){self._if_other_version()}: check that this is the address of Label Studio"
            ) from error

    def _if_other_version(self) -> str:
        """Return the end of a sentence if the server has another version than the bridge was written against."""
        try:
            response = self._client.get("/api/version")
            release = Version.model_validate_json(response.content).release
        except (httpx.HTTPError, CampaignError, ValidationError):
            return ""
        same = release.startswith(f"{KNOWN_VERSION}.")
        return "" if same else f"; it is version {release}, and this program was written for {KNOWN_VERSION}"


class _LegacyToken(httpx.Auth):
    def __init__(self, key: str) -> None:
        self.key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Token {self.key}"
        yield request


class _PersonalToken(httpx.Auth):
    """Authentication by a personal access token, which is exchanged for keys that are valid for some minutes."""

    requires_response_body = True

    def __init__(self, token: str, url: str) -> None:
        self.token = token
        self.url = url
        self.access: str | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        used = self.access
        if used is not None:
            request.headers["Authorization"] = f"Bearer {used}"
            response = yield request
            if response.status_code != httpx.codes.UNAUTHORIZED:
                return
        answer = yield httpx.Request("POST", f"{self.url}/api/token/refresh/", json={"refresh": self.token})
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise _wrong_key(self.url, _detail(answer))
        try:
            self.access = Access.model_validate_json(answer.content).access
        except ValidationError as error:
            raise CampaignError(
                f"{self.url} gives no access for a personal access token (status {answer.status_code}): check that "
                "this is the address of Label Studio, 1.16 or newer"
            ) from error
        request.headers["Authorization"] = f"Bearer {self.access}"
        yield request


def _authentication(key: str, url: str) -> httpx.Auth:
    """Return the authentication of a key; personal access tokens are JSON web tokens of three parts."""
    if not key.strip() or not key.isascii() or not key.isprintable():
        raise ConfigurationError(
            "the key to Label Studio is missing or malformed: copy the access token from your account page there into "
            "the environment variable LABEL_STUDIO_API_KEY"
        )
    return _PersonalToken(key.strip(), url) if key.count(".") == 2 else _LegacyToken(key.strip())


def _checked_url(url: str) -> httpx.URL:
    if "@" in url:  # The address appears in messages, and a password must not.
        raise ConfigurationError(
            "the address of Label Studio has a user name or a password in it: leave them out, the key is enough"
        )
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"{url!r} is not an address ({error}): give one like http://localhost:8080") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigurationError(f"{url!r} is not an address: give one like http://localhost:8080")
    return parsed


def _wrong_key(url: str, why: str) -> CampaignError:
    return CampaignError(
        f"Label Studio at {url} refuses the key ({why}): copy an access token from your account page there"
    )


def _detail(response: httpx.Response) -> str:
    """Return Label Studio's reason for a refusal, in one line."""
    try:
        answer = response.json()
    except ValueError:
        return response.reason_phrase or f"status {response.status_code}"
    if not isinstance(answer, Mapping):
        return str(answer)[:500]
    found = answer.get("validation_errors") or answer.get("detail") or response.reason_phrase
    if isinstance(found, Mapping):
        found = "; ".join(f"{name}: {_joined(reasons)}" for name, reasons in found.items())
    return " ".join(_joined(found).split())[:500]


def _joined(reasons: object) -> str:
    return " ".join(map(str, reasons)) if isinstance(reasons, list) else str(reasons)
