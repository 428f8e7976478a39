import re
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

from minimax_al.cli import main
from minimax_al.errors import ConfigurationError
from minimax_al.web import serve
from minimax_al.web.serving import address, is_loopback, listen

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
def served(campaign, monkeypatch):
    """Calls `serve` without serving; returns the address that was told, and the application."""
    opened = threading.Event()
    monkeypatch.setattr("minimax_al.web.serving.listen", lambda host, port: listen("127.0.0.1", 0))
    monkeypatch.setattr("webbrowser.open", lambda page: opened.set())
    apps = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: apps.append(server.config.app))

    def call(**options):
        told = []
        serve(campaign, tell=told.append, **options)
        return told[0].manager, apps[-1], opened

    return call


def test_loopback_needs_no_token(served):
    page, app, opened = served()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", page)
    with TestClient(app, base_url=page) as client:
        assert client.get("/api/job").status_code == 200
        assert client.get("/api/job", headers={"Host": "elsewhere.example"}).status_code == 403
    assert not opened.is_set()


@pytest.mark.parametrize(("host", "name"), [("127.0.0.2", "127.0.0.2"), ("[::1]", "[::1]"), ("LOCALHOST", "localhost")])
def test_every_address_of_this_machine_answers_by_its_name(served, host, name):
    _, app, _ = served(host=host)
    with TestClient(app, base_url="http://localhost:8765") as client:
        assert client.get("/api/job", headers={"Host": f"{name}:8765"}).status_code == 200


def test_a_browser_is_opened_on_request(served):
    _, _, opened = served(open_browser=True)
    assert opened.wait(timeout=10)


def test_a_server_with_a_token_opens_no_browser(served, monkeypatch):
    monkeypatch.setattr("minimax_al.web.serving.Thread", None)  # of the browser; there is no other
    page, _, opened = served(open_browser=True, token=TOKEN)
    assert page.endswith(f"?token={TOKEN}")
    assert not opened.is_set()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "labels.example"])
def test_other_addresses_always_need_a_token(served, host):
    made = {served(host=host)[0].partition("?token=")[2] for _ in range(2)}
    assert len(made) == 2
    assert all(len(token) >= 32 for token in made)
    page, app, _ = served(host=host, token=TOKEN)
    assert page.endswith(f"/?token={TOKEN}")
    with TestClient(app, base_url="http://labels.example") as client:
        assert client.get("/api/job").status_code == 401
        assert client.get("/api/job", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_token_counts_on_this_machine_too(served):
    page, app, _ = served(token=TOKEN)
    assert page.endswith(f"?token={TOKEN}")
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/api/job").status_code == 401


@pytest.mark.parametrize("token", ["", "short", "x" * 15, "with a space in it", "ümlautümlautümlaut", "x" * 201])
def test_short_or_unprintable_tokens_are_refused(campaign, token):
    with pytest.raises(ConfigurationError, match="at least 16 letters"):
        serve(campaign, port=0, token=token)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.example.org", ""])
def test_not_loopback(host):
    assert not is_loopback(host)


def test_addresses_can_be_typed():
    assert address("127.0.0.1", 80, None) == "http://127.0.0.1:80/"
    assert address("::1", 80, None) == address("[::1]", 80, None) == "http://[::1]:80/"
    assert address("0.0.0.0", 80, "abc") == f"http://{socket.gethostname()}:80/?token=abc"


def test_an_unusable_address_is_one_sentence():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port}: Address already in use.*--port"):
            listen("127.0.0.1", port)
    for port in (-1, 70_000):
        with pytest.raises(ConfigurationError, match=f"port {port} is invalid"):
            listen("127.0.0.1", port)


def test_the_command_serves_until_interrupted(campaign):
    code = "import sys; from minimax_al.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "label", str(campaign.folder), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            page = process.stdout.readline().split()[-1]
            with httpx.Client(base_url=page, trust_env=False) as client:
                told = client.get("/api/campaign")
                assert told.json()["name"] == "herons"
                assert "server" not in told.headers
                lease = client.post("/api/lease", json={"author": "ann", "count": 2}).json()
                assert len(lease["picks"]) == 2
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
    assert errors == ""
    assert process.returncode == 0
    assert campaign.pick(lease["picks"][0]["item"]).lease_holder == "ann"


def test_errors_of_the_command_are_one_sentence(tmp_path, campaign, capsys):
    assert main(["label", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main(["label", str(campaign.folder), "--port", "70000"]) == 2
    assert "port 70000" in capsys.readouterr().err


SESSION = """
import sys
from fastapi.testclient import TestClient
from minimax_al.campaign import Campaign
from minimax_al.web import create_app
with Campaign.open(sys.argv[1]) as campaign, TestClient(create_app(campaign), base_url="http://localhost") as client:
    for path in ("/", "/api/campaign", "/api/status", "/api/job", "/api/picks", "/api/export/csv", "/openapi.json"):
        assert client.get(path).status_code == 200, path
    item = client.post("/api/lease", json={"author": "ann", "count": 1}).json()["picks"][0]["item"]
    for path in (f"/images/{item}", f"/thumbnails/{item}"):
        assert client.get(path).status_code == 200, path
    assert client.post("/api/label", json={"author": "ann", "items": [item], "class_name": "cat"}).status_code == 200
    labels = b"path,label\\n0.png,cat\\n"
    assert client.post("/api/import", params={"filename": "a.csv"}, content=labels).status_code == 200
    assert client.post("/api/undo", json={"author": "ann"}).status_code == 200
heavy = {"torch", "torchvision", "matplotlib", "sklearn"} & set(sys.modules)
assert not heavy, heavy
"""


def test_the_server_needs_no_torch(campaign):
    done = subprocess.run(
        [sys.executable, "-c", SESSION, str(campaign.folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
