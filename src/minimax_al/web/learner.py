"""Supervisor of the live learner: keeps its process running next to the server, which never waits for it."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from threading import Event, Lock, Thread

from pydantic import ValidationError

from minimax_al.campaign import Campaign
from minimax_al.campaign.rounds.live_state import LiveOptions
from minimax_al.web.child import start_child
from minimax_al.web.models import LearnerReport

COMMAND = (sys.executable, "-m", "minimax_al.web.learner_process")
STOP_SECONDS = 10.0

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
"""Pause before a learner that has ended is started again, in seconds; doubled after every further end."""

_STEADY_SECONDS = 30.0
"""Life of a process after which its end counts as the first one again, in seconds."""

_log = logging.getLogger(__name__)


class Learner:
    """Live learner of a campaign.

    Args:
        campaign: Open campaign that learns on features.
        options: Options of live labelling.
        command: Command that runs the learner; receives the campaign's folder, and the options as a line of JSON.
    """

    def __init__(self, campaign: Campaign, options: LiveOptions, command: Sequence[str] = COMMAND) -> None:
        self.options = options
        self._campaign = campaign
        self._command = tuple(command)
        self._lock = Lock()
        self._report = LearnerReport(state="starting")
        self._process: subprocess.Popen[str] | None = None
        self._stop = Event()
        self._keeper: Thread | None = None

    @property
    def report(self) -> LearnerReport:
        """Latest report of the process."""
        with self._lock:
            return self._report

    def start(self) -> None:
        """Start the process, and keep it running until `stop`."""
        self._keeper = Thread(target=self._keep_running, name="learner", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """End the process; its published state stays."""
        self._stop.set()
        with self._lock:
            process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._keeper is not None:
            self._keeper.join(STOP_SECONDS)

    def _keep_running(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            start = time.monotonic()
            try:
                code = self._run_once()
                why = f"it ended with exit status {code}"
            except OSError as error:  # too many processes or open files, for the moment
                why = str(error)
            if self._stop.is_set():
                return
            pause = _FIRST_PAUSE if time.monotonic() - start > _STEADY_SECONDS else pause
            self._set_failed(why)
            _log.warning("the live learner is started again in %g seconds: %s", pause, self.report.message)
            self._stop.wait(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    def _run_once(self) -> int:
        """Run a process until it ends; return its exit status."""
        process = start_child(self._command, self._campaign, asdict(self.options))
        with self._lock:
            self._process = process
            self._report = self._report.model_copy(update={"pid": process.pid})
        if self._stop.is_set():
            process.terminate()
        assert process.stdout is not None
        assert process.stdin is not None
        with process.stdout:
            for line in process.stdout:
                self._hear(line)
        code = process.wait()
        with suppress(BrokenPipeError):
            process.stdin.close()
        return code

    def _hear(self, line: str) -> None:
        with self._lock:
            try:
                self._report = LearnerReport(**json.loads(line), pid=self._report.pid)
            except (ValueError, TypeError, ValidationError):
                _log.warning("the live learner wrote a line that is not a report: %s", line.rstrip())

    def _set_failed(self, why: str) -> None:
        with self._lock:
            if self._report.state != "failed":
                self._report = LearnerReport(state="failed", message=why)
