"""Time and memory of choosing on features: ours beside scikit-activeml, and ours alone on large pools, in one run.

    python benchmarks/features.py                    20,000 and 100,000 images, growth curves; some minutes
    python benchmarks/features.py --full             also 1.28 million images in float16 on disk (3.3 GB in --scratch)
    python benchmarks/features.py --case peers       one case, no growth curves; may be repeated
    python benchmarks/features.py --growth           growth curves alone

Every measurement runs in a process of its own, on as many threads as the environment gives (`OMP_NUM_THREADS`). CPU
time counts this process alone, so that its ratios hold on a machine that others use too. Memory is the peak of private
memory (RssAnon) above what the process held with its input; pages of a mapped file are not private.

Features are embeddings with a low-dimensional structure: 48 latent directions, `classes` kinds of unequal size, and a
little noise in every direction. The head is linear, from the class means of 1,000 labelled images; all contestants use
the same one. Its fit is not part of the time.
"""

import argparse
import importlib
import json
import math
import resource
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Any, NamedTuple

import numpy as np
import torch
from charts import draw_growth, slopes
from machine import installed, machine
from torch import Tensor

from acquisition import write_csv
from minimax_al import acquisition

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("minimax-al", "torch", "numpy", "scikit-activeml", "scikit-learn")
IMAGENET = 1_281_167
BLOCK = 4096
LATENT = 48
PEER_BYTES = 14 << 30
"""Address space that a peer may use; what needs more is recorded as out of memory."""
COLUMNS = "case,size,rule,contestant,seconds,cpu_seconds,ratio,cpu_ratio,extra_mib,distinct,error"
GROWTH_COLUMNS = "task,letter,value,contestant,seconds,cpu_seconds,size"


@dataclass(frozen=True)
class Case:
    """One pool and one budget.

    Attributes:
        name: Name of the case.
        pool: Number of unlabelled images, N.
        budget: Number of images to choose, b.
        rules: Names of the rules to measure.
        width: Number of features per image, d.
        classes: Number of classes, K.
        labelled: Number of labelled images, L.
        on_disk: Whether the features are float16 on disk.
        peers: Whether scikit-activeml is measured too.
    """

    name: str
    pool: int
    budget: int
    rules: tuple[str, ...]
    width: int = 1280
    classes: int = 100
    labelled: int = 1000
    on_disk: bool = False
    peers: bool = False

    @property
    def size(self) -> str:
        """Return the sizes in the field's letters."""
        letters = {"N": self.pool, "d": self.width, "K": self.classes, "L": self.labelled, "b": self.budget}
        return " ".join(f"{letter}={value:,}" for letter, value in letters.items())


class Pool(NamedTuple):
    """Input of the rules.

    Attributes:
        features: Features of the pool, (N, d): float32, or float16 that is mapped from a file.
        labelled: Features of the labelled images, (L, d) float32.
        targets: Their classes, (L,) int64.
        weights: Head, (d, K).
        bias: Head, (K,).
    """

    features: Any
    labelled: Tensor
    targets: Tensor
    weights: Tensor
    bias: Tensor

    def logits_of(self, block: Tensor) -> Tensor:
        """Return the logits of a block of features, (B, K)."""
        return torch.addmm(self.bias, block, self.weights)

    def scores(self, score: Callable[[Tensor], Tensor]) -> Tensor:
        """Return a score of every image, (N,), in one pass over the pool."""
        return acquisition.scores_of(self.features, self.logits_of, score)

    def logits(self) -> Tensor:
        """Return the logits of all images, (N, K) float32."""
        return self.scores(lambda logits: logits)


ALL = (
    "margin",
    "cluster_margin",
    "dropquery",
    "badge",
    "centroids",
    "typicality",
    "probcover",
    "maxherding",
    "uherding",
)
PEERED = ("dropquery", "probcover", "typicality", "badge")
CASES = {
    case.name: case
    for case in (
        Case("peers", 20_000, 200, PEERED, peers=True),
        Case("round", 100_000, 500, ALL),
        Case("million", IMAGENET, 500, ("margin", "cluster_margin", "dropquery", "badge", "centroids"), on_disk=True),
    )
}
SWEEPS = {
    "N": (2_500, 5_000, 10_000, 20_000),
    "d": (160, 320, 640, 1_280),
    "K": (25, 50, 100, 200),
    "b": (50, 100, 200, 400),
}
FIELDS = {"N": "pool", "d": "width", "K": "classes", "b": "budget"}
GROWING = Case(
    "growth",
    5_000,
    100,
    ("dropquery", "cluster_margin", "centroids", "typicality", "probcover", "maxherding"),
    width=640,
    labelled=200,
)


def seeded() -> torch.Generator:
    """Return the generator of every rule."""
    return torch.Generator().manual_seed(0)


OURS: dict[str, Callable[[Pool, Case], Tensor]] = {
    "margin": lambda pool, case: acquisition.top(pool.scores(acquisition.margin), case.budget, largest=False),
    "cluster_margin": lambda pool, case: acquisition.cluster_margin(
        pool.features, pool.scores(acquisition.margin), case.budget, generator=seeded()
    ),
    "dropquery": lambda pool, case: acquisition.dropquery(
        pool.features, pool.logits_of, case.budget, generator=seeded(), passes=5
    ),
    "badge": lambda pool, case: acquisition.badge(pool.logits(), pool.features, case.budget, seeded()),
    "centroids": lambda pool, case: acquisition.centroids(pool.features, case.budget, generator=seeded()),
    "typicality": lambda pool, case: acquisition.typicality(
        pool.features, case.budget, seeded(), pool.labelled, most_clusters=case.labelled + case.budget
    ),
    "probcover": lambda pool, case: acquisition.probcover(
        pool.features, case.budget, generator=seeded(), classes=case.classes, labelled=pool.labelled
    ),
    "maxherding": lambda pool, case: acquisition.maxherding(
        pool.features, case.budget, generator=seeded(), labelled=pool.labelled
    ),
    "uherding": lambda pool, case: acquisition.uherding(
        pool.features, 1 - pool.scores(acquisition.margin), case.budget, generator=seeded(), labelled=pool.labelled
    ),
}


def scikit_activeml(rule: str, pool: Pool, case: Case) -> Tensor:
    """Choose by scikit-activeml's rule of the same name; returns (b,) indices."""
    library = importlib.import_module("skactiveml.pool")
    rows = np.concatenate([pool.labelled.numpy(), np.asarray(pool.features)])
    labels = np.concatenate([pool.targets.numpy().astype(float), np.full(case.pool, np.nan)])
    settings: dict[str, Any] = {"batch_size": case.budget}
    if rule == "dropquery":
        query, settings["clf"], settings["fit_clf"] = library.DropQuery(random_state=0), peers_head(pool), False
    elif rule == "badge":
        query, settings["clf"], settings["fit_clf"] = library.Badge(random_state=0), peers_head(pool), False
    elif rule == "probcover":
        query = library.ProbCover(n_classes=case.classes, random_state=0)
    elif rule == "maxherding":
        query, settings["y"] = library.MaxHerding(metric_dict={"gamma": 1.0}, random_state=0), labels
    else:
        query = library.TypiClust(random_state=0)
    picks = query.query(rows, **({"y": labels} | settings))
    return torch.from_numpy(np.asarray(picks)) - case.labelled


def peers_head(pool: Pool) -> Any:  # noqa: ANN401 - a class of a package that may not be installed
    """Return the same head as a fitted classifier of scikit-activeml."""
    base, library = importlib.import_module("sklearn.base"), importlib.import_module("skactiveml.classifier")
    weights, bias = pool.weights.numpy(), pool.bias.numpy()

    class Linear(base.ClassifierMixin, base.BaseEstimator):  # type: ignore[misc] # a base from an untyped package
        def fit(self, X: Any, y: Any) -> "Linear":  # noqa: ANN401, ARG002 - scikit-learn's signature
            self.classes_ = np.arange(len(bias))
            return self

        def predict_proba(self, X: Any) -> Any:  # noqa: ANN401
            logits = X @ weights + bias
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            return odds / odds.sum(axis=1, keepdims=True)

        def predict(self, X: Any) -> Any:  # noqa: ANN401
            return (X @ weights + bias).argmax(axis=1)

    head = library.SklearnClassifier(Linear(), classes=np.arange(len(bias)))
    return head.fit(X=pool.labelled.numpy(), y=pool.targets.numpy())


def blocks(case: Case) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield features and classes of labelled images and pool, block after block, (B, d) float32 and (B,) int64."""
    generator = seeded()
    directions = torch.randn(LATENT, case.width, generator=generator)
    centers = torch.randn(case.classes, LATENT, generator=generator)
    shares = torch.rand(case.classes, generator=generator) + 0.2
    for begin in range(0, case.labelled + case.pool, BLOCK):
        size = min(BLOCK, case.labelled + case.pool - begin)
        classes = torch.multinomial(shares, size, replacement=True, generator=generator)
        latent = centers[classes] + 1.2 * torch.randn(size, LATENT, generator=generator)
        yield latent @ directions + torch.randn(size, case.width, generator=generator), classes


def made(case: Case, scratch: Path) -> Pool:
    """Return the input of a case; a pool on disk is written once to `scratch`."""
    file = scratch / f"features-{case.pool}-{case.width}-{case.classes}.f16"
    shape = case.labelled + case.pool, case.width
    if not case.on_disk:
        rows = torch.empty(shape)
    else:
        rows = torch.from_numpy(np.memmap(file, np.float16, "r+" if file.exists() else "w+", shape=shape))
    targets = torch.empty(case.labelled, dtype=torch.int64)
    begin = 0
    for block, classes in blocks(case):
        done = case.on_disk and begin >= BLOCK and float(rows[-1].abs().sum()) > 0
        if done:  # written by an earlier run
            break
        rows[begin : begin + len(block)] = block
        few = classes[: max(0, case.labelled - begin)]
        targets[begin : begin + len(few)] = few
        begin += len(block)
    labelled = rows[: case.labelled].float()
    present = torch.arange(case.classes)[:, None] == targets
    means = (present.float() @ labelled) / present.sum(dim=1, keepdim=True).clamp(min=1)
    # Nearest mean as a linear head, at a temperature that gives sure and unsure predictions.
    weights = means.T / case.width / 4
    return Pool(
        rows[case.labelled :], labelled, targets, weights.contiguous(), -means.square().sum(dim=1) / case.width / 8
    )


@contextmanager
def peak_of_private_memory() -> Iterator[Callable[[], float]]:
    """Yield a function that returns the highest private memory since the start, in MiB above the start."""

    def private() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)

    start, stop = private(), threading.Event()
    highest = [start]

    def watch() -> None:
        while not stop.wait(0.02):
            highest[0] = max(highest[0], private())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: (max(highest[0], private()) - start) / 1024
    finally:
        stop.set()
        thread.join()


def work(case: Case, rule: str, contestant: str, scratch: Path) -> dict[str, Any]:
    """Measure one contestant in this process."""
    choose = OURS[rule] if contestant == "ours" else partial(scikit_activeml, rule)
    warm = Case("warm", 600, 5, case.rules, 64, 5, 50)
    choose(made(warm, scratch), warm)
    pool = made(case, scratch)
    if contestant != "ours":
        resource.setrlimit(resource.RLIMIT_AS, (PEER_BYTES, PEER_BYTES))
    with peak_of_private_memory() as peak:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            picks = choose(pool, case)
        except MemoryError as error:
            return {"seconds": math.nan, "cpu_seconds": math.nan, "error": f"out of memory: {error}"}
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
        extra = peak()
    distinct = len(set(picks.tolist())) == case.budget
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "extra_mib": extra, "distinct": distinct}


def apart(case: Case, rule: str, contestant: str, scratch: Path) -> dict[str, Any]:
    """Measure one contestant in a process of its own."""
    job = json.dumps([asdict(case), rule, contestant, str(scratch)])
    command = [sys.executable, str(Path(__file__)), "--job", job]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - this script
    if done.returncode:
        return {"seconds": math.nan, "cpu_seconds": math.nan, "error": f"exit status {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(cases: Sequence[Case], rules: Sequence[str], scratch: Path) -> list[dict[str, Any]]:
    """Measure every rule of every case, ours first."""
    rows = []
    for case in cases:
        for rule in case.rules:
            if rules and rule not in rules:
                continue
            first: dict[str, Any] = {}
            for contestant in ("ours", "scikit-activeml") if case.peers and installed("scikit-activeml") else ("ours",):
                row = apart(case, rule, contestant, scratch)
                first = first or row
                row |= {"case": case.name, "size": case.size, "rule": rule, "contestant": contestant}
                row["ratio"] = row["seconds"] / first["seconds"]
                row["cpu_ratio"] = row["cpu_seconds"] / first["cpu_seconds"]
                rows.append(row)
                say(
                    f"{case.name}: {rule} {contestant} {row['seconds']:.3g} s, CPU {row['cpu_seconds']:.3g} s, "
                    f"{row['cpu_ratio']:.3g} × ours, {row.get('extra_mib', math.nan):.0f} MiB {row.get('error', '')}"
                )
    return rows


def growth_of(rule: str, scratch: Path) -> list[dict[str, Any]]:
    """Measure in this process how our time for one rule grows with one size at a time."""
    rows = []
    work(GROWING, rule, "ours", scratch)
    for letter, values in SWEEPS.items():
        for value in values:
            case = Case(**(asdict(GROWING) | {FIELDS[letter]: value}))
            found = min(
                (work(case, rule, "ours", scratch) for _ in range(2)), key=lambda row: float(row["cpu_seconds"])
            )
            about = {"task": rule, "letter": letter, "value": value, "contestant": "ours", "size": case.size}
            rows.append(about | found)
    return rows


def grow(scratch: Path) -> list[dict[str, Any]]:
    """Measure how our times grow, each rule in a process of its own."""
    rows = []
    for rule in GROWING.rules:
        found = apart(GROWING, rule, "growth", scratch)
        rows += found["rows"]
        say(f"growth of {rule}")
    return rows


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the table of results in Markdown."""
    lines = [
        "| case | size | rule | contestant | seconds | CPU seconds | CPU seconds × ours | extra memory (MiB) |",
        "|---|---|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        numbers = [f"{row[key]:.3g}" for key in ("seconds", "cpu_seconds", "cpu_ratio")]
        if row.get("error"):
            numbers = [row["error"].split(":")[0], "–", "–"]
        memory = f"{row['extra_mib']:.0f}" if "extra_mib" in row else "–"
        lines.append(f"| {' | '.join([row['case'], row['size'], row['rule'], row['contestant'], *numbers, memory])} |")
    return lines


def say(line: str) -> None:
    """Print progress."""
    sys.stderr.write(line + "\n")


def main() -> None:
    """Read the arguments, run, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="with 1.28 million images on disk")
    parser.add_argument("--case", action="append", choices=CASES, help="one of the cases, no growth; may be repeated")
    parser.add_argument("--growth", action="store_true", help="growth curves alone")
    parser.add_argument("--rule", action="append", choices=ALL, help="one of the rules; may be repeated")
    parser.add_argument("--scratch", type=Path, default=Path(gettempdir()), help="folder of pools on disk")
    parser.add_argument("--name", default="features", help="name of the files in benchmarks/results")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        case, rule, contestant, scratch = json.loads(arguments.job)
        case["rules"] = tuple(case["rules"])
        if contestant == "growth":
            found: dict[str, Any] = {"rows": growth_of(rule, Path(scratch))}
        else:
            found = work(Case(**case), rule, contestant, Path(scratch))
        sys.stdout.write(json.dumps(found) + "\n")
        return
    names = (
        []
        if arguments.growth
        else arguments.case or [name for name in CASES if arguments.full or not CASES[name].on_disk]
    )
    # Before the work, which is a load itself.
    heading = f"`{shlex.join(['python', 'benchmarks/features.py', *sys.argv[1:]])}` on {machine(PACKAGES)}"
    rows = run([CASES[name] for name in names], arguments.rule or (), arguments.scratch)
    stem = RESULTS / arguments.name
    lines = [heading]
    if rows:
        write_csv(stem.with_suffix(".csv"), COLUMNS, rows)
        lines += ["", *table(rows)]
    if arguments.growth or not arguments.case:
        growth = grow(arguments.scratch)
        name = stem.name.removesuffix("-growth")
        write_csv(stem.with_name(f"{name}-growth.csv"), GROWTH_COLUMNS, growth)
        image = f"{name}-growth.svg"
        draw_growth(growth, stem.with_name(image))
        title = f"How CPU time grows with one size at a time; slopes in log–log scale, also drawn in {image}"
        lines += ["", title, "", *slopes(growth)]
    stem.with_suffix(".md").write_text("\n".join([*lines, ""]))
    say(f"written to {stem}.md and .csv")


if __name__ == "__main__":
    main()
