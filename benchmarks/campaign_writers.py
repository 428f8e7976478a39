"""Processes that write to one campaign without a pause: how long each write waits, and whether any is refused.

    python benchmarks/campaign_writers.py
    python benchmarks/campaign_writers.py --processes 6 --threads 4 --seconds 30
    .ci/with-postgresql python benchmarks/campaign_writers.py --postgresql

Every process opens the campaign and labels one image after the other. Fair locks give each process its share and
bound every wait; an unfair lock starves some of them. Every acknowledged label must be in the history.

Prints writes a second, each process's share, the median, 99th percentile and maximum of a write's time, and the
refusals. Exits with 1 if a label is lost, a write is refused, or a write takes longer than `--limit` seconds.
"""

import argparse
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from pathlib import Path

from campaign_load import CLASSES, make_campaign
from sqlalchemy import func, select, text

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.schema import labels
from minimax_al.errors import StoreError

IMAGES = 200


@dataclass
class Writes:
    """Writes of one process.

    Attributes:
        seconds: Duration of each acknowledged write.
        refusals: Message of each refused write.
    """

    seconds: list[float] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


_start: Barrier
"""Barrier that all processes of an attack pass together."""


def _take_barrier(start: Barrier) -> None:
    global _start  # noqa: PLW0603 - a barrier reaches a pool's process only as it starts
    _start = start


def write_without_pause(folder: Path, author: str, seconds: float, threads: int, images: int) -> Writes:
    """Label images in one process until the time is over.

    Args:
        folder: Campaign folder.
        author: Name under which the process labels.
        seconds: Duration of the attack.
        threads: Number of threads that write.
        images: Number of images in the campaign.
    """
    done = Writes()
    with Campaign.open(folder) as campaign:
        _start.wait()
        end = time.monotonic() + seconds

        def write(number: int) -> None:
            item = number
            while time.monotonic() < end:
                item = item % images + 1
                begin = time.perf_counter()
                try:
                    campaign.label(item, CLASSES[item % len(CLASSES)], author=author)
                except StoreError as error:
                    done.refusals.append(str(error))
                else:
                    done.seconds.append(time.perf_counter() - begin)

        crowd = [threading.Thread(target=write, args=(number,)) for number in range(threads)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
    return done


def attack(folder: Path, processes: int, threads: int, seconds: float, images: int = IMAGES) -> list[Writes]:
    """Let processes write to a campaign at the same time.

    Args:
        folder: Campaign folder.
        processes: Number of processes.
        threads: Number of threads per process.
        seconds: Duration of the attack.
        images: Number of images in the campaign.

    Returns:
        The writes of each process.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _take_barrier, (context.Barrier(processes),)) as pool:
        tasks = [(folder, f"writer {number}", seconds, threads, images) for number in range(processes)]
        return pool.starmap(write_without_pause, tasks, chunksize=1)


def lost(campaign: Campaign, done: Sequence[Writes]) -> list[str]:
    """Return one sentence per process whose acknowledged labels are not in the history."""
    by_author = select(labels.c.author, func.count()).group_by(labels.c.author)
    with campaign.store.reading() as connection:
        kept = {author: count for author, count in connection.execute(by_author)}  # noqa: C416 - rows are no pairs
    counts = {f"writer {number}": len(writes.seconds) for number, writes in enumerate(done)}
    return [
        f"{author}: {count} labels acknowledged, {kept.get(author, 0)} in the history"
        for author, count in counts.items()
        if kept.get(author, 0) != count
    ]


def main() -> int:
    """Run the attack and print the figures; return 1 on any fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1, help="threads per process")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--limit", type=float, default=2.0, help="longest write allowed, in seconds")
    parser.add_argument("--postgresql", action="store_true", help="use the server in MINIMAX_AL_TEST_POSTGRESQL")
    words = parser.parse_args()
    storage = os.environ["MINIMAX_AL_TEST_POSTGRESQL"] if words.postgresql else None
    with tempfile.TemporaryDirectory(prefix="campaign-writers-") as root:
        folder = make_campaign(Path(root), IMAGES, storage)
        done = attack(folder, words.processes, words.threads, words.seconds)
        with Campaign.open(folder) as campaign:
            faults = lost(campaign, done)
            if campaign.store.schema is not None:
                with campaign.store.writing() as connection:
                    connection.execute(text(f'DROP SCHEMA "{campaign.store.schema}" CASCADE'))
    times = [taken for writes in done for taken in writes.seconds]
    refusals = [sentence for writes in done for sentence in writes.refusals]
    database = "SQLite" if storage is None else "PostgreSQL"
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {platform.system()}, {database}")  # noqa: T201
    print("\n".join([*summary(done, words.seconds), *(f"FAULT: {fault}" for fault in faults)]))  # noqa: T201
    return 1 if faults or refusals or max(times) > words.limit else 0


def summary(done: Sequence[Writes], seconds: float) -> list[str]:
    """Return the figures of an attack as lines of text."""
    times = [taken for writes in done for taken in writes.seconds]
    refusals = [sentence for writes in done for sentence in writes.refusals]
    shares = ", ".join(str(len(writes.seconds)) for writes in done)
    cuts = statistics.quantiles(times, n=100)
    return [
        f"{len(times):,} writes, {len(times) / seconds:.0f} a second; by process: {shares}",
        f"seconds per write: p50 {cuts[49]:.3f}, p99 {cuts[98]:.3f}, longest {max(times):.3f}",
        f"refused: {len(refusals)}{': ' + refusals[0] if refusals else ''}",
    ]


if __name__ == "__main__":
    sys.exit(main())
