"""Processes that `srun` started, by the environment variables of their job step; checked before any of them waits."""

import os

from minimax_al.errors import ConfigurationError


def is_started_by_srun() -> bool:
    """Return whether `srun` started this process; a batch script has a rank too, but no step."""
    return "SLURM_PROCID" in os.environ and "SLURM_STEP_ID" in os.environ


def check_srun(devices: int, nodes: int) -> None:
    """Refuse a step whose processes are not one per device.

    Without this check the processes wait for missing ranks until a timeout.

    Args:
        devices: Devices per machine.
        nodes: Machines.

    Raises:
        ConfigurationError: The numbers of processes or machines differ.
    """
    wanted, started = devices * nodes, int(os.environ.get("SLURM_NTASKS", "1"))
    on, local = int(os.environ.get("SLURM_NNODES", "1")), int(os.environ.get("SLURM_LOCALID", "0"))
    if (started, on) != (wanted, nodes) or local >= devices:
        raise ConfigurationError(
            f"srun started {started} processes on {on} machines, but devices={devices} × nodes={nodes} is {wanted} on "
            f"{nodes}: use 'srun --nodes {nodes} --ntasks-per-node {devices}', or set devices and nodes"
        )


def name_tasks_per_node(devices: int) -> None:
    """Set the environment variable of the number of processes per machine, which `srun --ntasks` alone does not set.

    Fabric reads it from the environment and has no argument for it; libraries that it starts read it, too.

    Args:
        devices: Devices per machine, which is the number of processes that `check_srun` has found.
    """
    os.environ["SLURM_NTASKS_PER_NODE"] = str(devices)
