"""Runs jobs on campaigns in forked children, so that a test can kill them: one JSON job a line on standard input.

A job may kill itself before its nth statement, which hits every place inside of a transaction; or the test kills
the child from outside. What the job has been told is kept goes to the file `acks`, line by line; how many statements
a whole job has, to the file `acks`.count.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from sqlalchemy import Engine, event, text

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.database import Store, sqlite_url
from minimax_al.campaign.store.migrations import Migration, latest_version, migrate


def label(campaign, job, ack):
    while picks := campaign.lease("ann", 3).picks:
        for pick in picks:
            campaign.label(pick.item, job["classes"][pick.item % 2], author="ann")
            ack(pick.path)


def import_labels(campaign, job, ack):
    campaign.import_labels(job["file"])
    ack("imported")


def query(campaign, job, ack):
    ack(campaign.query(job["budget"], "random").number)


def refresh(campaign, job, ack):
    campaign.refresh()
    ack("refreshed")


def train(campaign, job, ack):
    ack(campaign.train("entropy").run)


def undo(campaign, job, ack):
    ack(campaign.undo("bob", request="one").path)


def open_only(campaign, job, ack):
    ack("opened")


JOBS = {
    "open": open_only,
    "label": label,
    "undo": undo,
    "import": import_labels,
    "query": query,
    "refresh": refresh,
    "train": train,
}


def split_labels(connection):
    """A step as real ones are: a new table, filled from an old one, and a new column."""
    connection.execute(text("CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT UNIQUE)"))
    connection.execute(text("INSERT INTO authors (name) SELECT DISTINCT author FROM labels"))
    connection.execute(text("ALTER TABLE items ADD COLUMN note TEXT"))
    connection.execute(text("UPDATE items SET note = 'seen' WHERE status = 'active'"))
    connection.execute(text("CREATE INDEX items_by_note ON items (note)"))


NOW = latest_version()
MIGRATIONS = (
    Migration(NOW + 1, "authors have a table", split_labels),
    Migration(
        NOW + 2, "runs have notes", lambda connection: connection.execute(text("ALTER TABLE runs ADD COLUMN note TEXT"))
    ),
)


def count_statements(die_at):
    """Count statements and commits, and die before one of them; return a function that returns the count."""
    seen = 0

    @event.listens_for(Engine, "before_cursor_execute")
    def count(*_):
        nonlocal seen
        seen += 1
        if seen == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    @event.listens_for(Engine, "commit")
    def count_commit(_):
        count()

    return lambda: seen


def run(job):
    acks = os.open(job["acks"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def ack(word):
        os.write(acks, f"{word}\n".encode())

    counted = count_statements(job["die_at"])
    folder = Path(job["folder"])
    if job["kind"] == "migrate":
        migrate(Store(sqlite_url(folder / "campaign.db")), MIGRATIONS)
        ack("migrated")
    elif job["kind"] == "create":
        Campaign.create(folder, job["images"], job["classes"], labels=job["file"], recipe="scratch")
        ack("created")
    else:
        JOBS[job["kind"]](Campaign.open(folder), job, ack)
    Path(job["acks"] + ".count").write_text(str(counted()))


def main():
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                run(job)
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        start = time.monotonic()
        if job["kill_after"] is not None:
            time.sleep(job["kill_after"])  # the one place that has to wait: for the moment of the crash
            os.kill(child, signal.SIGKILL)  # ours until we have waited for it, so no other process has its number
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), time.monotonic() - start, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
