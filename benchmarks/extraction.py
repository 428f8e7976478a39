"""Extraction of features compared with its bare parts on the same images, in one run.

    python benchmarks/extraction.py FOLDER
    python benchmarks/extraction.py FOLDER --images 600 --size 160 --turns 3

Contestants take turns on the same images:

    decode      read, decode, resize and crop, one thread per core
    forward     the network on those pixels, operators on all cores, batches of 64
    side        the network on those pixels, one thread per core side by side, batches of 16
    ours        `embed_folder` into a new store: hashes, decoding, forward passes, writing

The bare parts compete for the same cores, so their times add up. `ratio` is ours by decode plus the faster of the two
forward passes, in the same turn; the median over turns counts. On a shared machine the ratio of CPU seconds is the
steadier one.
"""

import argparse
import csv
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from machine import machine

from minimax_al.data import read_image
from minimax_al.data.locations.scan import list_files, why_not
from minimax_al.networks import PretrainedEncoder, best_encoder, pretrained_encoder
from minimax_al.training import ImageFile, Runtime, RuntimeSettings, extract_features

PACKAGES = ("torch", "timm", "pillow")
RESULTS = Path(__file__).parent / "results"
COLUMNS = ("contestant", "images", "size", "wall_seconds", "cpu_seconds", "images_per_second")


class Stage:
    """Images, encoder and threads that all contestants share."""

    def __init__(self, files: list[Path], encoder: PretrainedEncoder, folder: Path) -> None:
        self.files = files
        self.encoder = encoder
        self.folder = folder
        self.threads = torch.get_num_threads()
        self.network = encoder.network.to(memory_format=torch.channels_last)
        self.pixels = np.stack([self._pixels(path) for path in files])
        self.stores = 0

    def _pixels(self, path: Path) -> np.ndarray:
        preprocessing = self.encoder.preprocessing
        return preprocessing.pixels(read_image(path, preprocessing.decoded_side))

    def decode(self) -> None:
        """Decode every image, one thread per core."""
        with ThreadPoolExecutor(self.threads) as pool:
            for _ in pool.map(self._pixels, self.files):
                pass

    def forward(self) -> None:
        """Run the network with operators that share the cores."""
        for start in range(0, len(self.pixels), 64):
            self._run(self.pixels[start : start + 64])

    def side(self) -> None:
        """Run the network in one thread per core."""
        batches = [self.pixels[start : start + 16] for start in range(0, len(self.pixels), 16)]
        with ThreadPoolExecutor(self.threads, initializer=lambda: torch.set_num_threads(1)) as pool:
            for _ in pool.map(self._run, batches):
                pass
        torch.set_num_threads(self.threads)

    def ours(self) -> None:
        """Extract the features into a new store."""
        self.stores += 1
        files = [ImageFile(path, path.name) for path in self.files]
        runtime = Runtime(RuntimeSettings(device="cpu", precision="fp32"))
        found = extract_features(files, self.folder / str(self.stores), self.encoder, runtime=runtime)
        assert found.computed > 0

    def _run(self, pixels: np.ndarray) -> None:
        with torch.inference_mode():
            self.network(self.encoder.preprocessing.normalise(torch.from_numpy(pixels)))


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Return wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--size", type=int)
    parser.add_argument("--encoder", default=best_encoder(fetch=False))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    names = (name for name in list_files(given.folder) if why_not(given.folder / name, name) is None)
    files = [given.folder / name for name in islice(names, given.images)]
    encoder = pretrained_encoder(given.encoder, overrides={"size": given.size} if given.size else None)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(files, encoder, Path(folder))
        contestants = {"decode": stage.decode, "forward": stage.forward, "side": stage.side, "ours": stage.ours}
        stage.side()  # the first pass compiles kernels
        turns = [{name: timed(work) for name, work in contestants.items()} for _ in range(given.turns)]
    write(given.out, turns, len(files), encoder, stage.threads)


def write(
    out: Path, turns: list[dict[str, tuple[float, float]]], images: int, encoder: PretrainedEncoder, threads: int
) -> None:
    """Write `extraction.csv` and `extraction.md`, and print the latter."""
    out.mkdir(parents=True, exist_ok=True)
    size = encoder.preprocessing.size
    medians = {name: [statistics.median(turn[name][clock] for turn in turns) for clock in (0, 1)] for name in turns[0]}
    rows = [
        (name, images, size, round(wall, 2), round(cpu, 2), round(images / wall, 1))
        for name, (wall, cpu) in medians.items()
    ]
    with (out / "extraction.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    ratios = [
        [
            turn["ours"][clock] / (turn["decode"][clock] + min(turn["forward"][clock], turn["side"][clock]))
            for turn in turns
        ]
        for clock in (0, 1)
    ]
    spread = [f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})" for each in ratios]
    lines = [
        "# Extraction of features, and its bare parts on the same images",
        "",
        f"{encoder.network.name} at {size} pixels, {images} images, {threads} threads, {len(turns)} turns; "
        + machine(PACKAGES),
        "",
        "| contestant | wall s | CPU s | images/s |",
        "|---|--:|--:|--:|",
        *(f"| {name} | {wall} | {cpu} | {rate} |" for name, _, _, wall, cpu, rate in rows),
        "",
        f"Ours by decode plus the faster forward pass: wall {spread[0]}, CPU seconds {spread[1]}.",
        "",
        f"    {' '.join(['python', 'benchmarks/extraction.py', *sys.argv[1:]])}",
    ]
    text = "\n".join(lines) + "\n"
    (out / "extraction.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
