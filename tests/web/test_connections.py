"""Idle and slow clients cannot take the page from others: a real server on loopback, with small limits."""

import asyncio
import socket
import threading
from contextlib import ExitStack

import pytest
import uvicorn

from minimax_al.web import connections
from minimax_al.web.connections import BACKLOG, MOST_CONNECTIONS, connection_limit, protocol_with_limits
from minimax_al.web.serving import listen

REQUEST = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
BIG = 64 << 20
LIMIT = 6


class Site:
    """An application that answers at once, waits for a word, or sends much."""

    def __init__(self):
        self.asked, self.ended, self.go_on = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        self.asked.release()
        if scope["path"] == "/wait":
            while not self.go_on.is_set():
                await asyncio.sleep(0.01)
        body = b"x" * BIG if scope["path"] == "/big" else b"hello"
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})  # waits until the client has read the rest, or is gone
        self.ended.release()


@pytest.fixture
def site():
    return Site()


@pytest.fixture
def connect(site):
    """Connects to a server of the site; all connections and the server end with the test."""
    config = uvicorn.Config(
        site,
        log_level="critical",
        lifespan="off",
        ws="none",
        http=protocol_with_limits(LIMIT),
        backlog=BACKLOG,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with listen("127.0.0.1", 0) as listener, ExitStack() as opened:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()

        def connect(sent=b""):
            client = opened.enter_context(socket.create_connection(listener.getsockname(), timeout=60))
            client.sendall(sent)
            return client

        yield connect
        site.go_on.set()
        server.should_exit = True
        thread.join()


def answer(client):
    """All that a client gets before the end of one answer, or before its connection is closed."""
    received = b""
    try:
        while not received.endswith(b"hello") and (part := client.recv(1 << 16)):
            received += part
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize("start", [b"", b"G", b"GET / HTTP/1.1\r\nHost: loc"])
def test_a_missing_header_times_out(connect, monkeypatch, start):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.2)
    assert answer(connect(start)) == b""


def test_a_stalled_second_request_times_out(connect, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.2)
    client = connect(REQUEST % b"/")
    assert answer(client).endswith(b"hello")
    client.sendall(b"GET /")
    assert answer(client) == b""


def test_a_request_that_takes_longer_than_its_header_may_is_answered(connect, monkeypatch, site):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.05)
    client = connect(REQUEST % b"/wait")
    site.asked.acquire(timeout=60)
    assert answer(connect(b"G")) == b""  # closed after as long as the header may take
    site.go_on.set()
    assert answer(client).endswith(b"hello")


def test_requests_on_one_connection_are_answered_one_after_the_other(connect):
    client = connect(REQUEST % b"/")
    for _ in range(3):
        assert answer(client).endswith(b"hello")
        client.sendall(REQUEST % b"/")
    assert answer(client).endswith(b"hello")


def test_the_page_answers_despite_many_idle_connections(connect):
    idle = [connect(b"G") for _ in range(20 * LIMIT)]
    assert answer(connect(REQUEST % b"/")).endswith(b"hello")
    assert answer(idle[0]) == b""


def test_no_request_in_progress_is_closed_for_a_new_connection(connect, site):
    busy = [connect(REQUEST % b"/wait") for _ in range(LIMIT)]
    for _ in busy:
        assert site.asked.acquire(timeout=60)
    assert answer(connect(b"G")) == b""
    site.go_on.set()
    assert all(answer(client).endswith(b"hello") for client in busy)


def test_a_header_without_end_closes_the_connection(connect):
    client = connect(b"GET / HTTP/1.1\r\n")
    with pytest.raises((BrokenPipeError, ConnectionResetError), match=r"Broken pipe|reset"):
        client.sendall(b"X-Name: value\r\n" * 10_000_000)


def test_a_client_that_does_not_read_is_disconnected(connect, monkeypatch, site):
    other, received = connect(REQUEST % b"/big"), 0
    while received < BIG:  # a client that reads has it whole
        part = other.recv(1 << 20)
        assert part
        received += len(part)
    monkeypatch.setattr(connections, "STALL_SECONDS", 0.2)
    client, received = connect(REQUEST % b"/big"), 0
    for _ in range(2):
        assert site.ended.acquire(timeout=60)  # of the other, and when the connection is closed
    try:
        while part := client.recv(1 << 20):
            received += len(part)
    except ConnectionResetError:
        pass
    assert received < BIG


@pytest.mark.parametrize(
    ("soft", "hard", "limit"),
    [
        (256, 256, 96),
        (256, 1024, 480),
        (256, 1 << 20, MOST_CONNECTIONS),
        (1 << 20, 1 << 20, MOST_CONNECTIONS),
        (-1, -1, MOST_CONNECTIONS),
        (256, -1, MOST_CONNECTIONS),
        (32, 32, 16),
    ],
)
def test_connections_use_at_most_half_of_the_file_limit(monkeypatch, soft, hard, limit):
    resource = pytest.importorskip("resource")
    assert resource.RLIM_INFINITY == -1
    raised = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: raised.append(limits))
    assert connection_limit() == limit
    assert all(new > soft and (hard == -1 or new <= hard) for new, _ in raised)


def test_a_limit_of_files_that_cannot_be_raised_stays(monkeypatch):
    resource = pytest.importorskip("resource")

    def refuse(kind, limits):
        raise ValueError("not allowed")

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert connection_limit() == 96
