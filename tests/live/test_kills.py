"""Kill -9 of the learner at any moment: the queue stays whole, no answer is lost, and the next learner goes on.

`MINIMAX_AL_KILLS=100 pytest tests/live/test_kills.py` kills it a hundred times.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from minimax_al.campaign import Campaign
from minimax_al.campaign.progress.runs import LIVE_RUN, run_folder
from minimax_al.campaign.rounds.live_state import read_live_state
from minimax_al.campaign.store.history import last_event
from minimax_al.campaign.store.schema import picks, rounds, runs
from minimax_al.deployment.model_file import load_trained
from minimax_al.live.lock import LOCK
from minimax_al.locks import try_lock

from ..support.feature_campaigns import CLASSES, class_of, write_clusters  # noqa: TID252 - shared fixtures

KILLS = int(os.environ.get("MINIMAX_AL_KILLS", "4"))
PATIENCE = 60.0  # seconds
LONGEST = 0.5  # seconds until a learner is killed

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


class Learners:
    """Process that forks learners and reports how they ended."""

    def __init__(self):
        child = Path(__file__).with_name("learner_child.py")
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(child)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, folder):
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        return int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def learners():
    started = Learners()
    yield started
    started.close()


@pytest.fixture
def campaign(tmp_path):
    images, table = write_clusters(tmp_path / "pool", count=40 + 12 * KILLS)
    made = Campaign.create(
        tmp_path / "campaign", images, CLASSES, recipe="features", features=str(table), near_duplicates="off"
    )
    with made:
        yield made


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the learner did not do its work"
        time.sleep(0.05)  # another process works; it tells nobody


def reflects_all(campaign):
    with campaign.store.reading() as connection:
        state = read_live_state(connection)
        return state is not None and state.last_label == last_event(connection) and state.measured == state.labels


def check(campaign, answered):
    """Check the invariants that hold after any kill."""
    with campaign.store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        joined = select(picks, rounds.c.closed_at, rounds.c.waiting, rounds.c.budget)
        rows = connection.execute(joined.join(rounds, rounds.c.id == picks.c.round_id)).all()
        done = connection.execute(select(runs).where(runs.c.state == "done")).all()
        state = read_live_state(connection)
    assert max(Counter(row.item_id for row in rows if row.closed_at is None).values(), default=1) == 1
    size = Counter(row.round_id for row in rows)
    waits = Counter(row.round_id for row in rows if row.waits)
    assert all((row.waiting, row.budget) == (waits[row.round_id], size[row.round_id]) for row in rows)
    assert campaign.labels() == answered
    # A published model reflects labels that exist, and what it suggests is there for every image that waited then.
    assert state is None or state.labels <= len(answered)
    for row in done:
        assert row.fingerprint.startswith(LIVE_RUN)
        assert row.labels <= len(answered)
    if done:
        assert load_trained(run_folder(campaign.folder, done[-1].id)).facts["labels"] == done[-1].labels


def test_a_killed_learner_leaves_a_whole_queue_and_the_next_goes_on(campaign, learners):
    generator = random.Random(0)
    answered, killed = {}, 0
    for _ in range(KILLS):
        pid = learners.start(campaign.folder)
        wait_for(lambda: campaign.lease("ann", 4).picks)
        end = time.monotonic() + generator.uniform(0, LONGEST)
        for pick in campaign.lease("ann", generator.randint(1, 6)).picks:
            campaign.label(pick.item, class_of(pick.path), "ann")
            answered[pick.path] = class_of(pick.path)
        time.sleep(max(0.0, end - time.monotonic()))  # for the moment of the kill
        killed += learners.kill(pid) == -signal.SIGKILL
        check(campaign, answered)
    assert killed == KILLS
    pid = learners.start(campaign.folder)
    wait_for(lambda: reflects_all(campaign))
    learners.kill(pid)
    check(campaign, answered)
    assert campaign.status().model.labels == len(answered)
    assert len(campaign.lease("ann", 3).picks) == 3


def test_two_learners_exclude_each_other(campaign, learners):
    pid = learners.start(campaign.folder)
    wait_for(lambda: campaign.lease("ann", 1).picks)
    handle = os.open(campaign.folder / LOCK, os.O_RDWR)
    try:
        assert not try_lock(handle)
        learners.kill(pid)
        wait_for(lambda: try_lock(handle))
    finally:
        os.close(handle)
