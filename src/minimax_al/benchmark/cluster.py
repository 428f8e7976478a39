"""A benchmark on a SLURM cluster: jobs that share one results folder and claim its cells."""

from pathlib import Path

from minimax_al.benchmark.folder import prepare_folder
from minimax_al.benchmark.grid import work
from minimax_al.benchmark.protocol import Protocol
from minimax_al.errors import ConfigurationError, MissingDependencyError


def submit(protocol: Protocol, out: Path, jobs: int, **parameters: object) -> str:
    """Submit jobs that work on a grid until it is finished.

    Args:
        protocol: what to run; the data must be where it says on every node.
        out: results folder on a file system that all nodes share and that supports locks.
        jobs: how many.
        parameters: of `submitit.AutoExecutor.update_parameters`, such as `slurm_partition` or `gpus_per_node`.

    Returns:
        A sentence that says which jobs were submitted.

    Raises:
        ConfigurationError: jobs is below 1.
        MissingDependencyError: submitit is not installed.
        DataError: the data set is not there.
    """
    if jobs < 1:
        raise ConfigurationError(f"slurm is {jobs}; it is the number of jobs, 1 or more")
    try:
        import submitit  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingDependencyError("submitit", "cluster", "submitting to SLURM") from error
    prepare_folder(protocol, out, protocol.load())
    executor = submitit.AutoExecutor(folder=out / "slurm", cluster="slurm")
    executor.update_parameters(name=f"mal-{protocol.name}", **({"gpus_per_node": 1, "timeout_min": 1440} | parameters))
    with executor.batch():
        submitted = [executor.submit(run_job, protocol, out) for _ in range(jobs)]
    return f"Submitted {jobs} jobs ({', '.join(job.job_id for job in submitted)}); their logs are in {out / 'slurm'}"


def run_job(protocol: Protocol, out: Path) -> None:
    """What one job does: claim and run cells until none is left."""
    work(protocol, out, protocol.load())
