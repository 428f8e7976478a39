"""A whole labelling campaign over very many images, by the commands that people give: seconds and peak memory.

    python benchmarks/campaign_million.py --images 2000 --folder /tmp/rehearsal
    python benchmarks/campaign_million.py --images 1000000 --folder /data/million --name campaign-million

Draws distinct JPEG files of 64×64 pixels, in folders of a thousand, whose class can be learnt; images that are there
already are used again, and the drawing is not timed. Every step is a process of its own:

`mal new`, a first `mal query` at random, the labelling page's routes, `mal import` of the answers, `mal train`, `mal
status`, `mal export`, and a second `mal query` with the campaign's default strategy, which scores the whole pool.

The recipe is `scratch-small` (12 × 25 steps of 32 labelled and 32 unlabelled images, drawn from the whole pool) with
conv4 in place of a ResNet-18 and images of 32 pixels, so that a million can be scored on a CPU.

`peak memory` is the largest resident set of the command's process, `worker` that of the largest process that it
started to decode images; the two share some pages. Writes a table to `results/` where it is given a name.
"""

import argparse
import csv
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
from PIL import Image

CLASSES = ("wide", "tall", "round", "twin", "ring")
SIDE = 64
IN_A_FOLDER = 1000
BLOBS = 10
MIB = 1024
PACKAGES = ("minimax-al", "torch", "numpy", "pillow", "sqlalchemy")
RESULTS = Path(__file__).parent / "results"

CHILD = """
import json, resource, sys, time
start = time.perf_counter()
{work}
mine, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
cpu = sum(used.ru_utime + used.ru_stime for used in (mine, workers))
print(json.dumps({{"cpu": cpu, "peak": peak, "worker": workers.ru_maxrss}}), file=sys.stderr)
sys.exit(code)
"""
"""A process that says last, on standard error, what it took: CPU seconds, and KiB. Its peak is of the program alone:
`ru_maxrss` would begin with that of whoever started it."""

MAL = "from minimax_al.cli import main\ncode = main()"
CONFIGURE = """
from minimax_al.campaign import Campaign
with Campaign.open(sys.argv[1]) as campaign:
    recipe = {**campaign.settings.recipe, "encoder": "conv4", "width": 16}
    campaign.configure(recipe={**recipe, "augmentation": {"flip": True, "crop": 32}}, stored_size=36)
code = 0
"""
HASH_ONLY = """
import hashlib
from minimax_al.campaign.images import refresh
from minimax_al.campaign.images.fingerprints import Fingerprint

def examine(root, name):
    digest = hashlib.sha256((root / name).read_bytes()).hexdigest()
    return Fingerprint(name, None, digest, digest[:32], 64, 64)

refresh.examine = examine
"""
"""In place of decoding, which takes the same for every image, whatever their number."""

SERVER = "import sys; from minimax_al.cli import main; sys.exit(main())"


class Step(NamedTuple):
    """What a step took.

    Attributes:
        name: the command, or the route.
        seconds: by the clock on the wall.
        cpu: seconds of all cores; None where it was not measured.
        peak: of memory, in MiB.
        worker: peak of the largest process that it started, in MiB; 0 where it started none.
        note: what came of it.
    """

    name: str
    seconds: float
    cpu: float | None
    peak: float
    worker: float
    note: str


def draw_folder(root: Path, number: int, count: int) -> None:
    """Draws one folder of images: coloured blobs, and a bright shape that is their class; a function of its number.

    Args:
        root: of all images.
        number: of the folder.
        count: images in it.
    """
    folder = root / f"{number:04d}"
    if folder.is_dir() and len(list(folder.iterdir())) == count:
        return
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng((1, number))
    grid = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    places, widths = noise.uniform(0, 1, (2, count, BLOBS, 1)), noise.uniform(0.05, 0.3, (2, count, BLOBS, 1))
    down, right = np.exp(-(((grid - places) / widths) ** 2)).astype(np.float32)
    colours = noise.normal(0, 70, (count, BLOBS, 3)).astype(np.float32)
    across = (right[..., None] * colours[:, :, None]).reshape(count, BLOBS, SIDE * 3)
    images = 110 + (down.transpose(0, 2, 1) @ across).reshape(count, SIDE, SIDE, 3)
    kinds = [class_number(number, place) for place in range(count)]
    images += 160 * _shapes(np.array(kinds), noise, grid)[..., None]
    images += noise.normal(0, 8, (SIDE, SIDE, 3)).astype(np.float32)
    for place, pixels in enumerate(images.clip(0, 255).astype(np.uint8)):
        Image.fromarray(pixels).save(folder / f"{place:03d}.jpg", quality=85)


def _shapes(kinds: Any, noise: np.random.Generator, grid: Any) -> Any:  # noqa: ANN401 - arrays
    """Return a shape of each kind at a random place near the middle, shape (N, S, S), in [0, 1]."""
    middle = noise.uniform(0.35, 0.65, (2, len(kinds), 1, 1)).astype(np.float32)
    y, x = grid[:, None] - middle[0], grid[None, :] - middle[1]
    y, x = y + 0 * x, x + 0 * y
    outlines = (
        lambda y, x: np.hypot(y / 0.06, x / 0.25),
        lambda y, x: np.hypot(y / 0.25, x / 0.06),
        lambda y, x: np.hypot(y, x) / 0.13,
        lambda y, x: np.minimum(np.hypot(y, x - 0.16), np.hypot(y, x + 0.16)) / 0.09,
        lambda y, x: np.abs(np.hypot(y, x) - 0.2) / 0.05,
    )
    inside = np.empty_like(y)
    for kind, outline in enumerate(outlines):
        these = kinds == kind
        inside[these] = np.clip(1.5 - outline(y[these], x[these]), 0, 1)
    return inside


def class_number(folder: int, place: int) -> int:
    """Return the class number of an image; the last class is rare."""
    lot = (folder * IN_A_FOLDER + place) * 2_654_435_761 % 2**32 / 2**32
    return min(int(lot / 0.23), len(CLASSES) - 1)


def truth(path: str) -> str:
    """Return the class of an image by its path."""
    folder, file = path.split("/")
    return CLASSES[class_number(int(folder), int(file.removesuffix(".jpg")))]


def draw_all(root: Path, images: int, processes: int) -> None:
    """Draws all images that are not there yet."""
    counts = [min(IN_A_FOLDER, images - start) for start in range(0, images, IN_A_FOLDER)]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        list(pool.map(draw_folder, [root] * len(counts), range(len(counts)), counts, chunksize=4))


def command(name: str, work: str, words: Sequence[object], log: Path) -> tuple[Step, str]:
    """Run Python code in a separate process.

    Args:
        name: Name of the step.
        work: Python code; it stores its exit status in `code`.
        words: Arguments of the code.
        log: File that receives the standard error.

    Returns:
        Measurements of the step, and its standard output.
    """
    start = time.perf_counter()
    with log.open("w+") as said:
        child = [sys.executable, "-c", CHILD.format(work=work), *map(str, words)]
        done = subprocess.run(child, stdout=subprocess.PIPE, stderr=said, text=True, check=False)  # noqa: S603
        seconds = time.perf_counter() - start
        said.seek(0)
        lines = said.read().splitlines()
    if done.returncode:
        raise SystemExit(f"{name} ended with {done.returncode}: " + "\n".join(lines[-5:]))
    took = json.loads(lines[-1])
    step = Step(name, seconds, took["cpu"], took["peak"] / MIB, took["worker"] / MIB, "")
    return step, done.stdout


class Plan(NamedTuple):
    """What is to be measured.

    Attributes:
        root: the folder of everything.
        images: how many.
        labels: of the first round.
        budget: of the second one.
        cold: strategies that need no label, asked at the end.
        decode: whether `mal new` decodes the images; else it hashes them only.
    """

    root: Path
    images: int
    labels: int
    budget: int
    cold: Sequence[str]
    decode: bool


def campaign_steps(plan: Plan) -> Iterator[Step]:
    """All commands of a campaign, one after the other."""
    root, budget, labels = plan.root, plan.budget, plan.labels
    folder, images = root / f"campaign-{plan.images}", root / f"images-{plan.images}"
    answers, log = root / "answers.csv", root / "log.txt"

    def mal(*words: object, name: str = "") -> tuple[Step, str]:
        step, said = command(f"`mal {name or words[0]}`", MAL, words, log)
        return show(step), said

    words = ["new", folder, "--images", images, "--classes", *CLASSES, "--recipe", "scratch-small"]
    name = "`mal new`" if plan.decode else "`mal new`, without decoding"
    step, said = command(name, MAL if plan.decode else HASH_ONLY + MAL, words, log)
    show(step)
    found = next(line for line in said.splitlines() if "labelled" in line).split(";")[0]
    yield step._replace(note=f"{found}; database of {(folder / 'campaign.db').stat().st_size / 2**20:,.0f} MiB")
    command("configure", CONFIGURE, [folder], log)
    step, said = mal("query", folder, "--budget", labels, name="query")
    yield step._replace(note=f"{labels:,} at random")
    with answers.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *((path, truth(path)) for path in said.split())])
    yield from page_steps(folder)
    step, said = mal("import", folder, answers)
    yield step._replace(note=said.strip())
    step, said = mal("train", folder)
    yield step._replace(note=next((line for line in said.splitlines() if line.startswith("model")), ""))
    yield mal("status", folder)[0]
    step, said = mal("export", folder, root / "labels.csv")
    yield step._replace(note=said.split(" are")[0])
    step, said = mal("query", folder, "--budget", budget, name="query")
    yield step._replace(note=f"{len(said.split()):,} by badge+mal")
    for strategy in plan.cold:
        mal("close", folder)
        yield mal("query", folder, "--budget", budget, "--strategy", strategy, name=f"query --strategy {strategy}")[0]


def page_steps(folder: Path) -> Iterator[Step]:
    """Measure the routes of the labelling page: each one first cold and then warm."""
    start = time.perf_counter()
    words = [sys.executable, "-c", SERVER, "label", str(folder), "--port", "0"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert server.stdout is not None
    try:
        page = server.stdout.readline().split()[-1]
        yield show(Step("`mal label`, until it listens", time.perf_counter() - start, None, peak_of(server.pid), 0, ""))
        with httpx.Client(timeout=600, trust_env=False, base_url=page) as client:
            yield from _routes(client, server.pid)
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def _routes(client: httpx.Client, process: int) -> Iterator[Step]:
    def ask(method: str, route: str, **body: object) -> tuple[Step, Any]:
        start = time.perf_counter()
        answer = client.request(method, route, json=body or None)
        seconds = time.perf_counter() - start
        answer.raise_for_status()
        name = f"`{method} /{route.rstrip('0123456789')}`"
        return Step(name, seconds, None, peak_of(process), 0, ""), answer

    def twice(method: str, route: str, **body: object) -> Step:
        (first, _), (again, _) = ask(method, route, **body), ask(method, route, **body)
        return first._replace(note=f"again: {1000 * again.seconds:.0f} ms")

    step, leased = ask("POST", "api/lease", author="ann", count=10)
    picks = [pick["item"] for pick in leased.json()["picks"]]
    yield show(step._replace(note="10 images"))
    yield show(twice("GET", f"images/{picks[0]}"))
    yield show(twice("GET", f"thumbnails/{picks[0]}"))
    yield show(ask("POST", "api/label", author="ann", items=[picks[0]], class_name=CLASSES[0])[0])
    yield show(twice("POST", "api/lease", author="ann", count=10))
    yield show(twice("GET", "api/status")._replace(name="`GET /api/status` (dashboard)"))
    yield show(twice("GET", "api/picks?limit=100")._replace(name="`GET /api/picks` (gallery)"))


def peak_of(process: int) -> float:
    """Return the peak resident set of a process, in MiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / MIB


def show(step: Step) -> Step:
    """Print a finished step."""
    print(row(step), flush=True)  # noqa: T201
    return step


def row(step: Step) -> str:
    """Return a step as a line of the table."""
    seconds = f"{step.seconds:,.1f}" if step.seconds >= 1 else f"{step.seconds:.3f}"
    cpu, worker = "" if step.cpu is None else f"{step.cpu:,.1f}", f"{step.worker:,.0f}" if step.worker else ""
    return f"| {step.name} | {seconds} | {cpu} | {step.peak:,.0f} | {worker} | {step.note} |"


def table(steps: Sequence[Step], images: int, words: Sequence[str]) -> str:
    """Return the result as Markdown."""
    from machine import machine  # noqa: PLC0415 - loads torch, which nobody needs before

    given = shlex.join(["python", "benchmarks/campaign_million.py", *words])
    head = f"`{given}`: {images:,} images, on {machine(PACKAGES)}"
    columns = "| step | seconds | CPU seconds | peak memory (MiB) | worker (MiB) | what came of it |"
    return "\n".join([head, "", columns, "|---|---:|---:|---:|---:|---|", *map(row, steps), ""])


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--folder", type=Path, required=True, help="for images and campaign; needs 4 KB an image")
    parser.add_argument("--labels", type=int, default=3000, help="to import, at most half of the images")
    parser.add_argument("--budget", type=int, default=1000, help="of the second query, at most a quarter")
    parser.add_argument("--cold", nargs="*", default=[], choices=["coverage", "typicality"], help="first queries, too")
    parser.add_argument("--without-decoding", action="store_true", help="`mal new` hashes the images only")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="that draw images")
    parser.add_argument("--only-draw", action="store_true")
    parser.add_argument("--name", help="of the table in benchmarks/results")
    words = parser.parse_args()
    draw_all(words.folder / f"images-{words.images}", words.images, words.processes)
    if words.only_draw:
        return
    labels, budget = min(words.labels, words.images // 2), min(words.budget, words.images // 4)
    plan = Plan(words.folder, words.images, labels, budget, words.cold, not words.without_decoding)
    told = [word if word != str(words.folder) else "FOLDER" for word in sys.argv[1:]]
    steps = []
    for step in campaign_steps(plan):
        steps.append(step)
        page = table(steps, words.images, told)  # after every step: whoever stops it keeps what was measured
        if words.name:
            (RESULTS / f"{words.name}.md").write_text(page, encoding="utf-8")
    print(page)  # noqa: T201


if __name__ == "__main__":
    main()
