"""Pools of 100,000 to 10 million images: seconds and memory of a campaign's database, of embedding, and of choosing.

    python benchmarks/scale.py store --images 100000 1000000 --storage postgresql+psycopg://USER@HOST/DATABASE
    python benchmarks/scale.py choose --images 100000 1000000 --width 128 --scratch FOLDER
    python benchmarks/scale.py round --images 1000000 --storage postgresql+psycopg://USER@HOST/DATABASE
    python benchmarks/scale.py embed
    python benchmarks/scale.py report

Each step runs in a process of its own. Rows are added to results/scale.csv, in place of an earlier row of the same step
and size; `report` writes results/scale.md and results/scale-growth.svg from them.

* `--prefilled`: PostgreSQL makes the rows that `mal new` would store; the other steps are measured on them. As in
  `round`, `--storage` names that database.
* `--steps` names the steps to measure, strategies in `choose` and `round`; `--pool FOLDER` keeps the drawn features
  there, in a folder for each case, size and width, and uses them if they are there.
* `store`: the images are the lines of a Parquet manifest with their hash, width and height, so that no image is read.
  Reading and decoding, which take the same for each image, are measured by `embed`.
* `choose`: whole rounds (fit and query) on drawn features in float16 that are mapped from disk, 100 classes, 1,000
  labels, 1,000 picks. The files are deleted afterwards.
* `round`: `mal query` of 500 images in a campaign on features with 1,000 labels, as a whole: reading the pool,
  training, cross-validation, predicting and choosing. Each step is one strategy.
* `embed`: images per second of drawn photographs, from a folder.

Memory is the peak of private memory (RssAnon) of the step's process; pages of a mapped file are not private. A step
on features names the bytes that came from the disk and not from the system's cache.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from scale_pools import CLASSES, LABELS, draw_features, prefill, write_campaign, write_manifest

RESULTS = Path(__file__).parent / "results"
COLUMNS = ("case", "images", "width", "step", "seconds", "cpu_seconds", "peak_mib", "note")
PACKAGES = ("minimax-al", "torch", "numpy", "sqlalchemy", "psycopg")
BUDGET = 1000
STRATEGIES = ("margin", "cluster_margin", "dropquery")
ROUND_BUDGET = 500
STORE_STEPS = ("new", "query", "lease", "label", "status", "import", "export", "refresh")
PHOTOGRAPHS = 400


def store_step(step: str, folder: Path, manifest: Path, storage: str | None) -> str:  # noqa: PLR0911 - one per step
    """Do one step of a campaign; return what came of it."""
    from minimax_al.campaign import Campaign  # noqa: PLC0415 - its import is part of a command

    if step == "new":
        names = [f"class {number}" for number in range(CLASSES)]
        with Campaign.create(folder, manifest, names, storage=storage, recipe="scratch") as campaign:
            return f"{campaign.status().items}"
    with Campaign.open(folder) as campaign:
        if step == "query":
            return f"{campaign.query(BUDGET, 'random', where='site = A').picks} at random where site = A"
        if step == "lease":
            began = time.perf_counter()
            for number in range(100):
                campaign.lease(f"annotator {number}", 10)
            return f"100 leases of 10 images, {10 * (time.perf_counter() - began):.1f} ms each"
        if step == "label":
            began = time.perf_counter()
            for number in range(10):
                for pick in campaign.lease(f"annotator {number}", 10).picks:
                    campaign.label(pick.item, "class 1", author=f"annotator {number}")
            return f"100 labels, {10 * (time.perf_counter() - began):.1f} ms each with their lease"
        if step == "status":
            return f"{campaign.status().unlabelled:,} unlabelled"
        if step == "import":
            table = folder / "labels.csv"
            lines = (f"s3://pool/00000/{number:04d}.jpg,class {number % CLASSES}" for number in range(10_000))
            table.write_text("\n".join(["path,label", *lines]))
            return f"{campaign.import_labels(table).added:,} labels"
        if step == "export":
            return f"{campaign.export('csv', folder / 'out.csv').written:,} labels"
        return str(campaign.refresh())


def round_step(step: str, folder: Path) -> str:
    """Open a round of a campaign by a strategy; return what came of it."""
    from minimax_al.campaign import Campaign  # noqa: PLC0415 - its import is part of a command

    with Campaign.open(folder) as campaign:
        if campaign.status().round is not None:
            campaign.close_round()
        began = time.perf_counter()
        found = campaign.query(ROUND_BUDGET, step)
        seconds = time.perf_counter() - began
        return f"{found.picks} picks in {seconds:.1f} s"


def choose_step(step: str, folder: Path, images: int) -> str:
    """Fit and query once; return what came of it."""
    import torch  # noqa: PLC0415 - its import is part of a command

    from minimax_al.data import Dataset, Features  # noqa: PLC0415
    from minimax_al.loop import ActiveLearner  # noqa: PLC0415
    from minimax_al.training import Recipe, RuntimeSettings  # noqa: PLC0415

    pool = Features(np.load(folder / "pool.npy", mmap_mode="r"))
    labels = torch.from_numpy(np.load(folder / "targets.npy"))
    names = tuple(f"class {number}" for number in range(CLASSES))
    dataset = Dataset("drawn", "classification", names, pool, labels, pool.subset([]), labels[:0])
    recipe = Recipe(missing_classes="warn", scoring_batch_size=4096, runtime=RuntimeSettings(precision="fp32"))
    learner = ActiveLearner(dataset, step, recipe)
    first = torch.randperm(images, generator=torch.Generator().manual_seed(0))[:LABELS]
    learner.teach(first, labels[first])
    began = time.perf_counter()
    learner.fit()
    fitted = time.perf_counter()
    picked = labels[learner.query(BUDGET).indices]
    found = f"fit {fitted - began:.1f} s, query {time.perf_counter() - fitted:.1f} s"
    return f"{found}; {len(picked.unique())} classes among {BUDGET:,} picks"


def embed_step(folder: Path) -> str:
    """Compute features of drawn photographs by the encoder of the extra `weights`; return the rate."""
    from PIL import Image  # noqa: PLC0415

    from minimax_al.networks import pretrained_encoder  # noqa: PLC0415
    from minimax_al.training import embed_folder  # noqa: PLC0415

    generator = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for number in range(PHOTOGRAPHS):
        rough = Image.fromarray(generator.integers(0, 256, (15, 20, 3), dtype=np.uint8))
        rough.resize((640, 480), Image.Resampling.BICUBIC).save(folder / "photos" / f"{number:04d}.jpg", quality=90)
    encoder = pretrained_encoder("timm:tf_efficientnet_lite0", "published")
    found = embed_folder(folder / "photos", folder / "features", encoder)
    rate = found.computed / found.seconds
    days = 1e7 / rate / 86_400
    return f"{rate:.1f} images/s of 640 x 480 pixels; 10 million would take {days:.1f} days here (extrapolated)"


def do(job: dict[str, Any]) -> dict[str, Any]:
    """Do one step in this process and measure it."""
    folder, step = Path(job["folder"]), job["step"]
    high = [0.0]
    with sampled_memory(high):
        began, cpu = time.perf_counter(), time.process_time()
        if job["case"] == "store":
            note = store_step(step, folder / "campaign", folder / "pool.parquet", job["storage"])
        elif job["case"] == "choose":
            note = choose_step(step, folder, job["images"])
        elif job["case"] == "round":
            note = round_step(step, folder / "campaign")
        else:
            note = embed_step(folder)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    if job["case"] in {"choose", "round"}:
        note += f"; {bytes_read() / 2**30:.1f} GiB read from disk"
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": high[0], "note": note}


def bytes_read() -> int:
    """Return the bytes that the system has read from the disk for this process."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


@contextmanager
def sampled_memory(high: list[float]) -> Iterator[None]:
    """Keep the highest private memory of this process in `high`, in MiB."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            lines = Path("/proc/self/status").read_text().splitlines()
            private = next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)
            high[0] = max(high[0], private / 1024)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def apart(job: dict[str, Any]) -> dict[str, Any]:
    """Do one step in a process of its own."""
    words = [sys.executable, str(Path(__file__)), "step", json.dumps(job)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - this script
    if done.returncode:
        raise SystemExit(f"{job['case']} {job['step']} ended with status {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    row = {**job, **found}
    sys.stderr.write(f"{row['case']} {row['images']:,} {row['step']}: {row['seconds']:.1f} s, {row['note']}\n")
    return row


def measure(case: str, images: int, width: int, options: argparse.Namespace) -> None:
    """Measure all steps of one case at one size, and keep each as it ends."""
    folder = (
        options.pool / f"{case}-{images}-{width}"
        if options.pool
        else Path(tempfile.mkdtemp(dir=options.scratch, prefix="scale-"))
    )
    folder.mkdir(parents=True, exist_ok=True)
    job = {"case": case, "images": images, "width": width, "folder": str(folder), "storage": options.storage}
    try:
        if case == "store":
            steps: Sequence[str] = STORE_STEPS
            if options.prefilled:
                steps = STORE_STEPS[1:]
                if not (folder / "first.parquet").is_file():
                    prefill(folder, images, options.storage)
            else:
                write_manifest(folder / "pool.parquet", images)
        elif case == "choose":
            if not (folder / "targets.npy").is_file():
                np.save(folder / "targets.npy", draw_features(folder / "pool.npy", images, width))
            steps = STRATEGIES
        elif case == "round":
            if not (folder / "labels.csv").is_file():
                write_campaign(folder, images, width, options.storage)
            steps = STRATEGIES
        else:
            steps = ("embed",)
        for step in steps if options.steps is None else options.steps:
            keep({name: value for name, value in apart({**job, "step": step}).items() if name in COLUMNS})
    finally:
        if options.pool is None:
            shutil.rmtree(folder, ignore_errors=True)


def rows() -> list[dict[str, str]]:
    """Return the kept rows."""
    path = RESULTS / "scale.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def keep(row: dict[str, Any]) -> None:
    """Add a row in place of an earlier one of the same step and size."""
    key = ("case", "images", "width", "step")
    texts = {name: f"{row[name]:.4g}" if isinstance(row[name], float) else str(row[name]) for name in COLUMNS}
    others = [each for each in rows() if any(each[name] != texts[name] for name in key)]
    everything = sorted([*others, texts], key=lambda each: (each["case"], int(each["width"]), int(each["images"])))
    with (RESULTS / "scale.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(everything)


def report(heading: str) -> None:
    """Write the table and the plot of growth."""
    lines = [heading, "", "| case | images | step | seconds | CPU seconds | peak memory (MiB) | what came of it |"]
    lines.append("|---|---:|---|---:|---:|---:|---|")
    for row in rows():
        case = row["case"] + (
            f", {int(row['width']):,} features" if int(row["width"]) and row["case"] != "embed" else ""
        )
        size = "" if row["case"] == "embed" else f"{int(row['images']):,}"
        numbers = [f"{float(row[name]):,.1f}" for name in ("seconds", "cpu_seconds")]
        memory = f"{float(row['peak_mib']):,.0f}"
        lines.append(f"| {' | '.join([case, size, row['step'], *numbers, memory, row['note']])} |")
    (RESULTS / "scale.md").write_text("\n".join([*lines, ""]))
    draw(RESULTS / "scale-growth.svg")


def draw(path: Path) -> None:
    """Draw seconds and memory over the number of images, both axes logarithmic."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    FigureCanvasSVG(figure)
    for axes, column, title in zip(
        figure.subplots(1, 2), ("seconds", "peak_mib"), ("seconds", "peak private memory, MiB"), strict=True
    ):
        for case, width, step in sorted({(row["case"], row["width"], row["step"]) for row in rows()}):
            if case == "embed":
                continue
            points = [row for row in rows() if (row["case"], row["width"], row["step"]) == (case, width, step)]
            name = step if case == "store" else f"{case}: {step}, d={width}"
            x, y = [int(row["images"]) for row in points], [float(row[column]) for row in points]
            axes.loglog(x, y, {"store": "o-", "choose": "s--", "round": "^:"}[case], label=name, markersize=4)
        axes.set_xlabel("images")
        axes.set_title(title)
        axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, format="svg", metadata={"Date": None})


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments; end with one sentence where they do not fit together."""
    from minimax_al.errors import MinimaxALError  # noqa: PLC0415 - steps measure their imports

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=("store", "choose", "round", "embed", "report"))
    parser.add_argument("--images", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--steps", nargs="*", help="steps to measure; none prepares the pool alone")
    parser.add_argument("--pool", type=Path, help="folder that keeps the pool for further calls")
    parser.add_argument("--prefilled", action="store_true", help="rows made by PostgreSQL, without the step `new`")
    parser.add_argument("--storage", help="URL of a PostgreSQL database; by default SQLite")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args(words)
    if options.case == "report" and options.steps is not None:
        parser.error("--steps concerns the cases that measure, not report: leave it out.")
    if options.prefilled and options.case != "store":
        parser.error(f"--prefilled concerns the case store, not {options.case}: leave it out.")
    fills = options.prefilled or options.case == "round"
    if fills and not (options.storage or "").startswith("postgresql"):
        given = "is missing" if options.storage is None else f"is {options.storage.partition(':')[0]!r}..."
        case = "store --prefilled" if options.prefilled else options.case
        parser.error(
            f"--storage {given}: PostgreSQL makes the rows of {case}; "
            "give postgresql+psycopg://USER@HOST/DATABASE, an empty database."
        )
    try:
        check_steps(options)
    except MinimaxALError as error:
        parser.error(f"--steps: {error}")
    return options


def check_steps(options: argparse.Namespace) -> None:
    """Raise an error if a case cannot measure one of its steps.

    Raises:
        UnknownNameError: A step is not one of the case, or is not a strategy.
    """
    from minimax_al.errors import UnknownNameError  # noqa: PLC0415 - steps measure their imports
    from minimax_al.strategies.usual import check_choosing  # noqa: PLC0415

    for step in options.steps or ():
        if options.case in {"choose", "round"}:
            check_choosing(step)
            continue
        store = STORE_STEPS[1:] if options.prefilled else STORE_STEPS
        known = store if options.case == "store" else ("embed",)
        if step not in known:
            raise UnknownNameError(f"step of {options.case}", step, known)


def main() -> None:
    """Read the arguments, run, write."""
    if sys.argv[1:2] == ["step"]:
        sys.stdout.write(json.dumps(do(json.loads(sys.argv[2]))) + "\n")
        return
    options = arguments()
    if options.case == "report":
        from machine import machine  # noqa: PLC0415 - imports torch

        report(f"`python benchmarks/scale.py`, PostgreSQL, on {machine(PACKAGES)}")
    elif options.case == "embed":
        measure("embed", PHOTOGRAPHS, 1280, options)
    else:
        for images in options.images:
            measure(options.case, images, 0 if options.case == "store" else options.width, options)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
    main()
