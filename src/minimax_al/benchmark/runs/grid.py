"""All cells of a benchmark, claimed one by one by any number of processes on any number of machines.

The process that holds the lock of a cell's folder runs the cell. The operating system frees the lock of a killed
process, so no other process waits for it.
"""

import multiprocessing
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty
from urllib.parse import quote

from minimax_al.benchmark.folders.conditions import Conditions
from minimax_al.benchmark.folders.failures import clear_failure, failure_of, read_failure, write_failure
from minimax_al.benchmark.folders.folder import LOCK, prepare_folder
from minimax_al.benchmark.folders.round_files import read_rounds
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.runs.cell import Progress, ProgressCallback, run_cell
from minimax_al.benchmark.runs.full_labels import run_full_labels
from minimax_al.cores import available_cores
from minimax_al.data import Dataset
from minimax_al.errors import ConfigurationError, MinimaxALError, ResultsError
from minimax_al.locks import file_lock
from minimax_al.training import Runtime
from minimax_al.training.runtime.loggers import Logger, build_logger
from minimax_al.training.runtime.ranks import Ranks

Failures = dict[tuple[str, int], str]
"""Reasons by strategy and seed."""


@dataclass(frozen=True)
class Cell:
    """One strategy and one seed."""

    strategy: str
    seed: int

    def folder(self, out: Path) -> Path:
        """Return the folder of its rounds in a results folder."""
        return out / "cells" / folder_name(self.strategy) / f"seed-{self.seed}"


def folder_name(name: str) -> str:
    """Return a name with settings as the name of a folder: what folders cannot hold is percent-encoded.

    Example:
        >>> folder_name("mal(rule=filter)"), folder_name("data=a/b")
        ('mal(rule=filter)', 'data=a%2Fb')
    """
    return quote(name, safe="()[]{}+=,. ")


LoggerChoice = str | Callable[[str, int], Logger] | None
"""Name of a logger, function from strategy and seed to a logger, or None."""


def _logger(choice: str | Callable[[str, int], Logger], cell: Cell, out: Path) -> Logger:
    """Return the logger of a cell; those by name write a further version into the folder `logs`."""
    if not isinstance(choice, str):
        return choice(cell.strategy, cell.seed)
    return build_logger(choice, out / "logs" / cell.folder(out).relative_to(out / "cells"))


def cells_of(protocol: Protocol) -> list[Cell]:
    """Return all cells, seed by seed, so that an unfinished grid compares all strategies on the finished seeds."""
    return [Cell(strategy, seed) for seed in range(protocol.seeds) for strategy in protocol.strategies]


def run_grid(
    protocol: Protocol,
    out: Path,
    *,
    jobs: int = 1,
    mixed: bool = False,
    full_labels: bool = False,
    logger: LoggerChoice = None,
    on_progress: ProgressCallback | None = None,
) -> None:
    """Run all unfinished cells.

    A cell that fails is recorded with its reason, and the others run on.

    Args:
        protocol: Protocol of the benchmark.
        out: Results folder; an earlier call's is resumed.
        jobs: Number of parallel processes. Ranks that share a run take cells one by one.
        mixed: Whether other conditions than those of earlier results are accepted.
        full_labels: Whether one model per seed is trained on all labels, too.
        logger: "csv" or "tensorboard", written to the folder `logs`; or a function from strategy and seed to a logger
            of Lightning Fabric's interface. With several jobs it must be a function that can be pickled.
        on_progress: Callback for the progress of each running cell.

    Raises:
        ResultsError: The folder has another configuration, data set or machine; or cells failed.
        ConfigurationError: `jobs` is below 1, or above it where several ranks share a run; or the protocol cannot run.
    """
    ranks = Runtime(protocol.recipe.runtime).ranks
    if jobs < 1 or jobs > 1 < ranks.world_size:
        raise ConfigurationError(f"jobs is {jobs}; it must be 1 or more, and 1 where several ranks share a run")
    dataset = protocol.load()
    own = ranks.together(lambda: prepare_folder(protocol, out, dataset, mixed=mixed) if ranks.rank == 0 else None)
    conditions = ranks.share(own)[0]
    assert conditions is not None, "rank 0 prepares the folder"
    on_progress = on_progress if ranks.rank == 0 else None
    for cell in cells_of(protocol):
        if on_progress:
            on_progress(_progress_of(protocol, cell, out))
    if jobs == 1:
        failures = claim_cells(protocol, out, dataset, conditions, logger=logger, on_progress=on_progress)
    else:
        failures = _run_processes(protocol, out, jobs, conditions, logger=logger, on_progress=on_progress)
    if full_labels:
        run_full_labels(protocol, out, dataset, conditions)
    _raise_failures(failures, len(cells_of(protocol)))


def claim_cells(
    protocol: Protocol,
    out: Path,
    dataset: Dataset,
    conditions: Conditions,
    *,
    call: str = "",
    logger: LoggerChoice = None,
    on_progress: ProgressCallback | None = None,
) -> Failures:
    """Claim and run cells until every cell is finished, has failed or is claimed by another process.

    Args:
        protocol: Protocol of the benchmark.
        out: Results folder.
        dataset: Data set, as `protocol.load()` returns it.
        conditions: Conditions to compute under.
        call: Identifier that the processes of one call share: none repeats a cell that failed in another.
        logger: Logger of each cell, as in `run_grid`.
        on_progress: Callback for the progress of each running cell.

    Returns:
        The reasons of failed cells.
    """
    ranks, call = Runtime(protocol.recipe.runtime).ranks, call or uuid.uuid4().hex
    failures: Failures = {}
    for cell in cells_of(protocol):
        folder = cell.folder(out)
        known = read_failure(folder)
        if known is not None and known.call == call:
            continue
        try:
            with _claimed(folder, ranks) as is_ours:
                if is_ours:
                    run_cell(
                        protocol,
                        dataset,
                        cell.strategy,
                        cell.seed,
                        folder,
                        conditions=conditions,
                        on_progress=on_progress,
                        logger=None if logger is None else partial(_logger, logger, cell, out),
                    )
                    clear_failure(folder)
        except Exception as error:
            if ranks.world_size > 1 and not isinstance(error, MinimaxALError):
                raise  # the other ranks do not know of it, and would wait for this one
            failure = failure_of(error, call)
            failures[cell.strategy, cell.seed] = failure.reason
            if ranks.rank == 0:
                write_failure(folder, failure)
    return failures


def _raise_failures(failures: Failures, cells: int) -> None:
    if not failures:
        return
    (strategy, seed), reason = next(iter(failures.items()))
    count = f"{len(failures)} of {cells} runs failed, first " if len(failures) > 1 else "one run failed: "
    raise ResultsError(
        f"{count}strategy {strategy!r}, seed {seed}: {reason}. The other runs are kept; the same command tries "
        "the failed ones again"
    )


def unfinished(protocol: Protocol, out: Path) -> list[Cell]:
    """Return the cells that are not finished, including those of other processes."""
    return [cell for cell in cells_of(protocol) if _progress_of(protocol, cell, out).round < protocol.points]


@contextmanager
def _claimed(folder: Path, ranks: Ranks) -> Iterator[bool]:
    """Yield whether the cell is ours inside the block; rank 0 claims it for all ranks of the run."""
    with ExitStack() as claim:
        lock = file_lock(folder / LOCK, error=ResultsError)
        is_ours = ranks.together(lambda: ranks.rank == 0 and claim.enter_context(lock))
        yield ranks.share(is_ours)[0]


def _progress_of(protocol: Protocol, cell: Cell, out: Path) -> Progress:
    return Progress(cell.strategy, cell.seed, len(read_rounds(cell.folder(out), protocol)), protocol.points)


def _run_processes(
    protocol: Protocol,
    out: Path,
    jobs: int,
    conditions: Conditions,
    *,
    logger: LoggerChoice,
    on_progress: ProgressCallback | None,
) -> Failures:
    """Start `jobs` processes that work on the grid, and forward their reports."""
    context = multiprocessing.get_context("spawn")
    reports: multiprocessing.Queue[Progress | Failures | str] = context.Queue()
    call = uuid.uuid4().hex
    processes = [
        context.Process(
            target=_process,
            args=(protocol, out, reports, conditions, call),
            kwargs={"logger": logger},
            name=f"worker {job}",
        )
        for job in range(jobs)
    ]
    failures: Failures = {}
    died: list[str] = []
    try:
        with _passive_waiting(jobs * conditions.threads > available_cores()):
            for process in processes:
                process.start()
        while any(process.is_alive() for process in processes) or not reports.empty():
            with suppress(Empty):
                report = reports.get(timeout=0.2)
                if isinstance(report, str):
                    died.append(report)
                elif isinstance(report, dict):
                    failures |= report
                elif on_progress:
                    on_progress(report)
    finally:
        for process in processes:
            process.terminate()
            process.join()
    died += [f"{process.name} ended with exit code {process.exitcode}" for process in processes if process.exitcode]
    if died:
        raise ResultsError(f"{died[0]}. The finished rounds are kept: the same command resumes")
    return failures


@contextmanager
def _passive_waiting(crowded: bool) -> Iterator[None]:  # noqa: FBT001 - a condition, not an option
    """Let the threads of processes started inside sleep while they wait, where they outnumber the cores.

    Waiting threads otherwise spin, and take the cores from those that compute. Numbers do not change.
    """
    name = "OMP_WAIT_POLICY"
    before = os.environ.get(name)
    if crowded and before is None:
        os.environ[name] = "PASSIVE"
    try:
        yield
    finally:
        if crowded and before is None:
            del os.environ[name]


def _process(
    protocol: Protocol,
    out: Path,
    reports: "multiprocessing.Queue[Progress | Failures | str]",
    conditions: Conditions,
    call: str,
    *,
    logger: LoggerChoice,
) -> None:
    """Run a worker process: it ends with its parent, and reports failures by their reason."""

    def report(progress: Progress) -> None:
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            os._exit(1)
        reports.put(progress)

    try:
        failures = claim_cells(protocol, out, protocol.load(), conditions, call=call, logger=logger, on_progress=report)
    except MinimaxALError as error:
        reports.put(str(error))
    else:
        reports.put(failures)
