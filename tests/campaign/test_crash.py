"""Kill -9 at any point: the store opens, nothing acknowledged is missing, nothing is there twice, work goes on.

`MINIMAX_AL_KILLS=100 pytest tests/campaign/test_crash.py` kills each kind of job a hundred times.
"""

import csv
import json
import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.database import Store, sqlite_url
from minimax_al.campaign.store.migrations import latest_version, version_of
from minimax_al.campaign.store.schema import picks

from ..support.campaigns import TINY_RECIPE  # noqa: TID252 - shared fixtures

KILLS = int(os.environ.get("MINIMAX_AL_KILLS", "4"))
CLASSES = ["cat", "dog"]
NOW = latest_version()
KILLED = -signal.SIGKILL

logger = logging.getLogger(__name__)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


class Children:
    """Process that forks children and reports how they ended."""

    def __init__(self):
        child = Path(__file__).with_name("crash_child.py")
        self.process = subprocess.Popen(
            [sys.executable, str(child)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, job):
        """Runs a job to its end, or to its death; returns its exit code and how many seconds it took."""
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        code, seconds = self.process.stdout.readline().split()
        return int(code), float(seconds)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def children():
    started = Children()
    yield started
    started.close()


@pytest.fixture
def template(tmp_path, save_images):
    """A campaign with an open round, some labels and a file of more, to be copied for every crash."""
    images = save_images(40)
    with Campaign.create(tmp_path / "template", images, CLASSES, recipe="scratch") as campaign:
        campaign.query(12)
        for pick in campaign.picks()[:3]:
            campaign.label(pick.item, "cat", author="bob")
        paths = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *((path, CLASSES[i % 2]) for i, path in enumerate(paths))])
    return tmp_path / "template"


class Crash:
    """Copy of the template, the job that is killed in it, and the changes that the job had acknowledged."""

    def __init__(self, children, template, number, kind):
        self.children = children
        self.kind = kind
        self.folder = template.parent / f"crash-{number}"
        self.acks = template.parent / f"acks-{number}"
        self.images = template.parent / "images"
        if kind != "create":
            shutil.copytree(template, self.folder)
        self.job = {
            "kind": kind,
            "folder": str(self.folder),
            "images": str(self.images),
            "acks": str(self.acks),
            "file": str(template.parent / "labels.csv"),
            "classes": CLASSES,
            "budget": 7,
            "die_at": None,
            "kill_after": None,
        }

    def run(self, **how):
        return self.children.run(self.job | how)

    @property
    def statements(self):
        """How many a whole run had."""
        return int(Path(f"{self.acks}.count").read_text())

    @property
    def acknowledged(self):
        return self.acks.read_text().split() if self.acks.exists() else []

    def remove(self):
        shutil.rmtree(self.folder)
        self.acks.unlink(missing_ok=True)


def check(crash):
    """Check the invariants that hold after any crash; return the number of labels."""
    with Campaign.open(crash.folder) as campaign:
        with campaign.store.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            rows = connection.execute(picks.select()).all()
        assert max(Counter((row.round_id, row.item_id) for row in rows).values(), default=1) == 1
        by_round = Counter(row.round_id for row in rows)
        assert all(count == campaign.round(number).picks for number, count in by_round.items())
        labels = campaign.labels()
    if crash.kind == "label":
        assert set(crash.acknowledged) <= labels.keys()
    return len(labels)


def finish_label(crash):
    with Campaign.open(crash.folder) as campaign:
        assert campaign.round().waiting == 0
        assert len(campaign.labels()) == 12


def finish_import(crash):
    with Campaign.open(crash.folder) as campaign:
        assert len(campaign.labels()) == 40


def finish_query(crash):
    with Campaign.open(crash.folder) as campaign:
        assert (campaign.round().number, campaign.round().picks) == (2, 7)


def finish_refresh(crash):
    with Campaign.open(crash.folder) as campaign:
        assert campaign.status().items == {"active": 60}


def close_round(folder):
    with Campaign.open(folder) as campaign:
        campaign.close_round()


def torment(children, template, kind, finish):
    """Kills a job at statements and at moments, checks, and lets it go on to its end."""
    undisturbed, statements, killed = 0.0, 0, 0
    for number in range(KILLS + 1):
        crash = Crash(children, template, number, kind)
        generator = random.Random(f"{kind} {number}")
        if number == 0:  # undisturbed, to know how long it takes
            code, undisturbed = crash.run()
            assert code == 0
            statements = crash.statements
        elif number % 2:
            code, _ = crash.run(die_at=generator.randint(1, statements))
            assert code == KILLED
        else:
            code, _ = crash.run(kill_after=generator.uniform(0, undisturbed))
        killed += code == KILLED
        labels = check(crash)
        if kind == "import":  # whole or not at all
            assert labels in (3, 40)
        if kind != "query" or "2" not in crash.acknowledged:
            code, _ = crash.run()
            # A query whose round was committed, but not acknowledged, finds it open.
            assert code == 0 or kind == "query"
        check(crash)
        finish(crash)
        crash.remove()
    logger.info("%s: %d of %d killed before their end (%d statements)", kind, killed, KILLS, statements)


def test_labels(children, template):
    torment(children, template, "label", finish_label)


def test_import(children, template):
    torment(children, template, "import", finish_import)


def test_query(children, template):
    close_round(template)
    torment(children, template, "query", finish_query)


def test_refresh(children, template, save_images):
    save_images(20, first=40)
    torment(children, template, "refresh", finish_refresh)


def places(children, template, kind):
    """How many places there are at which a job can be killed."""
    whole = Crash(children, template, 0, kind)
    assert whole.run()[0] == 0
    statements = whole.statements
    whole.remove()
    return statements


def test_an_undo_that_is_sent_again(children, template):
    """Wherever it was killed: sent again, and once more, it has taken back one answer."""
    for number in range(1, places(children, template, "undo") + 1):
        crash = Crash(children, template, number, "undo")
        assert crash.run(die_at=number)[0] == KILLED
        assert check(crash) in (2, 3)
        for _ in range(2):
            assert crash.run()[0] == 0
            assert check(crash) == 2
        assert len(set(crash.acknowledged)) == 1
        crash.remove()


def killed_at_statements(children, template, kind):
    """Jobs that were killed, each at another place."""
    statements = places(children, template, kind)
    for number in range(1, KILLS + 1):
        crash = Crash(children, template, number, kind)
        assert crash.run(die_at=random.Random(f"{kind} {number}").randint(1, statements))[0] == KILLED
        yield crash
    logger.info("%s: %d of %d killed before their end (%d statements)", kind, KILLS, KILLS, statements)


def test_migration(children, template):
    for crash in killed_at_statements(children, template, "migrate"):
        store = Store(sqlite_url(crash.folder / "campaign.db"))
        with store.reading() as connection:
            version = version_of(connection)
            columns = {row.name for row in connection.exec_driver_sql("PRAGMA table_info(items)")}
            tables = {row.name for row in connection.exec_driver_sql("SELECT name FROM sqlite_master")}
        assert version in (NOW, NOW + 1, NOW + 2)
        # All of a step, or nothing of it.
        assert ("note" in columns) == ("authors" in tables) == ("items_by_note" in tables) == (version > NOW)
        assert crash.run()[0] == 0
        with store.reading() as connection:
            assert version_of(connection) == NOW + 2
            assert connection.exec_driver_sql("SELECT count(*) FROM labels").scalar() == 3
            assert connection.exec_driver_sql("SELECT name FROM authors").scalar() == "bob"
        store.close()
        crash.remove()


def test_migration_from_the_first_version(children, template):
    """The real steps, killed: all of one, or nothing of it."""
    for file in template.glob("campaign.db*"):
        file.unlink()
    database = sqlite3.connect(template / "campaign.db")
    database.executescript((Path(__file__).with_name("store") / "version_1.sql").read_text())
    database.execute("PRAGMA journal_mode=WAL")
    database.close()
    for crash in killed_at_statements(children, template, "open"):
        with Store(sqlite_url(crash.folder / "campaign.db")).reading() as connection:
            columns = {row.name for row in connection.exec_driver_sql("PRAGMA table_info(picks)")}
            tables = {row.name for row in connection.exec_driver_sql("SELECT name FROM sqlite_master")}
            version = version_of(connection)
        assert version in range(1, NOW + 1)
        assert ("waits" in columns) == ("picks_held" in tables) == ("labels_by_item" in tables) == (version > 1)
        assert ("requests" in tables) == ("ix_requests_at" in tables) == (version > 3)
        check(crash)
        with Campaign.open(crash.folder) as campaign:
            assert (campaign.round().waiting, len(campaign.labels())) == (2, 2)
        crash.remove()


def test_creation(children, template):
    for crash in killed_at_statements(children, template, "create"):
        if crash.run()[0] != 0:  # the campaign was there already
            with Campaign.open(crash.folder) as campaign:
                campaign.refresh()
                campaign.import_labels(crash.job["file"])
        assert check(crash) == 40
        crash.remove()


@pytest.mark.skipif(KILLS < 100, reason="loads torch in every child: MINIMAX_AL_KILLS=100 runs it")
def test_train(children, template):
    with Campaign.open(template) as campaign:
        campaign.import_labels(template.parent / "labels.csv")
        campaign.configure(stored_size=16, recipe=TINY_RECIPE)
    reference = Crash(children, template, 0, "train")
    _, took = reference.run()
    weights = (reference.folder / "models" / "run-0001" / "model.safetensors").read_bytes()
    for number in range(1, KILLS // 5 + 1):
        crash = Crash(children, template, number, "train")
        crash.run(kill_after=random.Random(number).uniform(0, took))
        check(crash)
        assert crash.run()[0] == 0
        # An interrupted training equals one that was not.
        assert (crash.folder / "models" / "run-0001" / "model.safetensors").read_bytes() == weights
        crash.remove()
