"""Measures one contestant in this process; `acquisition.py` starts one such process for each.

python benchmarks/measure.py '<task as JSON>'
"""

import ctypes
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from contestants import CONTESTANTS, Case, Contestant, Sweep, inputs
from torch import Tensor


class Seconds(NamedTuple):
    """How long something took, by the clock on the wall and by this process's CPU time."""

    wall: float
    cpu: float


def measure(case: Case, name: str, device: str) -> dict[str, Any]:
    """Time one contestant in this process, and the memory that it takes beside its input."""
    contestant = CONTESTANTS[case.task][name]
    given = inputs(case, device)
    warm_up(case, contestant, device)
    before = _reset_peak(device)
    budget = _budget(case, name)
    picks, seconds = _timed(contestant, given, budget)
    extra = _peak(device) - before
    return {
        **_whole(contestant, given, (budget, case.budget), seconds)._asdict(),
        "picks": case.budget,
        "extrapolated_from": budget if budget < case.budget else "",
        "input_mib": sum(x.nbytes for x in given.values()) / 2**20,
        "extra_mib": extra / 2**20,
        "unique": len(set(picks.tolist())) == budget,
        "first_picks": picks[:100].tolist(),
    }


def measure_sweep(sweep: Sweep, name: str, device: str) -> list[dict[str, Any]]:
    """Time one contestant on every value of a size, the smallest first; best of two where that takes little."""
    rows = []
    contestant = CONTESTANTS[sweep.case.task][name]
    warm_up(sweep.case, contestant, device)
    for case, value in zip(sweep.cases(), sweep.values, strict=True):
        if case.pool > contestant.largest_pool:
            break
        given, budget = inputs(case, device), _budget(case, name)
        found = [_whole(contestant, given, (budget, case.budget), _timed(contestant, given, budget)[1])]
        if found[0].wall < 1:
            found.append(_whole(contestant, given, (budget, case.budget), _timed(contestant, given, budget)[1]))
        seconds = min(found, key=lambda taken: taken.cpu)
        rows.append({"value": value, "size": case.size, "seconds": seconds.wall, "cpu_seconds": seconds.cpu})
    return rows


def warm_up(case: Case, contestant: Contestant, device: str) -> None:
    """Let libraries load and set up what they keep, then give back what was only used meanwhile."""
    # Large enough for every way in which a task is computed.
    pool = 9_000 if case.task == "kcenter" else 1_000
    warm = Case("warm", case.task, pool, 2, 512, labelled=100, classes=3, passes=3)
    contestant.choose(**inputs(warm, device), budget=2)
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def _budget(case: Case, name: str) -> int:
    return min(case.reference_picks or case.budget, case.budget) if name == "naive" else case.budget


def _whole(contestant: Contestant, given: dict[str, Tensor], budgets: tuple[int, int], seconds: Seconds) -> Seconds:
    """Extrapolate the time for the whole budget from a part of it; the start-up counts once."""
    asked, wanted = budgets
    if asked == wanted:
        return seconds
    start = _timed(contestant, given, 1)[1]
    return Seconds(
        *(first + (taken - first) / (asked - 1) * (wanted - 1) for first, taken in zip(start, seconds, strict=True))
    )


def _timed(contestant: Contestant, given: dict[str, Tensor], budget: int) -> tuple[Tensor, Seconds]:
    _synchronise(given)
    wall, cpu = time.perf_counter(), time.process_time()
    picks = contestant.choose(**given, budget=budget)
    _synchronise(given)
    return picks, Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def _synchronise(given: dict[str, Tensor]) -> None:
    if any(values.is_cuda for values in given.values()):
        torch.cuda.synchronize()


def _reset_peak(device: str) -> int:
    """Forget the peak of memory so far; the memory in use now, in bytes (0 where unknown)."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return _status("VmRSS")


def _peak(device: str) -> int:
    return torch.cuda.max_memory_allocated() if device == "cuda" else _status("VmHWM")


def _status(field: str) -> int:
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def main() -> None:
    """Do the task; its result is the last line of output."""
    work, job, name, device = json.loads(sys.argv[1])
    if work == "case":
        found: Any = measure(Case(**job), name, device)
    else:
        sweeps = [Sweep(Case(**case), letter, tuple(values)) for case, letter, values in job]
        found = [{"letter": sweep.letter, **row} for sweep in sweeps for row in measure_sweep(sweep, name, device)]
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
