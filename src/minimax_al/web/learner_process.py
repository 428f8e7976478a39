"""Live learner in a process of its own: `python -m minimax_al.web.learner_process FOLDER`.

The options come as JSON on standard input. The process writes lines of JSON about its work, and ends when its
input closes. It computes at low priority, on half of the processors, so that the page stays quick.
"""

import logging
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, get_native_id
from typing import TextIO

from minimax_al.campaign import Campaign
from minimax_al.campaign.rounds.live_state import LiveOptions
from minimax_al.cores import available_cores
from minimax_al.live.lock import learner_alone
from minimax_al.web.child import run_as_child, tell

NICENESS = 10
_STANDBY_SECONDS = 1.0


def main() -> int:
    """Learn until standard input closes; return 1 if that is not possible."""
    return run_as_child(lambda folder, storage, order, out: learn(folder, storage, LiveOptions(**order), out))


def learn(folder: Path, storage: str | None, options: LiveOptions, out: TextIO, stop: Event | None = None) -> None:
    """Learn on a campaign while no other process does.

    Args:
        folder: Campaign folder.
        storage: URL of the database with its password; None for the one in the folder.
        options: Options of live labelling.
        out: Stream for reports.
        stop: Event that ends the work; None for none.

    Raises:
        MinimaxALError: The campaign cannot be learned from.
    """

    def stand_by() -> None:
        tell(out, state="standby")
        time.sleep(_STANDBY_SECONDS)

    def progress(what: str, done: int, total: int, unit: str) -> None:
        tell(out, state=what, done=done, total=total, unit=unit)

    with Campaign.open(folder, storage) as campaign, learner_alone(campaign.context, stand_by):
        from minimax_al.live.learner import LiveLearner  # noqa: PLC0415 - loads torch

        _use_half_of_the_processors()
        with ThreadPoolExecutor(1, "writer") as writer:
            learner = LiveLearner(
                campaign.context,
                options,
                lease_clock=campaign.lease_clock,
                progress=progress,
                write=lambda transaction: writer.submit(transaction).result(),
            )
            learner.step()  # until the first images are there, nothing is more urgent
            tell(out, state="learning")
            _lower_priority()
            learner.run(stop or Event())


def _lower_priority() -> None:
    """Lower this thread's priority, not the writer's: annotators wait while it holds the lock of writers."""
    if sys.platform == "linux":  # elsewhere a priority is the whole process's
        os.setpriority(os.PRIO_PROCESS, get_native_id(), NICENESS)


def _use_half_of_the_processors() -> None:
    import torch  # noqa: PLC0415 - slow to load

    torch.set_num_threads(max(1, available_cores() // 2))
    # It would repeat after every answer which classes have no label yet.
    logging.getLogger("minimax_al.training.fits.fits").setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
