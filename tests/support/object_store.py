"""A real S3 server on loopback whose answers can be made to fail, and its settings in the environment."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

KEY, SECRET = "AKIAEXAMPLEKEY00", "s3cr3tExampleAccessKeyOfTheTests"
TOKEN = "example-session-token-of-the-tests"


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


@dataclass
class Failures:
    """Answers that replace the server's, to requests whose path contains a text.

    Attributes:
        times: Number of such answers.
        half: Whether the answer is half of the server's own.
        after: Number of requests that are answered properly before.
    """

    text: str
    status: str
    code: str
    times: int
    method: str = "GET"
    half: bool = False
    after: int = 0

    def matches(self, environ):
        if not (self.times > 0 and environ["REQUEST_METHOD"] == self.method and self.text in environ["PATH_INFO"]):
            return False
        self.after -= 1
        return self.after < 0


@dataclass
class ObjectStore:
    """Running server.

    Attributes:
        url: Address of the server.
        requests: Method and path of each request.
        failures: Answers that replace the server's own.
    """

    url: str = ""
    requests: list = field(default_factory=list)
    failures: list = field(default_factory=list)
    stop: Callable = None

    def fail(self, text, status, code, *, times=1, method="GET", after=0):
        self.failures.append(Failures(text, status, code, times, method, after=after))

    def halve(self, text, times=1):
        self.failures.append(Failures(text, "", "", times, half=True))

    def gets(self, text):
        return sum(method == "GET" and text in path for method, path, _ in self.requests)


class Application:
    def __init__(self, store):
        self.store = store
        self.inner = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ, start_response):
        self.store.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_RANGE")))
        failure = next((each for each in self.store.failures if each.matches(environ)), None)
        if failure is None:
            return self.inner(environ, start_response)
        failure.times -= 1
        if failure.half:
            return self.half(environ, start_response)
        body = f"<Error><Code>{failure.code}</Code><Message>told {KEY} off</Message></Error>".encode()
        body = b"" if environ["REQUEST_METHOD"] == "HEAD" else body
        start_response(failure.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    def half(self, environ, start_response):
        """Half of the body, with a header that agrees with it: as a proxy does that was cut off."""

        def shorter(status, headers, exc_info=None):
            kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
            start_response(status, [*kept, ("Content-Length", str(len(content) // 2))], exc_info)

        started = []
        content = b"".join(self.inner(environ, lambda *args: started.append(args)))
        shorter(*started[0])
        return [content[: len(content) // 2]]


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Run a server until the block ends."""
    store = ObjectStore()
    server = make_server("127.0.0.1", 0, Application(store), threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_port}"

    def stop():
        server.shutdown()
        server.server_close()
        thread.join(5)

    store.stop = stop
    try:
        yield store
    finally:
        stop()


def environment(store, cache):
    """Environment variables of a process that uses the server."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": store.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MINIMAX_AL_CACHE": str(cache),
    }
