"""Conditions of a run that change its numbers: device, precision, threads, kind of processor.

`auto` resolves them per machine. They are recorded per round, and a results folder accepts one set of conditions.
"""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from minimax_al.cores import available_cores
from minimax_al.durable import write_durably
from minimax_al.errors import ResultsError
from minimax_al.training import RuntimeSettings
from minimax_al.training.runtime.runtime import resolve_device, resolve_precision

FILE = "conditions.json"

MOST_THREADS = 4
"""Upper bound of the number of threads where a protocol sets none."""


@dataclass(frozen=True)
class Conditions:
    """Resolved conditions of a run.

    Attributes:
        device: Kind of device: cpu, cuda or mps.
        precision: Precision of training: bf16, fp32 or fp64.
        threads: Number of CPU threads. Sums depend on it in their last bit, and picks depend on sums.
        processor: Model name of the CPU.
        accelerator: Model name of the GPU; empty on a CPU.
    """

    device: str
    precision: str
    threads: int
    processor: str
    accelerator: str = ""


def conditions_here(settings: RuntimeSettings, threads: int | None = None) -> Conditions:
    """Return the conditions under which a run on this machine computes.

    Args:
        settings: Device, precision and threads, any of which may be automatic.
        threads: Number of threads where `settings` has none; default `default_threads()`.

    Raises:
        ConfigurationError: The device is not on this machine.
    """
    device = resolve_device(settings.device)
    return Conditions(
        device=device.type,
        precision=resolve_precision(settings.precision, device),
        threads=settings.threads or threads or default_threads(),
        processor=processor_name(),
        accelerator=torch.cuda.get_device_name() if device.type == "cuda" else "",
    )


def default_threads() -> int:
    """Return the number of threads of a cell whose protocol sets none.

    It depends on the machine alone and never on the number of parallel jobs, so that `--jobs 1` and `--jobs 2` give
    the same numbers. `OMP_NUM_THREADS`, if set, decides.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return min(available_cores(), MOST_THREADS)


def processor_name() -> str:
    """Return the model name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    return ", ".join(sorted(names)) or platform.processor()


def read_conditions(out: Path) -> Conditions | None:
    """Return the conditions of a results folder; None before its first run.

    Raises:
        ResultsError: The file is damaged.
    """
    path = out / FILE
    try:
        return Conditions(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise ResultsError(f"file {str(path)!r} cannot be read ({error}); remove it to record them anew") from error


def settle_conditions(settings: RuntimeSettings, out: Path, *, mixed: bool = False) -> Conditions:
    """Return the conditions for this process in a results folder, refusing to mix two.

    The recorded number of threads holds where `settings` has none. Nothing is written.

    Args:
        settings: Device, precision and threads.
        out: Results folder.
        mixed: Whether other conditions than the recorded ones are accepted.

    Raises:
        ResultsError: The conditions differ from those of earlier results; the message names them.
    """
    before = read_conditions(out)
    here = conditions_here(settings, before.threads if before else None)
    if before is None or mixed:
        return here
    now = asdict(here)
    differing = [
        f"{name} ({then} there, {now[name]} now)" for name, then in asdict(before).items() if then != now[name]
    ]
    if differing:
        raise ResultsError(
            f"folder {str(out)!r} holds results that were computed under other conditions: {', '.join(differing)}. "
            "Numbers would mix two machines: give another --out, set --recipe.runtime to the recorded values, or "
            "accept it with --mixed-machines"
        )
    return here


def record_conditions(conditions: Conditions, out: Path) -> None:
    """Record the conditions of a results folder, unless they are recorded; call it under the folder's lock."""
    if not (out / FILE).exists():
        write_durably(out / FILE, json.dumps(asdict(conditions), indent=1).encode())


@contextmanager
def threads_of(conditions: Conditions) -> Iterator[None]:
    """Use the recorded number of CPU threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(conditions.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
