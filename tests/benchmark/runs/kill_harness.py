"""Work on results folders that is killed (SIGKILL) at random moments, a given number of times, and then finished.

It runs as a separate program: it forks after all imports and before torch has started any thread.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from minimax_al.benchmark.folders.conditions import conditions_here
from minimax_al.benchmark.folders.folder import read_protocol
from minimax_al.benchmark.runs.cell import ProgressCallback
from minimax_al.benchmark.runs.grid import claim_cells


def run_cells(out: Path, on_progress: ProgressCallback | None = None) -> None:
    """Run the cells that are left."""
    protocol = read_protocol(out)
    claim_cells(protocol, out, protocol.load(), conditions_here(protocol.recipe.runtime), on_progress=on_progress)


def be_killed(out: Path, moments: random.Random) -> bool:
    """Fork a worker and kill it after a few epochs; whether the kill came before its end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        run_cells(out, lambda _: os.write(writing, b"."))
        os._exit(0)
    os.close(writing)
    for _ in range(moments.randint(1, 3)):
        os.read(reading, 1)
    time.sleep(moments.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def main() -> None:
    """`python kill_harness.py KILLS SEED OUT...`: prints how many workers were killed while they worked on each."""
    kills, moments = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    folders = [Path(word) for word in sys.argv[3:]]
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])  # the first optimizer imports for seconds
    for out in folders:
        sys.stdout.write(f"{sum(be_killed(out, moments) for _ in range(kills))} ")
        sys.stdout.flush()
    # Not before the last fork: a process that has trained has threads, which a child of it would lack.
    for out in folders:
        run_cells(out)


if __name__ == "__main__":
    main()
