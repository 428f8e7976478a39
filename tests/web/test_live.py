"""Server of live labelling: the learner's process is kept running, and what it publishes is told in short."""

import sys
import threading

import pytest

from minimax_al.campaign.rounds.live_state import LastAnswers, LiveOptions, write_live_state
from minimax_al.live.batches import update_suggestions
from minimax_al.web import learner as learner_module
from minimax_al.web.learner import Learner
from minimax_al.web.live_readings import LiveReadings

STUB = """
import json, os, sys
order = json.loads(sys.stdin.readline())
say = lambda **told: print(json.dumps(told), flush=True)
how = sys.argv[1]
if how == "learn":
    say(state="features", done=3, total=8, unit="images")
    say(state="learning", message=json.dumps(order))
    os.read(0, 1)
if how == "babble":
    print("no JSON", flush=True)
    say(state="dreaming")
    say(state="learning")
    os.read(0, 1)
if how == "refuse":
    say(state="failed", message="nothing can be learned")
    sys.exit(1)
if how == "crash":
    os._exit(7)
"""


class Watched(Learner):
    """Learner that records its reports and its starts."""

    def __init__(self, campaign, how, options=None):
        self.states = []
        self.starts = 0
        self.changed = threading.Condition()
        super().__init__(campaign, options or LiveOptions(), (sys.executable, "-c", STUB, how))

    def _run_once(self):
        with self.changed:
            self.starts += 1
            self.changed.notify_all()
        return super()._run_once()

    def _hear(self, line):
        super()._hear(line)
        with self.changed:
            self.states.append(self.report.state)
            self.changed.notify_all()

    def wait(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, timeout=30)


@pytest.fixture
def make_learner(campaign, monkeypatch):
    monkeypatch.setattr(learner_module, "_FIRST_PAUSE", 0.01)
    made = []

    def make(how, **options):
        learner = Watched(campaign, how, **options)
        made.append(learner)
        learner.start()
        return learner

    yield make
    for learner in made:
        learner.stop()


def test_the_process_gets_the_options_and_its_reports_are_heard(make_learner):
    learner = make_learner("learn", options=LiveOptions(batch=7, random_share=0.25))
    learner.wait(lambda: learner.states[-1:] == ["learning"])
    assert learner.states == ["features", "learning"]
    assert '"batch": 7, "random_share": 0.25' in learner.report.message
    assert learner.report.pid is not None


@pytest.mark.parametrize("how", ["crash", "refuse"])
def test_a_process_that_ends_is_started_again(make_learner, how, caplog):
    learner = make_learner(how)
    learner.wait(lambda: learner.starts >= 3)
    learner.stop()
    assert "started again" in caplog.text
    assert learner.report.state == "failed"


def test_a_killed_learner_is_started_again(make_learner):
    learner = make_learner("learn")
    learner.wait(lambda: learner.states.count("learning") == 1)
    learner._process.kill()
    learner.wait(lambda: learner.states.count("learning") == 2)


def test_the_reason_of_a_refusal_is_told(make_learner):
    learner = make_learner("refuse")
    learner.wait(lambda: "failed" in learner.states)
    learner.stop()
    assert learner.report.message in {"nothing can be learned", "it ended with exit status -15"}


def test_lines_that_are_no_reports_change_nothing(make_learner, caplog):
    learner = make_learner("babble")
    learner.wait(lambda: learner.states.count("learning") == 1)
    assert learner.states == ["starting", "starting", "learning"]
    assert caplog.text.count("not a report") == 2


def test_stopping_ends_the_process(make_learner):
    learner = make_learner("learn")
    learner.wait(lambda: learner.states[-1:] == ["learning"])
    learner.stop()
    assert learner._process.poll() is not None
    assert learner.starts == 1


def publish(campaign, item):
    with campaign.store.writing() as connection:
        update_suggestions(connection, {item: (2, 0.75)})
        last = LastAnswers(10, 0.5, 0.625)
        return write_live_state(connection, labels=4, last_label=0, measured=4, last_answers=last)


def test_the_route_tells_state_queue_and_suggestions(campaign, make_client, make_learner):
    learner = make_learner("learn")
    learner.wait(lambda: learner.states[-1:] == ["learning"])
    client = make_client(campaign, learner=learner)
    item = campaign.picks()[2].item
    publish(campaign, item)
    campaign.lease("ann", 3)
    told = client.get("/api/live").json()
    assert told["learner"]["state"] == "learning"
    assert (told["state"]["labels"], told["state"]["version"]) == (4, 1)
    assert told["state"]["last_answers"] == {"answers": 10, "before": 0.5, "after": 0.625}
    assert (told["waiting"], told["free"], told["is_behind"]) == (8, 5, False)
    assert told["suggestions"] == [{"item": item, "class_name": "dog", "confidence": 0.75}]


def test_an_answer_that_is_not_learned_from_yet_is_told(campaign, make_client, make_learner):
    client = make_client(campaign, learner=make_learner("learn"))
    item = campaign.picks()[0].item
    publish(campaign, item)
    campaign.label(item, "cat", "ann")
    told = client.get("/api/live").json()
    assert told["is_behind"]
    assert told["waiting"] == 7
    assert told["suggestions"] == []


def test_an_unchanged_answer_is_not_sent_again(campaign, make_client, make_learner):
    learner = make_learner("learn")
    learner.wait(lambda: learner.states[-1:] == ["learning"])
    client = make_client(campaign, learner=learner)
    first = client.get("/api/live")
    again = client.get("/api/live", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_pages_share_a_reading(campaign, monkeypatch):
    read = []
    monkeypatch.setattr("minimax_al.web.live_readings.read_live", lambda *_: read.append(1) or _Empty())
    readings = LiveReadings()
    assert readings.get(campaign, None) == readings.get(campaign, None)
    assert len(read) == 1


class _Empty:
    def model_dump_json(self):
        return "{}"


def test_a_page_of_rounds_has_no_learner(client):
    assert client.get("/api/live").json() == {
        "learner": None,
        "state": None,
        "is_behind": False,
        "waiting": 0,
        "free": 0,
        "suggestions": [],
    }
    assert client.get("/api/campaign").json()["live"] is None


def test_rounds_cannot_be_chosen_while_a_learner_chooses(campaign, make_client, make_learner):
    client = make_client(campaign, learner=make_learner("learn"))
    assert client.get("/api/campaign").json()["live"] == {"batch": 10, "random_share": 0.1}
    refused = client.post("/api/jobs", json={"kind": "query", "budget": 2})
    assert refused.status_code == 409
    assert "--rounds" in refused.json()["error"]


def test_the_learner_runs_while_the_application_does(campaign, make_client):
    learner = Watched(campaign, "learn")
    with make_client(campaign, learner=learner):
        learner.wait(lambda: learner.states[-1:] == ["learning"])
    assert learner._process.poll() is not None
