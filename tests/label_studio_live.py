"""The bridge against a Label Studio that really runs; `make test-label-studio` installs one and runs this.

The server is this machine's own: on loopback, with SQLite in a temporary folder, without telemetry; it is stopped by
its process id. It is asked by its REST API, as people's browsers ask it, and by its own converters.
"""

import json
import os
import socket
import subprocess
import threading
import time
import zipfile
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from minimax_al.campaign import Campaign
from minimax_al.campaign.progress.runs import finish_run, start_run
from minimax_al.campaign.rounds.rounds import Choice, add_round
from minimax_al.errors import CampaignError, UnknownNameError
from minimax_al.label_formats.run_length import encode_label_studio
from minimax_al.label_studio import LabelStudio, Pull, pull, push
from minimax_al.web.label_studio_backend import create_backend

BIN = Path(os.environ.get("LABEL_STUDIO_BIN", ".venv-label-studio/bin")).absolute()
EMAIL, KEY = "ann@example.org", "0123456789abcdef0123456789abcdef01234567"
TOKEN = "0123456789abcdef-secret"
START_SECONDS = 600  # it migrates its database first, which may take minutes
QUIET = {
    "COLLECT_ANALYTICS": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "LATEST_VERSION_CHECK": "false",
    "FEATURE_FLAGS_OFFLINE": "true",
    "no_proxy": "127.0.0.1,localhost",  # everything else goes to a port where nothing listens
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"),
}
USER = {
    "LABEL_STUDIO_USERNAME": EMAIL,
    "LABEL_STUDIO_PASSWORD": "correct-horse",
    "LABEL_STUDIO_USER_TOKEN": KEY,
    # Label Studio calls no address of its own machine unless it is told so.
    "ML_BLOCK_LOCAL_IP": "false",
    "SSRF_PROTECTION_ENABLED": "false",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A running server's address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    folder = tmp_path_factory.mktemp("label-studio")
    environment = {**os.environ, **QUIET, **USER, "LABEL_STUDIO_BASE_DATA_DIR": str(folder)}
    words = ["start", "--init", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    log = (folder / "server.log").open("wb")
    server = subprocess.Popen(
        [BIN / "label-studio", *words, "--enable-legacy-api-token"], env=environment, stdout=log, stderr=log
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(address) or server.poll() is not None, START_SECONDS)
        assert server.poll() is None, (folder / "server.log").read_text()
        yield address
    finally:
        server.terminate()
        server.wait(30)
        log.close()


@pytest.fixture(scope="module")
def studio(url):
    """Label Studio's API, as a browser has it."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Token {KEY}"}, timeout=60) as api:
        yield api


@pytest.fixture
def client(url):
    with LabelStudio(url, KEY) as client:
        yield client


@pytest.fixture
def make_campaign(tmp_path):
    made = []

    def make(**options):
        images = tmp_path / "images"
        images.mkdir()
        for number in range(8):
            pixels = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
            image = Image.fromarray(pixels).resize((40, 30), Image.Resampling.BICUBIC)
            image.save(images / f"größe {number}{'.tif' if number == 3 else '.png'}")
        made.append(
            Campaign.create(
                tmp_path / "campaign", images, ["cat", 'the "best"', "n/a"], **{"recipe": "scratch", **options}
            )
        )
        return made[-1]

    yield make
    for campaign in made:
        campaign.close()


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.25)


def answers(address):
    try:
        return httpx.get(f"{address}/health", timeout=5).is_success
    except httpx.TransportError:
        return False


def open_round(campaign, items, suggestion=1):
    """A round as a model would open it; the run's id."""
    with campaign.store.writing() as connection:
        now = campaign.now()
        run_id = start_run(connection, "entropy", f"run {now}", labels=1, held_out=0, now=now)
        finish_run(connection, run_id, {}, now, last_label=0)
        choices = [Choice(item, f"why {item}", {"entropy": 0.5}, False, suggestion, 0.75) for item in items]
        values = {"strategy": "entropy", "random_share": 0, "seed": 0, "run_id": run_id, "now": now}
        add_round(connection, choices, **values)
    return f"run-{run_id:04d}"


def tasks_of(studio, project):
    page = studio.get("/api/tasks/", params={"project": project, "fields": "all", "page_size": 100}).json()
    return {task["data"]["item"]: task for task in page["tasks"]}


def annotate(studio, task, result, **more):
    answer = studio.post(f"/api/tasks/{task['id']}/annotations/", json={"result": result, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def choice(name):
    return [{"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [name]}}]


def region(kind, name, value):
    size = {"original_width": 40, "original_height": 30, "image_rotation": 0}
    return {"from_name": name, "to_name": "image", "type": kind, "value": value, **size}


def test_a_round_is_pushed_and_pulled(make_campaign, studio, client):
    campaign = make_campaign()
    version = open_round(campaign, [4, 2, 7, 1, 5])
    first = push(campaign, client, "round trip")
    assert (first.made, first.sent) == (True, 5)
    tasks = tasks_of(studio, first.project)
    assert list(tasks) == [4, 2, 7, 1, 5]
    for task in tasks.values():
        image = studio.get(task["data"]["image"])
        assert image.headers["content-type"] == "image/png"
        shown = np.asarray(Image.open(BytesIO(image.content)))
        np.testing.assert_array_equal(shown, np.asarray(Image.open(campaign.image(task["data"]["item"]))))
        (prediction,) = task["predictions"]
        assert (prediction["model_version"], prediction["score"]) == (version, 0.75)
    assert studio.get(f"/api/projects/{first.project}/").json()["model_version"] == version
    assert push(campaign, client, first.project).there == 5
    assert len(tasks_of(studio, first.project)) == 5

    bob = studio.post("/api/users/", json={"email": "bob@example.org", "username": "bob", "password": "battery-staple"})
    annotation = annotate(studio, tasks[4], choice("cat"))
    annotate(studio, tasks[2], choice('the "best"'), completed_by=bob.json()["id"])
    annotate(studio, tasks[7], [], was_cancelled=True)
    assert pull(campaign, client, "round trip") == Pull(added=2, skipped=1)
    assert pull(campaign, client, "round trip") == Pull(unchanged=3)
    paths = {pick.item: pick.path for pick in campaign.picks()}
    assert campaign.labels() == {paths[4]: "cat", paths[2]: 'the "best"'}
    studio.patch(f"/api/annotations/{annotation['id']}/", json={"result": choice("n/a")})
    assert pull(campaign, client, "round trip") == Pull(changed=1, unchanged=2)
    assert campaign.labels()[paths[4]] == "n/a"

    campaign.close_round()
    newer = open_round(campaign, [1, 7, 3])
    second = push(campaign, client, "round trip")
    assert (second.made, second.sent, second.renewed) == (False, 2, 1)
    assert push(campaign, client, "round trip").there == 3
    page = studio.get("/api/tasks/", params={"project": first.project, "fields": "all"}).json()
    assert page["total"] == 7
    renewed = next(task for task in page["tasks"] if task["id"] == tasks[1]["id"])
    assert renewed["data"]["round"] == 2
    assert [one["model_version"] for one in renewed["predictions"]] == [version, newer]
    campaign.add_classes(["heron"])
    push(campaign, client, "round trip")
    parsed = studio.get(f"/api/projects/{first.project}/").json()["parsed_label_config"]
    assert parsed["label"]["labels"] == list(campaign.classes)


def test_masks_come_back_as_they_were_drawn(make_campaign, studio, client, tmp_path):
    campaign = make_campaign(task="segmentation")
    campaign.query(2)
    project = push(campaign, client, "masks").project
    (first, task), (second, other) = tasks_of(studio, project).items()
    ys, xs = np.mgrid[:30, :40]
    disc = (ys - 14) ** 2 + (xs - 20) ** 2 < 90
    # Brushes as Label Studio's own converter writes them, and a polygon in per cent.
    np.save(tmp_path / "disc.npy", disc.astype(np.uint8) * 255)
    code = "import sys, json, numpy; from label_studio_sdk.converter.brush import mask2rle; "
    code += "print(json.dumps([int(byte) for byte in mask2rle(numpy.load(sys.argv[1]))]))"
    done = subprocess.run(
        [BIN / "python", "-c", code, tmp_path / "disc.npy"],
        check=True,
        capture_output=True,
        env={**os.environ, **QUIET},
    )
    brush = region("brushlabels", "label", {"format": "rle", "rle": json.loads(done.stdout), "brushlabels": ["cat"]})
    corners = [[25, 50], [75, 50], [75, 100], [25, 100]]
    polygon = region("polygonlabels", "polygon", {"points": corners, "polygonlabels": ["n/a"], "closed": True})
    annotate(studio, task, [brush, polygon])
    ours = {"format": "rle", "rle": encode_label_studio(disc), "brushlabels": ["cat"]}
    annotate(studio, other, [region("brushlabels", "label", ours)])
    assert pull(campaign, client, "masks") == Pull(added=2)
    assert pull(campaign, client, "masks") == Pull(unchanged=2)
    expected = np.where(disc, 0, 255).astype(np.uint8)
    paths = {pick.item: pick.path for pick in campaign.picks()}
    np.testing.assert_array_equal(campaign.masks.load(campaign.labels()[paths[second]]), expected)
    expected[15:, 10:30] = 2
    np.testing.assert_array_equal(campaign.masks.load(campaign.labels()[paths[first]]), expected)
    # Our own code, read by Label Studio: its export of masks as images.
    export = studio.get(f"/api/projects/{project}/export", params={"exportType": "BRUSH_TO_PNG"})
    with zipfile.ZipFile(BytesIO(export.content)) as files:
        (name,) = (name for name in files.namelist() if name.startswith(f"task-{other['id']}-"))
        with files.open(name) as file, Image.open(file) as image:
            np.testing.assert_array_equal(np.asarray(image) > 0, disc)


@pytest.fixture
def serve():
    """Runs an application on loopback until the test ends; its address."""
    running = []

    def start(app):
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread, listener))
        wait_until(lambda: server.started, 30)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, thread, listener in running:
        server.should_exit = True
        thread.join(30)
        listener.close()


def test_the_ml_backend_predicts_and_imports_labels(make_campaign, studio, client, serve):
    campaign = make_campaign()
    campaign.query(3)
    project = push(campaign, client, "backend").project
    campaign.close_round()
    version = open_round(campaign, [pick.item for pick in campaign.picks()], suggestion=2)
    address = serve(create_backend(campaign, client, "backend", token=TOKEN))
    connection = {"project": project, "url": address, "title": "minimax-al", "is_interactive": True}
    refused = studio.post("/api/ml/", json=connection)
    assert refused.status_code == 400
    access = {"auth_method": "BASIC_AUTH", "basic_auth_user": "studio", "basic_auth_pass": TOKEN}
    backend = studio.post("/api/ml/", json={**connection, **access}).json()
    assert (backend["readable_state"], backend["model_version"]) == ("Connected", version)
    for _ in range(2):
        words = {"id": "retrieve_tasks_predictions", "project": project}
        studio.post("/api/dm/actions/", params=words, json={"selectedItems": {"all": True, "excluded": []}})
        for task in tasks_of(studio, project).values():
            (prediction,) = task["predictions"]
            assert (prediction["model_version"], prediction["score"]) == (version, 0.75)
            assert prediction["result"][0]["value"] == {"choices": ['the "best"']}
    task = next(iter(tasks_of(studio, project).values()))
    asked = studio.post(f"/api/ml/{backend['id']}/interactive-annotating", json={"task": task["id"], "context": {}})
    assert asked.json()["data"]["result"][0]["value"] == {"choices": ['the "best"']}

    (hook,) = studio.get("/api/webhooks/", params={"project": project}).json()
    annotation = annotate(studio, task, choice("cat"))
    assert campaign.labels() == {}  # the webhook that Label Studio has made does not know the token
    studio.patch(f"/api/webhooks/{hook['id']}/", json={"headers": {"Authorization": f"Bearer {TOKEN}"}})
    studio.patch(f"/api/annotations/{annotation['id']}/", json={"result": choice("n/a")})
    wait_until(lambda: list(campaign.labels().values()) == ["n/a"], 10)
    assert pull(campaign, client, "backend") == Pull(unchanged=1)
    studio.post(f"/api/ml/{backend['id']}/train")
    studio.delete(f"/api/annotations/{annotation['id']}/")
    assert list(campaign.labels().values()) == ["n/a"]


def test_personal_access_tokens_and_wrong_keys(make_campaign, studio, url):
    token = studio.post("/api/token/").json()["token"]
    campaign = make_campaign()
    campaign.query(2)
    with LabelStudio(url, token) as client:
        assert push(campaign, client, "personal").sent == 2
        client._client.auth.access += "x"  # as if its minutes were over
        assert push(campaign, client, "personal").there == 2
        with pytest.raises(UnknownNameError, match=r"unknown project of Label Studio at .*'4711'"):
            pull(campaign, client, 4711)
    for key in (f"{token[:-4]}abcd", "wrong"):
        with LabelStudio(url, key) as stranger, pytest.raises(CampaignError, match="refuses the key"):
            pull(campaign, stranger, "personal")
    studio.post("/api/jwt/settings", json={"api_tokens_enabled": True, "legacy_api_tokens_enabled": False})
    with (
        LabelStudio(url, KEY) as old,
        pytest.raises(CampaignError, match="legacy token authentication has been disabled"),
    ):
        pull(campaign, old, "personal")


def test_an_unreachable_server_is_reported(make_campaign):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    nobody = LabelStudio(f"http://127.0.0.1:{port}", KEY)
    with nobody, pytest.raises(CampaignError, match=r"cannot be reached .* start it, or mend the address"):
        pull(make_campaign(), nobody, "x")
