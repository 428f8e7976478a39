"""All cells of a benchmark: claimed one by one, by any number of processes on any number of machines.

A cell belongs to whoever holds the lock of its folder. A killed process leaves nothing behind that another would wait
for.
"""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty

import torch

from minimax_al.benchmark.cell import Progress, ProgressCallback, run_cell
from minimax_al.benchmark.folder import LOCK, prepare_folder
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.results import read_rounds
from minimax_al.data import Dataset
from minimax_al.errors import ConfigurationError, MinimaxALError, ResultsError
from minimax_al.locks import file_lock
from minimax_al.training import Runtime
from minimax_al.training.ranks import Ranks


@dataclass(frozen=True)
class Cell:
    """A strategy and a seed."""

    strategy: str
    seed: int

    def folder(self, out: Path) -> Path:
        """Where its rounds lie in a results folder."""
        return out / "cells" / self.strategy / f"seed-{self.seed}"


def cells_of(protocol: Protocol) -> list[Cell]:
    """All cells, seed by seed, so that an unfinished grid compares all strategies on the seeds that it has."""
    return [Cell(strategy, seed) for seed in range(protocol.seeds) for strategy in protocol.strategies]


def run_grid(protocol: Protocol, out: Path, *, jobs: int = 1, on_progress: ProgressCallback | None = None) -> None:
    """Run all cells that are not finished yet.

    Args:
        protocol: what to run.
        out: results folder; an earlier call's goes on where it was.
        jobs: processes that run cells side by side; ranks that share a run take cells one by one.
        on_progress: told how far each running cell is.

    Raises:
        ResultsError: the folder is another configuration's, or a process died.
        ConfigurationError: jobs is below 1, or above it where several ranks share a run.
    """
    ranks = Runtime(protocol.recipe.runtime).ranks
    if jobs < 1 or jobs > 1 < ranks.world_size:
        raise ConfigurationError(f"jobs is {jobs}; it must be 1 or more, and 1 where several ranks share a run")
    dataset = protocol.load()
    ranks.together(lambda: prepare_folder(protocol, out, dataset) if ranks.rank == 0 else None)
    on_progress = on_progress if ranks.rank == 0 else None
    for cell in cells_of(protocol):
        if on_progress:
            on_progress(_standing(protocol, cell, out))
    if jobs == 1:
        work(protocol, out, dataset, on_progress=on_progress)
    else:
        _run_processes(protocol, out, jobs, on_progress)


def work(protocol: Protocol, out: Path, dataset: Dataset, *, on_progress: ProgressCallback | None = None) -> None:
    """Claim and run cells until every cell is finished or in other hands.

    A cell that fails does not keep the others from being run.

    Raises:
        ResultsError: cells failed; names the first and its reason.
    """
    ranks = Runtime(protocol.recipe.runtime).ranks
    failures: list[tuple[Cell, MinimaxALError]] = []
    for cell in cells_of(protocol):
        try:
            with _claimed(cell.folder(out), ranks) as is_ours:
                if is_ours:
                    run_cell(protocol, dataset, cell.strategy, cell.seed, cell.folder(out), on_progress=on_progress)
        except MinimaxALError as error:
            failures.append((cell, error))
    if failures:
        cell, reason = failures[0]
        others = f" ({len(failures)} cells failed)" if len(failures) > 1 else ""
        raise ResultsError(f"strategy {cell.strategy!r}, seed {cell.seed}: {reason}{others}") from reason


def unfinished(protocol: Protocol, out: Path) -> list[Cell]:
    """The cells that are not run to their end, whoever has them in hand."""
    return [cell for cell in cells_of(protocol) if _standing(protocol, cell, out).round < protocol.points]


@contextmanager
def _claimed(folder: Path, ranks: Ranks) -> Iterator[bool]:
    """Whether the cell is ours inside the block; rank 0 claims it for all that share the run."""
    with ExitStack() as claim:
        lock = file_lock(folder / LOCK, error=ResultsError)
        is_ours = ranks.together(lambda: ranks.rank == 0 and claim.enter_context(lock))
        yield ranks.share(is_ours)[0]


def _standing(protocol: Protocol, cell: Cell, out: Path) -> Progress:
    return Progress(cell.strategy, cell.seed, len(read_rounds(cell.folder(out), protocol)), protocol.points)


def _run_processes(protocol: Protocol, out: Path, jobs: int, on_progress: ProgressCallback | None) -> None:
    """Start `jobs` processes that work on the grid, and pass on what they report."""
    context = multiprocessing.get_context("spawn")
    reports: multiprocessing.Queue[Progress | str] = context.Queue()
    threads = max(1, (os.cpu_count() or 1) // jobs)
    processes = [
        context.Process(target=_process, args=(protocol, out, reports, threads), name=f"worker {job}")
        for job in range(jobs)
    ]
    failures: list[str] = []
    try:
        for process in processes:
            process.start()
        while any(process.is_alive() for process in processes) or not reports.empty():
            with suppress(Empty):
                report = reports.get(timeout=0.2)
                if isinstance(report, str):
                    failures.append(report)
                elif on_progress:
                    on_progress(report)
    finally:
        for process in processes:
            process.terminate()
            process.join()
    failures += [f"{process.name} ended with exit code {process.exitcode}" for process in processes if process.exitcode]
    if failures:
        raise ResultsError(f"{failures[0]}. What was finished is kept: the same command goes on from there")


def _process(protocol: Protocol, out: Path, reports: "multiprocessing.Queue[Progress | str]", threads: int) -> None:
    """A worker process: ends with its parent, and reports an error as its sentence."""
    torch.set_num_threads(threads)

    def report(progress: Progress) -> None:
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            os._exit(1)
        reports.put(progress)

    try:
        work(protocol, out, protocol.load(), on_progress=report)
    except MinimaxALError as error:
        reports.put(str(error))
        raise SystemExit(1) from error
