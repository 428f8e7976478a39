"""Time and memory of acquisition functions, beside naive references and other libraries, in one run.

    python benchmarks/acquisition.py --quick
    python benchmarks/acquisition.py --case kcenter-20k --case badge-50k
    python benchmarks/acquisition.py --case million

Every measurement runs in a process of its own, on as many threads as the environment gives (`OMP_NUM_THREADS`).
The table and the CSV in `benchmarks/results/` say machine and versions. A contestant that is not installed is
left out and named. A reference whose time for each pick is constant may be asked for fewer picks; its time for
the whole budget is then marked with ~.
"""

import argparse
import csv
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import installed, machine
from torch import Tensor

from minimax_al.acquisition import badge, batchbald, k_center_greedy

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("minimax-al", "torch", "numpy", "scikit-activeml", "baal")
CHUNK = 1 << 14


@dataclass(frozen=True)
class Case:
    """One job: a pool, and how many samples to choose from it."""

    name: str
    task: str  # "kcenter", "badge" or "batchbald"
    pool: int
    budget: int
    width: int = 512
    labelled: int = 0
    classes: int = 0
    passes: int = 0
    data: str = "clustered"
    reference_picks: int = 0  # fewer picks asked of the references, 0 = all

    @property
    def size(self) -> str:
        """The sizes in the field's letters."""
        letters = {"N": self.pool, "d": self.width, "L": self.labelled, "K": self.classes, "T": self.passes}
        used = {k: v for k, v in letters.items() if v and not (k == "d" and self.task == "batchbald")}
        return " ".join(f"{k}={v:,}" for k, v in {**used, "b": self.budget}.items())


QUICK = [
    Case("kcenter-quick", "kcenter", 5_000, 100, 128, labelled=100),
    Case("badge-quick", "badge", 5_000, 100, 128, classes=10),
    Case("batchbald-quick", "batchbald", 500, 4, classes=5, passes=10),
]
FULL = [
    Case("kcenter-10k", "kcenter", 10_000, 500, labelled=500),
    Case("kcenter-20k", "kcenter", 20_000, 500, labelled=500),
    Case("kcenter-20k-random", "kcenter", 20_000, 500, labelled=500, data="random"),
    Case("kcenter-50k", "kcenter", 50_000, 2_500, labelled=500, reference_picks=250),
    Case("kcenter-200k", "kcenter", 200_000, 10_000, labelled=1_000, reference_picks=100),
    Case("kcenter-200k-random", "kcenter", 200_000, 10_000, labelled=1_000, reference_picks=100, data="random"),
    Case("badge-10k", "badge", 10_000, 500, classes=100, reference_picks=100),
    Case("badge-50k", "badge", 50_000, 1_000, classes=100, reference_picks=100),
    Case("badge-50k-random", "badge", 50_000, 1_000, classes=100, reference_picks=100, data="random"),
    Case("batchbald-2k", "batchbald", 2_000, 8, classes=10, passes=20),
]
ON_DEMAND = [
    Case("million", "kcenter", 1_281_167 - 64_058, 64_058, labelled=64_058),
    Case("million-random", "kcenter", 1_281_167 - 64_058, 64_058, labelled=64_058, data="random"),
    Case("badge-million", "badge", 1_281_167, 10_000, classes=100),
]
CASES = {case.name: case for case in [*QUICK, *FULL, *ON_DEMAND]}


def generate(samples: int, width: int, kind: str, seed: int) -> Tensor:
    """Features in chunks, so that generation needs no memory beside them.

    Args:
        samples: number of rows.
        width: number of columns.
        kind: "random" (independent normal) or "clustered" (200 clusters of various spreads).
        seed: seed of the generator.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.empty(samples, width)
    centers = 3 * torch.randn(200, width, generator=generator)
    for chunk in rows.split(CHUNK):
        torch.randn(chunk.shape, generator=generator, out=chunk)
        if kind == "clustered":
            chunk.mul_(torch.rand(len(chunk), 1, generator=generator))
            chunk.add_(centers[torch.randint(200, (len(chunk),), generator=generator)])
    return rows


def inputs(case: Case) -> dict[str, Tensor]:
    """What the contestants of a case are given."""
    if case.task == "kcenter":
        rows = generate(case.labelled + case.pool, case.width, case.data, seed=0)
        return {"features": rows[case.labelled :], "centers": rows[: case.labelled]}
    if case.task == "badge":
        features = generate(case.pool, case.width, case.data, seed=0)
        return {"logits": generate(case.pool, case.classes, case.data, seed=1), "features": features}
    generator = torch.Generator().manual_seed(0)
    return {"logits": 2 * torch.randn(case.passes, case.pool, case.classes, generator=generator)}


def naive_k_center(features: Tensor, centers: Tensor, budget: int) -> Tensor:
    """Greedy k-center with cached norms: one pass over the pool for every pick."""
    norms = features.square().sum(dim=1)
    nearest = torch.full_like(norms, torch.inf)
    for chunk in centers.split(256):
        chunk_distances = torch.addmm(chunk.square().sum(dim=1), features, chunk.T, alpha=-2)
        nearest = torch.minimum(nearest, chunk_distances.amin(dim=1) + norms)
    picks = []
    for _ in range(budget):
        picks.append(int(nearest.argmax()))
        distances = norms + norms[picks[-1]] - 2 * (features @ features[picks[-1]])
        nearest = torch.minimum(nearest, distances)
        nearest[picks[-1]] = -torch.inf
    return torch.tensor(picks)


def naive_badge(logits: Tensor, features: Tensor, budget: int) -> Tensor:
    """k-means++ on factored gradient embeddings: one pass over the pool for every pick."""
    generator = torch.Generator().manual_seed(0)
    errors = logits.softmax(dim=1)
    errors[torch.arange(len(errors)), errors.argmax(dim=1)] -= 1
    norms = errors.square().sum(dim=1) * features.square().sum(dim=1)
    weights, nearest, picks = norms.clone(), torch.full_like(norms, torch.inf), []
    for _ in range(budget):
        cumulative = weights.double().cumsum(dim=0)
        point = torch.rand(1, dtype=torch.float64, generator=generator) * cumulative[-1]
        pick = int(torch.searchsorted(cumulative, point, right=True))
        picks.append(pick)
        distances = norms + norms[pick] - 2 * (errors @ errors[pick]) * (features @ features[pick])
        weights = nearest = torch.minimum(nearest, distances).clamp_(min=0)
        weights[pick] = 0
    return torch.tensor(picks)


def naive_batchbald(logits: Tensor, budget: int, most: int = 10_000) -> Tensor:
    """Greedy BatchBALD that scores every sample for every pick, with at most `most` joint configurations."""
    probs_TNK = logits.double().softmax(dim=2)
    passes = len(probs_TNK)
    conditional_N = torch.special.entr(probs_TNK).sum(dim=2).mean(dim=0)
    joint_TC = torch.ones(passes, 1, dtype=torch.float64)
    picks: list[int] = []
    for _ in range(budget):
        weights_C = joint_TC.mean(dim=0)
        posterior_CT = (joint_TC / joint_TC.sum(dim=0)).T
        scores = torch.cat(
            [
                torch.mv(torch.special.entr(torch.einsum("ct,tnk->nck", posterior_CT, chunk)).sum(dim=2), weights_C)
                for chunk in probs_TNK.split(64, dim=1)
            ]
        )
        scores -= conditional_N
        scores[picks] = -torch.inf
        picks.append(int(scores.argmax()))
        joint_TC = (joint_TC[:, :, None] * probs_TNK[:, picks[-1]][:, None]).reshape(passes, -1)
        if joint_TC.shape[1] > most:
            weights = joint_TC.mean(dim=0)
            kept = torch.multinomial(weights, most, replacement=True, generator=torch.Generator().manual_seed(0))
            joint_TC = joint_TC[:, kept] / weights[kept]
    return torch.tensor(picks)


def skactiveml_coreset(features: Tensor, centers: Tensor, budget: int) -> Tensor:
    """scikit-activeml's CoreSet."""
    pool = importlib.import_module("skactiveml.pool")
    rows = torch.cat([centers, features]).numpy()
    labels = np.concatenate([np.zeros(len(centers)), np.full(len(features), np.nan)])
    picks = pool.CoreSet(random_state=0).query(rows, labels, batch_size=budget)
    return torch.from_numpy(np.asarray(picks)) - len(centers)


def baal_batchbald(logits: Tensor, budget: int) -> Tensor:
    """Baal's BatchBALD."""
    heuristics = importlib.import_module("baal.active.heuristics")
    probs_NKT = logits.softmax(dim=2).permute(1, 2, 0).contiguous().numpy()
    picks = heuristics.BatchBALD(num_samples=budget, num_draw=10_000 // len(logits))(probs_NKT)
    return torch.from_numpy(np.asarray(picks[0] if isinstance(picks, tuple) else picks)[:budget].copy())


def our_badge(logits: Tensor, features: Tensor, budget: int) -> Tensor:
    """minimax-al's BADGE with a fixed seed."""
    return badge(logits, features, budget, torch.Generator().manual_seed(0))


def our_batchbald(logits: Tensor, budget: int) -> Tensor:
    """minimax-al's BatchBALD with a fixed seed."""
    return batchbald(logits, budget, generator=torch.Generator().manual_seed(0))


def our_k_center(features: Tensor, centers: Tensor, budget: int) -> Tensor:
    """minimax-al's greedy k-center."""
    return k_center_greedy(features, budget, centers)


@dataclass(frozen=True)
class Contestant:
    """An implementation: the function, the package that it needs, the largest pool that it is asked for."""

    choose: Callable[..., Tensor]
    package: str = "minimax-al"
    largest_pool: int = 1 << 40


CONTESTANTS = {
    "kcenter": {
        "ours": Contestant(our_k_center),
        "naive": Contestant(naive_k_center, largest_pool=200_000),
        "scikit-activeml": Contestant(skactiveml_coreset, "scikit-activeml", 20_000),
    },
    "badge": {
        "ours": Contestant(our_badge),
        "naive": Contestant(naive_badge, largest_pool=200_000),
    },
    "batchbald": {
        "ours": Contestant(our_batchbald),
        "naive": Contestant(naive_batchbald),
        "baal": Contestant(baal_batchbald, "baal", 10_000),
    },
}


def measure(case: Case, name: str) -> dict[str, Any]:
    """Time one contestant in this process, and the memory that it takes beside its input."""
    contestant = CONTESTANTS[case.task][name]
    budget = case.reference_picks if name == "naive" and case.reference_picks else case.budget
    given = inputs(case)
    warm = Case("warm", case.task, 1_000, 2, 64, labelled=100, classes=3, passes=3)
    contestant.choose(**inputs(warm), budget=2)
    before = _reset_peak()
    picks, seconds = _timed(contestant, given, budget)
    if budget < case.budget:
        # The start, which is the same whatever the budget, counts once.
        start = _timed(contestant, given, 1)[1]
        seconds = start + (seconds - start) / (budget - 1) * (case.budget - 1)
    return {
        "seconds": seconds,
        "extrapolated_from": budget if budget < case.budget else "",
        "input_mib": sum(x.nbytes for x in given.values()) / 2**20,
        "extra_mib": (_status("VmHWM") - before) / 1024,
        "unique": len(set(picks.tolist())) == budget,
        "first_picks": picks[:100].tolist(),
    }


def _timed(contestant: Contestant, given: dict[str, Tensor], budget: int) -> tuple[Tensor, float]:
    start = time.perf_counter()
    picks = contestant.choose(**given, budget=budget)
    return picks, time.perf_counter() - start


def _reset_peak() -> int:
    """Forget the peak of resident memory so far; the memory resident now, in KiB (0 where unknown)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return _status("VmRSS")


def _status(field: str) -> int:
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def measure_apart(case: Case, name: str) -> dict[str, Any]:
    """`measure` in a process of its own, so that neither memory nor caches are shared."""
    command = [sys.executable, __file__, "--worker", json.dumps([asdict(case), name])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - this very script
    if done.returncode:
        return {"seconds": float("nan"), "error": f"exit status {done.returncode}"}
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def run(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Measure every contestant of every case, ours first."""
    rows: list[dict[str, Any]] = []
    for case in cases:
        ours: dict[str, Any] = {}
        for name, contestant in CONTESTANTS[case.task].items():
            reason = _reason_to_skip(case, contestant)
            if reason:
                _say(f"{case.name}: {name} left out: {reason}")
                continue
            row = measure_apart(case, name)
            ours = ours or row
            row |= {"case": case.name, "size": case.size, "data": case.data, "contestant": name}
            row["ratio"] = row["seconds"] / ours["seconds"]
            row["same_first_picks"] = _same_start(row, ours)
            rows.append(row)
            _say(f"{case.name}: {name} {row['seconds']:.3g} s, {row['ratio']:.3g} × ours {row.get('error', '')}")
    return rows


def _same_start(row: dict[str, Any], ours: dict[str, Any]) -> bool:
    pairs = zip(row.get("first_picks", []), ours.get("first_picks", []), strict=False)
    return all(theirs == mine for theirs, mine in pairs)


def _reason_to_skip(case: Case, contestant: Contestant) -> str:
    if case.pool > contestant.largest_pool:
        return f"takes too long or too much memory above {contestant.largest_pool:,} samples"
    return "" if installed(contestant.package) else f"{contestant.package} is not installed"


def write(rows: Sequence[dict[str, Any]], folder: Path, name: str) -> None:
    """Write `name`.csv and `name`.md."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = "case,size,data,contestant,seconds,ratio,extrapolated_from,input_mib,extra_mib,unique,same_first_picks"
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns.split(","), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    table = [
        "| case | size | data | contestant | seconds | × ours | memory beside the input (MiB) | input (MiB) |",
        "|---|---|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        approximately = "~" if row.get("extrapolated_from") else ""
        numbers = f"{approximately}{row['seconds']:.3g} | {approximately}{row['ratio']:.3g}"
        memory = f"{row.get('extra_mib', 0):.0f} | {row.get('input_mib', 0):.0f}"
        table.append(f"| {row['case']} | {row['size']} | {row['data']} | {row['contestant']} | {numbers} | {memory} |")
    (folder / f"{name}.md").write_text("\n".join([machine(PACKAGES), "", *table, ""]))


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> None:
    """Read the arguments, run, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small cases, in seconds")
    parser.add_argument("--case", action="append", choices=CASES, help="one of the cases; may be repeated")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--name", default="acquisition", help="name of the two files there")
    parser.add_argument("--pool", type=int, help="another pool size N for the chosen cases")
    parser.add_argument("--budget", type=int, help="another budget b for the chosen cases")
    parser.add_argument("--width", type=int, help="another number of features d for the chosen cases")
    parser.add_argument("--classes", type=int, help="another number of classes K for the chosen cases")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        case, name = json.loads(arguments.worker)
        sys.stdout.write(json.dumps(measure(Case(**case), name)) + "\n")
        return
    cases = [CASES[name] for name in arguments.case] if arguments.case else QUICK if arguments.quick else FULL
    changes = {k: v for k in ("pool", "budget", "width", "classes") if (v := getattr(arguments, k)) is not None}
    write(run([Case(**{**asdict(case), **changes}) for case in cases]), arguments.out, arguments.name)
    _say(f"written to {arguments.out / arguments.name}.md and .csv")


if __name__ == "__main__":
    main()
