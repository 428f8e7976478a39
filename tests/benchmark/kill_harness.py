"""Works on a results folder and is killed (SIGKILL) at random moments, so many times; then lets the work finish.

Run as a program of its own: it forks before torch has started any thread, so that a child costs no import.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from minimax_al.benchmark.folder import read_protocol
from minimax_al.benchmark.grid import work


def be_killed(out: Path, moments: random.Random) -> bool:
    """Fork a worker and kill it after a few epochs; whether the kill came before its end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        protocol = read_protocol(out)
        work(protocol, out, protocol.load(), on_progress=lambda _: os.write(writing, b"."))
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
    """`python kill_harness.py OUT KILLS SEED`: prints how many workers were killed while they worked."""
    out, wanted, moments = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    killed = sum(be_killed(out, moments) for _ in range(wanted))
    sys.stdout.write(str(killed))


if __name__ == "__main__":
    main()
