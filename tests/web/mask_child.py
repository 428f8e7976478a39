"""Sends a mask to a server in a forked child that kills itself before its nth step: one JSON job a line.

Steps are changes and commits of the database, and every flush, rename and removal of a file: between two of them
nothing reaches the disk.
"""

import json
import os
import signal
import sys
from pathlib import Path

from fastapi.testclient import TestClient
from sqlalchemy import Engine, event

from minimax_al.campaign import Campaign
from minimax_al.web import create_app


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


def run(job):
    with Campaign.open(job["folder"]) as campaign:
        client = TestClient(create_app(campaign), base_url="http://localhost")
        seen = die_before(job["step"])
        key = {"Idempotency-Key": "one"}
        answer = client.put(job["path"], content=Path(job["mask"]).read_bytes(), headers=key)
        assert answer.status_code == 200, answer.text
        return seen()


def main():
    for line in sys.stdin:
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
