"""Everything that wants a GPU, in one command: same picks, speed of choosing and training, several runs at once.

    python benchmarks/gpu.py                        on the GPU, in half an hour
    python benchmarks/gpu.py --device cpu --quick   rehearses every part of it on any machine

It writes to `benchmarks/results/`: `gpu.md` with what is below, and the tables of `acquisition.py` and `training.py`
run on the device. Parts follow one another; one that fails is named in `gpu.md`, and the others still run.

    picks      k-center greedy, BADGE and BatchBALD on the device pick what they pick on the CPU, and k-center greedy
               what a greedy rule by differences picks in float64
    choosing   time and memory of choosing, by `acquisition.py`
    training   throughput of training and scoring, by `training.py`
    runs       cells of one benchmark with `--jobs 1` and with `--jobs 2`, which share the device: time and results
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from contestants import Case, inputs
from machine import machine
from torch import Tensor

from minimax_al.acquisition import badge, batchbald, k_center_greedy

HERE = Path(__file__).parent
PICKING = [
    Case("kcenter", "kcenter", 4_000, 300, 256, labelled=200),
    Case("kcenter-random", "kcenter", 4_000, 300, 256, labelled=200, data="random"),
    Case("badge", "badge", 20_000, 500, 256, classes=50),
    Case("batchbald", "batchbald", 1_000, 10, classes=10, passes=20, data="alike"),
]
STRATEGIES = ("random", "mal")


def choose(case: Case, given: dict[str, Tensor]) -> list[int]:
    """Return the picks of a case's function; random numbers come from the CPU and are equal on every device."""
    generator = torch.Generator().manual_seed(0)
    if case.task == "kcenter":
        picks = k_center_greedy(given["features"], case.budget, given["centers"])
    elif case.task == "badge":
        picks = badge(given["logits"], given["features"], case.budget, generator)
    else:
        picks = batchbald(given["logits"], case.budget, generator=generator)
    found: list[int] = picks.tolist()
    return found


def greedy_by_differences(features: Tensor, centers: Tensor, budget: int) -> list[int]:
    """Greedy k-center in float64, one pass over the pool a pick."""
    features, picks = features.double(), []
    nearest = torch.full((len(features),), torch.inf, dtype=torch.float64)
    for center in centers.double():
        nearest = torch.minimum(nearest, (features - center).square().sum(dim=1))
    for _ in range(budget):
        picks.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (features - features[picks[-1]]).square().sum(dim=1))
        nearest[picks] = -1
    return picks


def compare_picks(device: str) -> list[str]:
    """Return a table of the share of picks on the device that equal those on the CPU, and a float64 reference."""
    lines = ["| case | size | equal to the CPU's | equal to float64 by differences |", "|---|---|---:|---:|"]
    for case in PICKING:
        given = inputs(case)
        on_device = choose(case, {name: values.to(device) for name, values in given.items()})
        on_cpu = choose(case, given)
        reference = greedy_by_differences(**given, budget=case.budget) if case.task == "kcenter" else None
        cells = [_equal(on_device, on_cpu), _equal(on_device, reference) if reference else "–"]
        lines.append(f"| {case.name} | {case.size} | {' | '.join(cells)} |")
    return lines


def _equal(first: Sequence[int], second: Sequence[int]) -> str:
    return f"{sum(a == b for a, b in zip(first, second, strict=True))} of {len(first)}"


def measure_choosing(device: str, out: Path, *, quick: bool) -> list[str]:
    """Run `acquisition.py`."""
    name = f"acquisition-{device}" + ("-quick" if quick else "")
    _run(HERE / "acquisition.py", "--device", device, "--out", out, "--name", name, *["--quick"] * quick)
    return [f"See {name}.md."]


def measure_training(device: str, out: Path, *, quick: bool) -> list[str]:
    """Run `training.py`: fp32 without compilation, and as a run on the device would."""
    names = []
    for suffix, options in (("", ("--precision", "fp32")), ("-auto", ("--precision", "auto", "--compile", "auto"))):
        name = f"training-{device}{suffix}" + ("-quick" if quick else "")
        extent = ("--quick", "--turns", "2") if quick else ("--batch", "256", "--workers", "8")
        _run(HERE / "training.py", "--device", device, "--out", out, "--name", name, *options, *extent)
        names.append(name)
    return [f"See {' and '.join(f'{name}.md' for name in names)}."]


def compare_runs(device: str, *, quick: bool) -> list[str]:
    """Run the same cells one after the other and two at a time."""
    seeds, points, epochs = (1, 2, 1) if quick else (4, 4, 20)
    lengths = [f"--recipe.{name}.epochs={epochs}" for name in ("minimax", "task")]
    found, seconds = [], []
    for jobs in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            _run(
                *(
                    "-c",
                    "from minimax_al.cli import main; main()",
                    "bench",
                    "run",
                    "digits",
                    "--out",
                    folder,
                    "--jobs",
                    jobs,
                ),
                *("--strategies", *STRATEGIES, "--seeds", seeds, "--points", points),
                *(f"--recipe.runtime.device={device}", *lengths),
            )
            seconds.append(time.perf_counter() - start)
            found.append(_rounds(Path(folder)))
    same = sum(found[0][key] == found[1].get(key) for key in found[0])
    cells = f"{len(STRATEGIES) * seeds} cells of {points} rounds each"
    times = (
        f"{seconds[0]:.1f} s with one job, {seconds[1]:.1f} s with two ({seconds[0] / seconds[1]:.2f} times as fast)"
    )
    return [f"{cells}: {times}. Same metrics and picks in {same} of {len(found[0])} rounds."]


def _rounds(folder: Path) -> dict[str, tuple[object, ...]]:
    """Metrics and picks of all rounds of all cells."""
    rounds: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.glob("cells/*/*/round-*.json")):
        content = json.loads(path.read_text())
        rounds[str(path.relative_to(folder))] = (content["metrics"], content["picks"])
    return rounds


def _run(*words: object) -> None:
    subprocess.run([sys.executable, *map(str, words)], check=True)  # noqa: S603 - scripts beside this one


def main() -> None:
    """Read the arguments, do all parts, write what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that every part works")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    arguments = parser.parse_args()
    device, out, quick = arguments.device, arguments.out, arguments.quick
    if device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --device cpu rehearses")
    parts: dict[str, Callable[[], list[str]]] = {
        "Picks": lambda: compare_picks(device),
        "Choosing": lambda: measure_choosing(device, out, quick=quick),
        "Training and scoring": lambda: measure_training(device, out, quick=quick),
        "Several runs at once": lambda: compare_runs(device, quick=quick),
    }
    command = " ".join(["python", "benchmarks/gpu.py", *sys.argv[1:]])
    lines = [f"`{command}` on {machine(['minimax-al', 'torch', 'torchvision'], device)}"]
    failed = 0
    for title, part in parts.items():
        try:
            found = part()
        except (subprocess.CalledProcessError, RuntimeError) as error:
            failed, found = failed + 1, [f"Failed: {error}"]
        lines += ["", f"## {title}", "", *found]
        sys.stderr.write("\n".join([title, *found, ""]))
    out.mkdir(parents=True, exist_ok=True)
    name = f"gpu{'' if device == 'cuda' else f'-{device}'}{'-quick' if quick else ''}.md"
    (out / name).write_text("\n".join([*lines, ""]))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
