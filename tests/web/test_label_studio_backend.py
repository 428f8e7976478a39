"""The ML backend, asked as Label Studio asks: with payloads that were recorded from it."""

import base64
import subprocess
import sys
import threading

import anyio
import pytest
from fastapi.testclient import TestClient

from minimax_al.campaign.progress.runs import finish_run, start_run
from minimax_al.campaign.rounds.rounds import Choice, add_round
from minimax_al.errors import CampaignError, ConfigurationError, UnknownNameError
from minimax_al.label_studio import LabelStudio, pull, push
from minimax_al.web.bodies import UPLOADS_AT_ONCE
from minimax_al.web.label_studio_backend import create_backend, serve_backend
from minimax_al.web.serving import listen

from ..label_studio.fake import LEGACY_KEY, URL, FakeLabelStudio, payload  # noqa: TID252 - the same server
from .exchange import Exchange

TOKEN = "0123456789abcdef-secret"
HOME = "http://localhost:9090"


@pytest.fixture
def studio():
    return FakeLabelStudio()


@pytest.fixture
def client(studio):
    with LabelStudio(URL, LEGACY_KEY, transport=studio.transport) as client:
        yield client


def trained(campaign, strategy="entropy"):
    """Id of a run that is recorded as finished."""
    with campaign.store.writing() as connection:
        now = campaign.now()
        run_id = start_run(connection, strategy, f"{strategy} {now}", labels=1, held_out=0, now=now)
        finish_run(connection, run_id, {}, now, last_label=0)
    return run_id


@pytest.fixture
def campaign(make_campaign, client):
    """A campaign whose model has chosen three images, which are in the project `herons`."""
    campaign = make_campaign()
    run_id = trained(campaign)
    choices = [Choice(item, "why", suggestion=1, confidence=0.5 + item / 10) for item in (1, 2, 3)]
    with campaign.store.writing() as connection:
        values = {"strategy": "entropy", "random_share": 0, "seed": 0, "run_id": run_id, "now": campaign.now()}
        add_round(connection, choices, **values)
    push(campaign, client, "herons")
    return campaign


@pytest.fixture
def backend(campaign, client):
    return TestClient(create_backend(campaign, client, "herons"), base_url=HOME)


def recorded(name, studio, **changes):
    """A recorded request, with the numbers that the fake has given."""
    (project,) = studio.projects
    body = payload(name)
    if name == "webhook":
        body["project"]["id"] = project
        body["task"]["id"] = body["annotation"]["task"] = changes["task"]
    elif name == "setup":
        body["project"] = f"{project}.{body['project'].partition('.')[2]}"
    else:
        body["tasks"] = [{**body["tasks"][0], **studio.tasks[task]} for task in changes["tasks"]]
    return body


def test_health_answers_as_label_studio_expects(backend):
    for path in ("/", "/health"):
        assert backend.get(path).json() == {"status": "UP", "model_class": "minimax-al"}
    assert backend.get("/metrics").json() == {}


def test_setup_answers_with_the_models_version_and_refuses_other_projects(backend, studio, campaign):
    assert backend.post("/setup", json=recorded("setup", studio)).json() == {"model_version": "run-0001"}
    trained(campaign, "margin")
    assert backend.post("/setup", json=recorded("setup", studio)).json() == {"model_version": "run-0002"}
    answer = backend.post("/setup", json={**payload("setup"), "project": "99.1795379279"})
    assert answer.status_code == 400
    assert "project 99 connects" in answer.json()["error"]


def test_predictions_equal_the_pushed_ones(backend, studio):
    answer = backend.post("/predict", json=recorded("predict", studio, tasks=list(studio.tasks)))
    assert answer.status_code == 200
    assert answer.json()["results"] == [task["predictions"][0] for task in studio.tasks.values()]


def test_tasks_of_unknown_images_have_no_prediction(backend, studio):
    tasks = list(studio.tasks)
    studio.tasks[tasks[1]]["data"] = {"image": "/data/upload/1/other.png"}
    results = backend.post("/predict", json=recorded("predict", studio, tasks=tasks)).json()["results"]
    assert [bool(result) for result in results] == [True, False, True]
    assert results[1] == []


def test_before_there_is_a_model_there_are_no_predictions(make_campaign, studio, client):
    campaign = make_campaign()
    campaign.query(2)
    push(campaign, client, "herons")
    backend = TestClient(create_backend(campaign, client, "herons"), base_url=HOME)
    assert backend.post("/setup", json=recorded("setup", studio)).json() == {"model_version": "untrained"}
    body = recorded("predict", studio, tasks=list(studio.tasks))
    assert backend.post("/predict", json=body).json() == {"results": [[], []]}


def keep_a_model(campaign):
    """A model of random weights, as if it had been trained."""
    from minimax_al.campaign.progress.runs import run_folder
    from minimax_al.deployment.model_file import save_trained
    from minimax_al.deployment.trained import Trained
    from minimax_al.networks import TaskModel, build_encoder
    from minimax_al.training import Recipe

    recipe = Recipe.model_validate({"encoder": "conv4", "width": 4, "runtime": {"device": "cpu", "precision": "fp32"}})
    model = TaskModel(build_encoder("conv4", recipe.stem, width=4), 2)
    grey = (0.5, 0.5, 0.5)
    folder = run_folder(campaign.folder, trained(campaign, "margin"))
    folder.mkdir(parents=True)
    save_trained(folder, Trained(model, recipe, "classification", ("cat", "dog"), 16, "centre", grey, grey, {}))


def test_images_that_were_not_picked_are_predicted_by_the_last_model(backend, campaign, studio):
    keep_a_model(campaign)
    said = {one.path: one for one in campaign.predict(campaign.images).images}
    body = recorded("predict", studio, tasks=list(studio.tasks))
    for _ in range(2):
        for task, result in zip(body["tasks"], backend.post("/predict", json=body).json()["results"], strict=True):
            expected = said[task["data"]["path"]]
            assert result["result"][0]["value"] == {"choices": [expected.class_name]}
            assert result["score"] == pytest.approx(expected.confidence, abs=1e-5)
            assert result["model_version"] == "run-0002"


def test_a_webhook_imports_each_label_once(backend, studio, campaign, client):
    first, second, _ = studio.tasks
    annotation = studio.choose(first, "dog")
    answer = backend.post("/webhook", json=recorded("webhook", studio, task=first))
    assert (answer.status_code, answer.json()["result"]["added"]) == (201, 1)
    assert list(campaign.labels().values()) == ["dog"]
    for _ in range(2):
        backend.post("/webhook", json=recorded("webhook", studio, task=first))
    assert pull(campaign, client, "herons").unchanged == 1
    studio.change(annotation, result=[{"type": "choices", "value": {"choices": ["cat"]}}])
    updated = {**recorded("webhook", studio, task=first), "action": "ANNOTATION_UPDATED"}
    assert backend.post("/webhook", json=updated).json()["result"]["changed"] == 1
    studio.annotate(second, [], cancelled=True)
    assert backend.post("/webhook", json=recorded("webhook", studio, task=second)).json()["result"]["skipped"] == 1
    assert campaign.round().waiting == 1


def test_a_bulk_event_names_several_tasks(backend, studio, campaign):
    for task in studio.tasks:
        studio.choose(task, "cat")
    body = recorded("webhook", studio, task=next(iter(studio.tasks)))
    body |= {"action": "ANNOTATIONS_CREATED", "task": [{"id": task} for task in studio.tasks]}
    assert backend.post("/webhook", json=body).json()["result"]["added"] == 3
    assert len(campaign.labels()) == 3


def test_an_event_of_very_many_tasks_makes_few_requests(backend, studio, campaign):
    for task in studio.tasks:
        studio.choose(task, "cat")
    before = len(studio.requests)
    event = {"action": "ANNOTATIONS_CREATED", "task": [{"id": number} for number in range(3000)]}
    assert backend.post("/webhook", json=event).json()["result"]["added"] == 3
    assert len(studio.requests) - before < 10
    assert len(campaign.labels()) == 3


def test_an_event_waits_for_no_prediction(campaign, client):
    """Label Studio tells of it once, and listens to the answer for a second."""
    app = create_backend(campaign, client, "herons")

    async def scene():
        event, asked = Exchange(app, "/webhook"), [Exchange(app, "/predict") for _ in range(UPLOADS_AT_ONCE)]
        async with anyio.create_task_group() as group:
            for one in asked:
                group.start_soon(one.run)
            for one in asked:
                await one.begun.wait()
            await event.body(b'{"action": "x"}')
            await event.run()
            group.cancel_scope.cancel()
        return event

    assert anyio.run(scene).status == 200


def test_the_same_event_by_two_webhooks_at_once_counts_once(backend, studio, campaign):
    first = next(iter(studio.tasks))
    studio.choose(first, "dog")
    body = recorded("webhook", studio, task=first)
    threads = [threading.Thread(target=backend.post, args=("/webhook",), kwargs={"json": body}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    campaign.undo("ann@example.org")
    assert campaign.labels() == {}


def test_a_forged_event_adds_no_label(backend, studio, campaign):
    body = recorded("webhook", studio, task=next(iter(studio.tasks)))
    assert body["annotation"]["result"]
    assert backend.post("/webhook", json=body).json()["result"]["added"] == 0
    assert campaign.labels() == {}


def test_tasks_of_other_projects_are_left_alone(backend, studio, campaign):
    first = next(iter(studio.tasks))
    studio.choose(first, "cat")
    studio.tasks[first]["project"] = 999
    event = {"action": "ANNOTATION_CREATED", "task": {"id": first}}
    assert backend.post("/webhook", json=event).json()["result"]["added"] == 0
    assert campaign.labels() == {}


@pytest.mark.parametrize(
    "event",
    [
        {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}]},
        {"action": "START_TRAINING"},
        {"action": "TASKS_CREATED", "tasks": []},
        {"action": "ANNOTATION_CREATED", "project": {"id": 999}, "task": {"id": 1}},
    ],
)
def test_other_events_change_nothing(backend, studio, campaign, event):
    for task in studio.tasks:
        studio.choose(task, "cat")
    assert backend.post("/webhook", json=event).status_code == 200
    assert campaign.labels() == {}


def test_a_changed_configuration_is_read_again(backend, studio):
    (project,) = studio.projects.values()
    body = recorded("predict", studio, tasks=list(studio.tasks)[:1])
    project["parsed_label_config"]["animal"] = project["parsed_label_config"].pop("label")
    event = {"action": "PROJECT_UPDATED", "project": {"id": project["id"]}}
    assert backend.post("/webhook", json=event).status_code == 201
    (result,) = backend.post("/predict", json=body).json()["results"]
    assert result["result"][0]["from_name"] == "animal"


def test_invalid_annotations_are_reported_and_not_imported(backend, studio, campaign, caplog):
    first = next(iter(studio.tasks))
    studio.choose(first, "zebra")
    answer = backend.post("/webhook", json=recorded("webhook", studio, task=first))
    assert answer.status_code == 400
    assert f"task {first} of Label Studio: unknown class 'zebra'" in answer.json()["error"]
    assert "unknown class 'zebra'" in caplog.text
    assert campaign.labels() == {}


@pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook"])
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"nonsense", b'{"tasks": [{"id": "x"}]}', b'{"action": 7}'])
def test_a_request_of_another_form_is_refused(backend, path, body):
    answer = backend.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"]


def basic(password, user="anybody"):
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def test_every_route_needs_the_token(campaign, client):
    backend = TestClient(create_backend(campaign, client, "herons", token=TOKEN), base_url=HOME)
    wrong = [{}, basic("wrong"), basic(""), {"Authorization": "Basic %%%"}, {"Authorization": "Bearer wrong"}]
    for headers in wrong:
        for path in ("/", "/health", "/metrics"):
            assert backend.get(path, headers=headers).status_code == 401
        for path in ("/setup", "/predict", "/webhook"):
            assert backend.post(path, headers=headers, json={}).status_code == 401
    assert "Basic" in backend.get("/health").headers["www-authenticate"]
    for headers in (basic(TOKEN), {"Authorization": f"Bearer {TOKEN}"}):
        assert backend.get("/health", headers=headers).status_code == 200


def test_other_hosts_and_origins_are_refused(backend):
    assert backend.get("/health", headers={"host": "evil.test"}).status_code == 403
    answer = backend.post("/webhook", json={"action": "x"}, headers={"origin": "https://evil.test"})
    assert answer.status_code == 403


def test_it_does_not_start_without_its_project(make_campaign, client, studio):
    with pytest.raises(UnknownNameError, match="unknown project of Label Studio"):
        create_backend(make_campaign(), client, "herons")
    studio.release = "0.9"
    with (
        LabelStudio(URL, "wrong", transport=studio.transport) as stranger,
        pytest.raises(CampaignError, match="refuses the key"),
    ):
        create_backend(make_campaign(), stranger, "herons")


def test_beyond_loopback_a_short_token_is_refused(campaign, client):
    with pytest.raises(ConfigurationError, match="at least 16 letters"):
        serve_backend(campaign, client, "herons", host="0.0.0.0", port=0, token="short")


def test_every_address_of_this_machine_answers_by_its_name(campaign, client, monkeypatch):
    apps = []
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: apps.append(server.config.app))
    monkeypatch.setattr("minimax_al.web.serving.listen", lambda host, port: listen("127.0.0.1", port))
    serve_backend(campaign, client, "herons", host="127.0.0.2", port=0, tell=lambda *_: None)
    assert TestClient(apps[0], base_url="http://127.0.0.2:9090").get("/health").status_code == 200


def test_no_torch_is_loaded_until_a_model_is_asked():
    code = (
        "import sys; import minimax_al.web.label_studio_backend, minimax_al.cli.label_studio; "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_commands_print_their_outcome(campaign, studio, monkeypatch, capsys, tmp_path):
    from minimax_al.cli import main

    def connect(url, key):
        assert (url, key) == (URL, LEGACY_KEY)
        return LabelStudio(url, key, transport=studio.transport)

    folder = str(campaign.folder)
    rest = ["--project", "herons", "--url", URL]
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    assert main(["label-studio", "push", folder, *rest]) == 2
    assert "LABEL_STUDIO_API_KEY" in capsys.readouterr().err
    monkeypatch.setattr("minimax_al.label_studio.LabelStudio", connect)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", LEGACY_KEY)
    assert main(["label-studio", "push", folder, *rest]) == 0
    assert "0 images sent to project 1, 0 updated\n3 were there before" in capsys.readouterr().out
    studio.choose(next(iter(studio.tasks)), "dog")
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    assert main(["label-studio", "pull", folder, *rest, "--api-key", LEGACY_KEY]) == 0
    assert "1 labels added, 0 changed, 0 skipped, 0 unchanged" in capsys.readouterr().out
    assert main(["label-studio", "pull", folder, "--project", "egrets", "--url", URL, "--api-key", LEGACY_KEY]) == 2
    assert "unknown project of Label Studio" in capsys.readouterr().err
    served = []
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: served.append(True))
    word = ["--api-key", LEGACY_KEY, "--port", "0", "--token", TOKEN]
    assert main(["label-studio", "serve", folder, *rest, *word]) == 0
    out = capsys.readouterr().out
    assert "ML backend: http://127.0.0.1:" in out
    assert TOKEN in out
    assert served == [True]
