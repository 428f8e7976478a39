"""Runs live learners in forked children, so that a test can kill them: one campaign folder a line on standard input.

For each line a child is forked, its process id is printed, and its exit code when it has ended. Torch is loaded once.
"""

import os
import sys
from pathlib import Path
from threading import Event

import torch

from minimax_al.campaign import Campaign
from minimax_al.campaign.rounds.live_state import LiveOptions
from minimax_al.live.learner import LiveLearner
from minimax_al.live.lock import learner_alone


def learn(folder):
    with Campaign.open(folder) as campaign, learner_alone(campaign.context, lambda: None):
        LiveLearner(campaign.context, LiveOptions(batch=6), lease_clock=campaign.lease_clock).run(Event())


def main():
    torch.set_num_threads(1)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                learn(Path(line.strip()))
            finally:
                os._exit(3)
        print(child, flush=True)  # noqa: T201 - the answer
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
