import io
import json
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from minimax_al.campaign import Campaign, ModelState
from minimax_al.campaign.model.training_lock import training_alone
from minimax_al.web import create_app, job
from minimax_al.web.jobs import JobRunsError, Jobs
from minimax_al.web.models import JobOrder

STUB = """
import json, os, sys
order = json.loads(sys.stdin.readline())
say = lambda **told: print(json.dumps(told), flush=True)
say(training="minimax", epoch=1, epochs=3)
how = order["strategy"]
if how == "stay":
    os.read(0, 1)
if how == "stubborn":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(epoch=2)
    os.read(0, 1)
    os.read(0, 1)
if how == "fail":
    say(state="failed", message="nothing is labelled yet")
    sys.exit(1)
if how == "crash":
    os._exit(7)
if how == "linger":
    say(state="done")
    sys.stdin.read()
if how == "bytes":
    os.write(1, b"caf\\xe9\\n")
if how == "babble":
    print("no JSON", flush=True)
    say(epoch="soon")
    print("[1]", flush=True)
say(epoch=3)
say(state="done", message=json.dumps([order, sys.argv[1:]]))
"""


class Watched(Jobs):
    """Jobs that record the messages they received."""

    def __init__(self, campaign):
        super().__init__(campaign, (sys.executable, "-c", STUB))
        self.heard = queue.Queue()

    def _hear(self, line):
        super()._hear(line)
        self.heard.put(self.current)

    def next(self):
        return self.heard.get(timeout=30)

    def wait(self):
        self._reader.join(timeout=30)
        return self.current


@pytest.fixture
def jobs(campaign):
    watched = Watched(campaign)
    yield watched
    watched.stop()


def train(how):
    return JobOrder(kind="train", strategy=how)


def test_a_job_is_followed_from_its_start_to_its_end(jobs, campaign):
    assert jobs.current.state == "idle"
    started = jobs.start(train("well"))
    assert (started.state, started.kind, started.epoch) == ("running", "train", None)
    first, second, last = jobs.next(), jobs.next(), jobs.next()
    assert (first.state, first.training, first.epoch, first.epochs) == ("running", "minimax", 1, 3)
    assert (second.epoch, second.epochs) == (3, 3)
    assert last.state == "done"
    assert last.started_at == started.started_at
    order = '{"kind": "train", "budget": 100, "strategy": "well", "random_share": 0.0, "storage": null}'
    assert last.message == f'[{order}, ["{campaign.folder}"]]'


def test_a_failed_job_reports_its_own_error(jobs):
    jobs.start(train("fail"))
    assert (jobs.wait().state, jobs.current.message) == ("failed", "nothing is labelled yet")


def test_a_job_without_a_final_message_has_failed(jobs):
    jobs.start(train("crash"))
    ended = jobs.wait()
    assert ended.state == "failed"
    assert "exit status 7" in ended.message


def test_other_output_is_logged_and_skipped(jobs, caplog):
    jobs.start(train("babble"))
    ended = jobs.wait()
    assert (ended.state, ended.epoch) == ("done", 3)
    assert [record.args[0] for record in caplog.records] == ["no JSON", '{"epoch": "soon"}', "[1]"]


def test_undecodable_output_is_skipped(jobs):
    jobs.start(train("bytes"))
    assert (jobs.wait().state, jobs.current.epoch) == ("done", 3)


def test_a_failed_reader_ends_the_job(jobs, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(Jobs, "_hear", lambda *_: 1 / 0)
    jobs.start(train("well"))
    assert jobs.wait().state == "failed"


def test_the_state_is_available_while_a_start_waits(jobs):
    jobs.start(train("linger"))
    jobs.next()
    assert jobs.next().state == "done"
    last, waiting = jobs._process, threading.Event()
    wait = last.wait
    last.wait = lambda *seconds: waiting.set() or wait(*seconds)
    starts = threading.Thread(target=jobs.start, args=[train("well")])
    starts.start()
    assert waiting.wait(timeout=30)
    with ThreadPoolExecutor() as pool:
        seen = pool.submit(lambda: jobs.current)
        try:
            assert seen.result(timeout=5).state == "done"
        finally:
            last.terminate()
            starts.join()
    assert jobs.wait().state == "done"


def test_one_job_at_a_time(jobs):
    jobs.start(train("stay"))
    with pytest.raises(JobRunsError, match=r"a job runs already \(train\)"):
        jobs.start(train("well"))
    jobs.stop()
    assert jobs.current.state == "failed"
    jobs.start(train("well"))
    assert jobs.wait().state == "done"


@pytest.mark.parametrize(("how", "code"), [("stay", -signal.SIGTERM), ("stubborn", -signal.SIGKILL)])
def test_a_job_ends_with_its_server(campaign, monkeypatch, how, code):
    monkeypatch.setattr("minimax_al.web.jobs.STOP_SECONDS", 0.1)
    jobs = Watched(campaign)
    with TestClient(create_app(campaign, jobs=jobs)):
        jobs.start(train(how))
        jobs.next()
        if how == "stubborn":
            jobs.next()
    assert jobs._process.returncode == code
    assert jobs.wait().state == "failed"


BLOCKED = """
import os, threading
from minimax_al.web import job
def run(*_):
    print("to standard error")
    os.write(1, b"to standard error, \\xff\\n")
    job.tell(_[-1], training="minimax", epoch=1, epochs=2)
    threading.Event().wait()
job.run = run
job.main()
"""


def test_a_job_ends_after_its_server_was_killed():
    order = b'{"kind": "train", "storage": null}\n'
    with subprocess.Popen(
        [sys.executable, "-c", BLOCKED, "folder"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdin.write(order)
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"training": "minimax", "epoch": 1, "epochs": 2}
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(timeout=30) == 1


@pytest.fixture
def over_http(campaign, jobs, make_client):
    return make_client(campaign, jobs=jobs)


def test_jobs_over_http(over_http, jobs):
    started = over_http.post("/api/jobs", json={"kind": "train", "strategy": "stay"})
    assert started.status_code == 202
    assert started.json()["state"] == "running"
    jobs.next()
    assert over_http.get("/api/job").json()["epoch"] == over_http.get("/api/status").json()["job"]["epoch"] == 1
    again = over_http.post("/api/jobs", json={"kind": "train"})
    assert again.status_code == 409
    assert "runs already" in again.json()["error"]


def test_no_next_round_while_one_is_open(over_http, campaign):
    refused = over_http.post("/api/jobs", json={"kind": "query", "budget": 2})
    assert refused.status_code == 409
    assert "round 1 is still open: 8 of 8" in refused.json()["error"]
    assert over_http.post("/api/close-round", json={"round": 1}).json() == {"closed": 1}
    assert not campaign.round().is_open
    closed = over_http.post("/api/close-round", json={"round": 1})
    assert (closed.status_code, closed.json()["error"]) == (409, "no round is open")


def test_an_outdated_page_cannot_close_a_newer_round(over_http, campaign):
    campaign.close_round()
    campaign.query(4, "random")
    refused = over_http.post("/api/close-round", json={"round": 1})
    assert refused.status_code == 409
    assert "round 1 is not the open one" in refused.json()["error"]
    assert campaign.round().is_open
    assert over_http.post("/api/close-round", json={}).status_code == 422


@pytest.mark.parametrize(
    "order",
    [{}, {"kind": "sleep"}, {"kind": "query", "budget": 0}, {"kind": "query", "random_share": 1.5},
     {"kind": "query", "budget": "5"}, {"kind": "train", "epochs": 3}],
)  # fmt: skip
def test_malformed_job_requests_are_refused(onlooker, order):
    assert onlooker.post("/api/jobs", json=order).status_code == 422


def test_the_next_round_is_opened_by_a_process_of_its_own(campaign):
    campaign.close_round()
    jobs = Jobs(campaign)
    jobs.start(JobOrder(kind="query", budget=3, strategy="random"))
    jobs._reader.join(timeout=120)
    assert (jobs.current.state, jobs.current.message) == ("done", "round 2 is open: 3 images by random")
    assert campaign.round().number == 2


@pytest.fixture
def do(campaign, monkeypatch, capsys):
    """Run a job in this process, and return its exit status and its messages."""

    def call(**order):
        monkeypatch.setattr("minimax_al.web.child.end_with_input", lambda: None)
        monkeypatch.setattr("sys.argv", ["job", str(campaign.folder)])
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"storage": None, **order})))
        monkeypatch.setattr("minimax_al.web.child.reserve_output", lambda: sys.stdout)
        status = job.main()
        return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


def test_a_training_reports_epochs_and_score(do, monkeypatch):
    def train(campaign, strategy, progress):
        for epoch in (1, 2):
            progress(strategy, epoch, 2, "epochs")
        now = datetime(2026, 1, 2, tzinfo=UTC)
        return ModelState(1, strategy, 1200, 0, 300, 300, "accuracy", 0.8417, (0.8, 0.9), {}, None, now)

    monkeypatch.setattr(Campaign, "train", train)
    status, told = do(kind="train", strategy="entropy")
    epochs = [{"training": "entropy", "epoch": epoch, "epochs": 2, "unit": "epochs"} for epoch in (1, 2)]
    message = "trained on 1,200 labels: accuracy 84.2% on 300 held-out labels"
    assert (status, told) == (0, [*epochs, {"state": "done", "message": message}])


def test_a_refusal_of_the_campaign_is_passed_on(do, campaign):
    campaign.close_round()
    sentence = "a budget of 99 was given; it must be from 1 to the 8 unlabelled images"
    assert do(kind="query", budget=99, strategy="random") == (1, [{"state": "failed", "message": sentence}])


def test_a_training_of_another_process_blocks_the_job(do, campaign):
    with training_alone(campaign.context):
        status, (told,) = do(kind="train")
    assert status == 1
    assert told["message"].startswith("another training runs on the campaign")


def test_unexpected_errors_are_reported_and_logged(do, campaign, monkeypatch, capsys):
    def train(*_):
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(Campaign, "train", train)
    with pytest.raises(ZeroDivisionError, match="by nought"):
        do(kind="train")
    (told,) = capsys.readouterr().out.splitlines()
    assert json.loads(told)["message"].startswith("ZeroDivisionError: by nought; see the server's log")
