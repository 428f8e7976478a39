"""A benchmark on a SLURM cluster: jobs that share one results folder and claim its cells."""

from collections.abc import Mapping
from pathlib import Path

from minimax_al.benchmark.folders.folder import prepare_folder
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.runs.grid import run_grid
from minimax_al.errors import ConfigurationError, MissingDependencyError

DEFAULTS = {"gpus_per_node": 1, "timeout_min": 1440}
"""Parameters of a job where the caller gives none."""


def submit(
    protocol: Protocol,
    out: Path,
    jobs: int,
    *,
    mixed: bool = False,
    logger: str | None = None,
    parameters: Mapping[str, object] | None = None,
) -> str:
    """Submit jobs that work on a grid until it is finished.

    Args:
        protocol: Protocol of the benchmark; every node needs the data at its path.
        out: Results folder on a file system that all nodes share and that supports locks.
        jobs: Number of jobs.
        mixed: Whether nodes of different kinds may compute for one folder.
        logger: Name of a logger, "csv" or "tensorboard".
        parameters: Parameters of `submitit.AutoExecutor.update_parameters`, such as `slurm_partition`.

    Returns:
        A sentence that names the submitted jobs.

    Raises:
        ConfigurationError: `jobs` is below 1, or the protocol cannot run.
        MissingDependencyError: submitit is not installed.
        DataError: The data set is missing.
    """
    if jobs < 1:
        raise ConfigurationError(f"slurm is {jobs}; it is the number of jobs, 1 or more")
    try:
        import submitit  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingDependencyError("submitit", "cluster", "submitting to SLURM") from error
    # The nodes record their own conditions: the machine that submits does not compute.
    prepare_folder(protocol, out, protocol.load(), computes=False)
    executor = submitit.AutoExecutor(folder=out / "slurm", cluster="slurm")
    executor.update_parameters(name=f"mal-{protocol.name}", **{**DEFAULTS, **(parameters or {})})
    with executor.batch():
        submitted = [executor.submit(run_job, protocol, out, mixed=mixed, logger=logger) for _ in range(jobs)]
    return f"Submitted {jobs} jobs ({', '.join(job.job_id for job in submitted)}); their logs are in {out / 'slurm'}"


def run_job(protocol: Protocol, out: Path, *, mixed: bool = False, logger: str | None = None) -> None:
    """Claim and run cells until none is left; this is one job."""
    run_grid(protocol, out, mixed=mixed, logger=logger)
