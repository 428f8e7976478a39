"""Jobs: one training or query at a time, in a process of its own.

The process reports its progress in lines of JSON. It ends with the server: the server terminates it as it stops, and
the process exits when its standard input closes because the server died. Other servers and commands may have the same
campaign open: a lock allows one training at a time (`minimax_al.campaign.model.training_lock`).
"""

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from threading import Lock, Thread
from typing import Any

from pydantic import ValidationError

from minimax_al.campaign import Campaign
from minimax_al.errors import CampaignError
from minimax_al.web.child import start_child
from minimax_al.web.models import Job, JobOrder, MapOrder

COMMAND = (sys.executable, "-m", "minimax_al.web.job")
MAP_COMMAND = (sys.executable, "-m", "minimax_al.web.map_job")
STOP_SECONDS = 10.0

_log = logging.getLogger(__name__)


class JobRunsError(CampaignError):
    """Refusal of a second job."""


class Jobs:
    """Runner of one job at a time on a campaign.

    Args:
        campaign: Open campaign.
        command: Command that runs a job; receives the campaign's folder, and the order as a line of JSON.
    """

    def __init__(self, campaign: Campaign, command: Sequence[str] = COMMAND) -> None:
        self._campaign = campaign
        self._command = tuple(command)
        self._starting = Lock()  # may be held for seconds
        self._lock = Lock()  # of `_now`; never held for long, as the event loop takes it
        self._now = Job()
        self._process: subprocess.Popen[str] | None = None
        self._reader: Thread | None = None

    @property
    def current(self) -> Job:
        """Job that runs, or the last one."""
        with self._lock:
            return self._now

    def start(self, order: JobOrder | MapOrder) -> Job:
        """Start a job.

        Raises:
            JobRunsError: A job is running.
        """
        with self._starting:
            if (running := self.current).state == "running":
                raise JobRunsError(f"a job runs already ({running.kind}): wait until it has ended")
            if self._process is not None:  # it has reported its result, but may still hold the training lock
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(STOP_SECONDS)
            self._process = start_child(self._command, self._campaign, order.model_dump())
            started = Job(state="running", kind=order.kind, started_at=datetime.now(UTC))
            with self._lock:
                self._now = started
            self._reader = Thread(target=self._follow, args=(self._process,), name="job", daemon=True)
            self._reader.start()
            return started

    def stop(self) -> None:
        """End the running job, if any; the next training resumes it."""
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        reader.join(STOP_SECONDS)

    def _follow(self, process: "subprocess.Popen[str]") -> None:
        """Read the progress of the process until it ends."""
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            with process.stdout:
                for line in process.stdout:
                    self._hear(line)
        finally:
            code = process.wait()
            with suppress(BrokenPipeError):
                process.stdin.close()
            with self._lock:
                if process is self._process and self._now.state == "running":
                    message = f"it ended without a result (exit status {code}): see the server's log"
                    self._now = self._now.model_copy(update={"state": "failed", "message": message})

    def _hear(self, line: str) -> None:
        with self._lock:
            try:
                told: dict[str, Any] = json.loads(line)
                self._now = Job.model_validate({**self._now.model_dump(), **told})
            except (ValueError, TypeError, ValidationError):
                _log.warning("the job wrote a line that is not progress: %s", line.rstrip())
