"""Demonstration: Minimax Active Learning and random picks on handwritten digits, in two minutes."""

from pathlib import Path

from minimax_al.benchmark.protocol import load_protocol
from minimax_al.benchmark.reports.report import write_report
from minimax_al.benchmark.runs.cell import ProgressCallback
from minimax_al.benchmark.runs.grid import run_grid
from minimax_al.errors import ConfigurationError

STRATEGIES = ("random", "mal")


def run_demo(out: Path, *, seeds: int = 2, jobs: int = 2, on_progress: ProgressCallback | None = None) -> Path:
    """Run the preset `digits` with two strategies and write the report.

    Args:
        out: Results folder; an interrupted demonstration resumes.
        seeds: Number of runs per strategy.
        jobs: Number of parallel processes.
        on_progress: Callback for the progress of each run.

    Returns:
        Path of the page.

    Raises:
        ConfigurationError: `seeds` or `jobs` is below 1.
    """
    if seeds < 1:
        raise ConfigurationError(f"seeds is {seeds}; it must be 1 or more")
    protocol = load_protocol("digits", strategies=STRATEGIES, seeds=seeds)
    run_grid(protocol, out, jobs=jobs, on_progress=on_progress)
    return write_report(out)
