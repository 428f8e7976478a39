"""Time and memory of acquisition functions, beside naive references and other libraries, in one run.

    python benchmarks/acquisition.py                 two or three minutes
    python benchmarks/acquisition.py --full          with pools of 1.28 million samples, half an hour
    python benchmarks/acquisition.py --quick         small pools, in seconds
    python benchmarks/acquisition.py --case kcenter-50k --case badge-50k --device cuda

Every measurement runs in a process of its own, on as many threads as the environment gives (`OMP_NUM_THREADS`).
The table, its CSV and an image of how time grows with sizes go to `benchmarks/results/`; they say machine, versions
and command. A contestant that is not installed is left out and named. A naive version, whose picks all take equally
long, may be asked for fewer; its time for the whole budget is then marked with ~. CPU time counts this process alone,
so that its ratios hold on a machine that others use too.
"""

import argparse
import csv
import json
import math
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from charts import draw_growth, slopes
from contestants import (
    CASES,
    CONTESTANTS,
    FULL,
    FULL_SWEEPS,
    QUICK,
    QUICK_SWEEPS,
    STANDARD,
    SWEEPS,
    Case,
    Contestant,
    Sweep,
)
from machine import installed, machine

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("minimax-al", "torch", "numpy", "scikit-activeml", "baal")
COLUMNS = (
    "case,size,data,contestant,seconds,cpu_seconds,ratio,cpu_ratio,picks,extrapolated_from,input_mib,extra_mib,unique,"
    "same_first_picks,error"
)
GROWTH_COLUMNS = "task,letter,value,contestant,seconds,cpu_seconds,size"


def apart(work: str, name: str, device: str, job: Any) -> Any:  # noqa: ANN401 - whatever the work returns
    """Run a case or sweeps in a separate process, so that neither memory nor caches are shared."""
    worker = Path(__file__).with_name("measure.py")
    command = [sys.executable, str(worker), json.dumps([work, job, name, device])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - a script beside this one
    if done.returncode:
        return {"wall": math.nan, "cpu": math.nan, "error": f"exit status {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


def run(cases: Sequence[Case], device: str) -> list[dict[str, Any]]:
    """Measure every contestant of every case, ours first."""
    rows: list[dict[str, Any]] = []
    for case in cases:
        ours: dict[str, Any] = {}
        for name, contestant in CONTESTANTS[case.task].items():
            reason = _reason_to_skip(case.pool, contestant, device)
            if reason:
                _say(f"{case.name}: {name} left out: {reason}")
                continue
            row = apart("case", name, device, asdict(case))
            ours = ours or row
            row |= {"case": case.name, "size": case.size, "data": case.data, "contestant": name}
            row |= {"seconds": row["wall"], "cpu_seconds": row["cpu"]}
            row |= {"ratio": row["wall"] / ours["wall"], "cpu_ratio": row["cpu"] / ours["cpu"]}
            row["same_first_picks"] = _same_start(row, ours)
            rows.append(row)
            _say(f"{case.name}: {name} {row['wall']:.3g} s, {row['cpu_ratio']:.3g} × ours {row.get('error', '')}")
    return rows


def run_sweeps(sweeps: Sequence[Sweep], device: str) -> list[dict[str, Any]]:
    """Measure how the time of every contestant grows with one size at a time."""
    rows: list[dict[str, Any]] = []
    for task in dict.fromkeys(sweep.case.task for sweep in sweeps):
        own = [sweep for sweep in sweeps if sweep.case.task == task]
        for name in ("ours", "naive"):
            job = [(asdict(sweep.case), sweep.letter, sweep.values) for sweep in own]
            found = apart("sweeps", name, device, job)
            if isinstance(found, dict):
                _say(f"growth of {task}: {name} failed: {found['error']}")
                continue
            rows += [{"task": task, "contestant": name, **row} for row in found]
            _say(f"growth of {task}: {name} with {', '.join(sweep.letter for sweep in own)}")
    return rows


def _same_start(row: dict[str, Any], ours: dict[str, Any]) -> bool:
    pairs = zip(row.get("first_picks", []), ours.get("first_picks", []), strict=False)
    return all(theirs == mine for theirs, mine in pairs)


def _reason_to_skip(pool: int, contestant: Contestant, device: str) -> str:
    if pool > contestant.largest_pool:
        return f"takes too long or too much memory above {contestant.largest_pool:,} samples"
    if device != "cpu" and contestant.package != "minimax-al":
        return "runs on the CPU"
    return "" if installed(contestant.package) else f"{contestant.package} is not installed"


def write(rows: Sequence[dict[str, Any]], growth: Sequence[dict[str, Any]], stem: Path, heading: str) -> None:
    """Write tables as CSV and Markdown, and the image of growth."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    write_csv(stem.with_suffix(".csv"), COLUMNS, rows)
    lines = [heading, "", *_table(rows)]
    if growth:
        write_csv(stem.with_name(f"{stem.name}-growth.csv"), GROWTH_COLUMNS, growth)
        image = stem.with_name(f"{stem.name}-growth.svg")
        draw_growth(growth, image)
        title = f"How CPU time grows with one size at a time; slopes in log–log scale, also drawn in {image.name}"
        lines += ["", title, "", *slopes(growth)]
    stem.with_suffix(".md").write_text("\n".join([*lines, ""]))


def write_csv(path: Path, columns: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write some columns of rows as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns.split(","), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    head = "case | size | data | contestant | seconds | CPU seconds | CPU seconds × ours | ms a pick"
    memory_head = "peak memory beside the input (MiB) | input (MiB)"
    lines = [f"| {head} | {memory_head} |", "|---|---|---|---|---:|---:|---:|---:|---:|---:|"]
    for row in rows:
        about = "~" if row.get("extrapolated_from") else ""
        numbers = (
            row["seconds"],
            row["cpu_seconds"],
            row["cpu_ratio"],
            1e3 * row["seconds"] / row.get("picks", math.nan),
        )
        cells = [row["case"], row["size"], row["data"], row["contestant"], *(f"{about}{x:.3g}" for x in numbers)]
        memory = [f"{row.get('extra_mib', math.nan):.0f}", f"{row.get('input_mib', math.nan):.0f}"]
        lines.append(f"| {' | '.join([*cells, *memory])} |")
    return lines


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> None:
    """Read the arguments, run, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="small pools, in seconds")
    extent.add_argument("--full", action="store_true", help="with pools of 1.28 million samples")
    extent.add_argument("--case", action="append", choices=CASES, help="one of the cases, no growth; may be repeated")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--name", help="of the files there; by default acquisition, with what was chosen")
    for letter, field in {"N": "pool", "b": "budget", "d": "width", "K": "classes"}.items():
        parser.add_argument(f"--{field}", type=int, help=f"another {letter} for the chosen cases")
    arguments = parser.parse_args()
    chosen = "quick" if arguments.quick else "full" if arguments.full else "cases" if arguments.case else "standard"
    cases = {"quick": QUICK, "full": FULL, "standard": STANDARD}.get(chosen) or [CASES[name] for name in arguments.case]
    sweeps = {"quick": QUICK_SWEEPS, "full": FULL_SWEEPS, "standard": SWEEPS}.get(chosen, [])
    changes = {k: v for k in ("pool", "budget", "width", "classes") if (v := getattr(arguments, k)) is not None}
    suffix = "".join(f"-{word}" for word in (chosen, arguments.device) if word not in {"standard", "cpu"})
    # Before the work, which is a load itself.
    command = shlex.join(["python", "benchmarks/acquisition.py", *sys.argv[1:]])
    heading = f"`{command}` ({chosen}) on {machine(PACKAGES, arguments.device)}"
    rows = run([Case(**{**asdict(case), **changes}) for case in cases], arguments.device)
    stem = arguments.out / (arguments.name or f"acquisition{suffix}")
    write(rows, run_sweeps(sweeps, arguments.device), stem, heading)
    _say(f"written to {stem}.md and .csv")


if __name__ == "__main__":
    main()
