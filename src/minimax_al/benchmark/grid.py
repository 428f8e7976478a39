"""All cells of a benchmark: claimed one by one, by any number of processes on any number of machines.

A cell belongs to whoever holds the lock of its folder. The operating system gives the lock back when its holder
ends, however it ends; so a killed process leaves nothing behind that another would wait for.
"""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import torch
import yaml
from filelock import FileLock, Timeout

from minimax_al.benchmark.cell import Progress, ProgressCallback, run_cell
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.provenance import provenance
from minimax_al.benchmark.results import read_rounds
from minimax_al.data import Dataset
from minimax_al.durable import write_durably
from minimax_al.errors import ConfigurationError, MinimaxALError, ResultsError
from minimax_al.training import Runtime

GROWING = {"strategies", "seeds", "data"}
"""Fields of a protocol that may change between two calls on one results folder: more cells, or data moved."""


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


def prepare_folder(protocol: Protocol, out: Path) -> None:
    """Write the resolved protocol and its provenance to a results folder, or check that it is that folder's.

    Raises:
        ResultsError: the folder holds results of another configuration; names the keys that differ.
    """
    path = out / "protocol.yaml"
    fields = protocol.model_dump(mode="json")
    if path.exists():
        differing = _differing(_read_yaml(path), fields)
        if differing:
            raise ResultsError(
                f"folder {str(out)!r} holds results of another configuration; these keys differ: "
                f"{', '.join(differing)}. Give another --out, or the same settings"
            )
    write_durably(path, yaml.safe_dump(fields, sort_keys=False, allow_unicode=True).encode())
    write_durably(out / "provenance.yaml", yaml.safe_dump(provenance(), sort_keys=False).encode())


def read_protocol(out: Path) -> Protocol:
    """The protocol of a results folder.

    Raises:
        ResultsError: it is no results folder.
    """
    path = out / "protocol.yaml"
    if not path.exists():
        raise ResultsError(f"folder {str(out)!r} holds no results of a benchmark: {str(path)!r} is not there")
    return Protocol.model_validate(_read_yaml(path))


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
    ranks.together(lambda: prepare_folder(protocol, out) if ranks.rank == 0 else None)
    on_progress = on_progress if ranks.rank == 0 else None
    for cell in cells_of(protocol):
        if on_progress:
            on_progress(_standing(protocol, cell, out))
    if jobs == 1:
        work(protocol, out, dataset, on_progress=on_progress)
    else:
        _run_processes(protocol, out, jobs, on_progress)


def work(protocol: Protocol, out: Path, dataset: Dataset, *, on_progress: ProgressCallback | None = None) -> None:
    """Claim and run cells until every cell is finished or in other hands."""
    ranks = Runtime(protocol.recipe.runtime).ranks
    for cell in cells_of(protocol):
        # Rank 0 claims for all that share the run.
        with _claimed(cell.folder(out)) if ranks.rank == 0 else nullcontext(enter_result=False) as is_claimed:
            if ranks.share(is_claimed)[0]:
                run_cell(protocol, dataset, cell.strategy, cell.seed, cell.folder(out), on_progress=on_progress)


@contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Whether the cell is ours inside the block; False where another process holds it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"cannot write to {str(folder)!r}: {error.strerror}") from error
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _standing(protocol: Protocol, cell: Cell, out: Path) -> Progress:
    return Progress(cell.strategy, cell.seed, len(read_rounds(cell.folder(out))), protocol.points)


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


def _differing(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys whose values differ, without those that may grow."""
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    found = []
    for key in keys if prefix else [key for key in keys if key not in GROWING]:
        inner = before.get(key), now.get(key)
        if isinstance(inner[0], dict) and isinstance(inner[1], dict):
            found += _differing(inner[0], inner[1], f"{prefix}{key}.")
        else:
            found.append(f"{prefix}{key} ({inner[0]!r} there, {inner[1]!r} now)")
    return found


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ResultsError(f"file {str(path)!r} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise ResultsError(f"file {str(path)!r} does not hold a protocol")
    return content
