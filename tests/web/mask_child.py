"""Sends a mask to a server in a forked child that kills itself before its nth step: one JSON job a line.

Steps are changes and commits of the database, and every flush, rename and removal of a file: between two of them
nothing reaches the disk.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi.testclient import TestClient
from sqlalchemy import Engine, event

from minimax_al.campaign import Campaign
from minimax_al.campaign.store import database
from minimax_al.web import create_app

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.shared import create_engine

database.create_engine = create_engine  # children inherit compiled SQL


def die_before(step):
    """Kills this process before a step; returns a function that returns the number of steps so far."""
    seen = 0

    def count(*_, **__):
        nonlocal seen
        seen += 1
        if seen == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(function):
        def call(*given, **named):
            count()
            return function(*given, **named)

        return call

    def count_change(connection, cursor, statement, *_):
        if not statement.startswith("SELECT"):
            count()

    event.listen(Engine, "before_cursor_execute", count_change)
    event.listen(Engine, "commit", count)
    os.fsync, Path.replace, Path.unlink = counted(os.fsync), counted(Path.replace), counted(Path.unlink)
    return lambda: seen


def put(campaign, job):
    client = TestClient(create_app(campaign), base_url="http://localhost")
    key = {"Idempotency-Key": "one"}
    answer = client.put(job["path"], content=Path(job["mask"]).read_bytes(), headers=key)
    assert answer.status_code == 200, answer.text


def run(job):
    with Campaign.open(job["folder"]) as campaign:
        seen = die_before(job["step"])
        put(campaign, job)
        return seen()


def warm_up(job):
    """Answer the first request on a copy of its campaign: children inherit all imports and models."""
    with TemporaryDirectory() as place, Campaign.open(shutil.copytree(job["folder"], f"{place}/copy")) as campaign:
        put(campaign, job)


def main():
    is_first = True
    for line in sys.stdin:
        if is_first:
            warm_up(json.loads(line))
            is_first = False
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            steps = -1
            try:
                steps = run(json.loads(line))
            finally:
                os.write(write, str(steps).encode())
                os._exit(0)
        os.close(write)
        _, status = os.waitpid(child, 0)
        told = os.read(read, 100).decode()
        os.close(read)
        print(os.waitstatus_to_exitcode(status), told or 0, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
