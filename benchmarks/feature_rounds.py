"""Whole rounds on features: seconds to fit and to choose, at the size of a large pool.

    python benchmarks/feature_rounds.py [--images 100000] [--strategies dropquery,margin,badge,mal]

Features are drawn: unit class centres with noise, stored in float16 and memory-mapped. Each strategy runs one round:
fit on the labels, then a query of the budget. Prints one line per strategy and writes
benchmarks/results/feature_rounds.json.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from minimax_al.data import Dataset, Features
from minimax_al.loop import ActiveLearner
from minimax_al.training import Recipe, RuntimeSettings

RESULTS = Path(__file__).parent / "results" / "feature_rounds.json"


def draw(folder: Path, images: int, width: int, classes: int) -> Dataset:
    """Return a data set of drawn features on disk."""
    generator = np.random.default_rng(0)
    centres = np.abs(generator.normal(size=(classes, width))).astype(np.float32)
    targets = generator.integers(classes, size=images)
    stored = np.lib.format.open_memmap(folder / "pool.npy", "w+", np.float16, (images, width))
    for start in range(0, images, 10_000):
        part = targets[start : start + 10_000]
        stored[start : start + len(part)] = np.abs(centres[part] + generator.normal(size=(len(part), width)))
    stored.flush()
    pool = Features(np.load(folder / "pool.npy", mmap_mode="r"))
    names = tuple(f"class {number}" for number in range(classes))
    labels = torch.from_numpy(targets)
    return Dataset("drawn", "classification", names, pool, labels, pool.subset([]), labels[:0])


def measure(dataset: Dataset, strategy: str, labels: int, budget: int) -> dict[str, float | str]:
    """Return the seconds of one round."""
    recipe = Recipe(missing_classes="warn", scoring_batch_size=4096, runtime=RuntimeSettings(precision="fp32"))
    learner = ActiveLearner(dataset, strategy, recipe)
    first = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(0))[:labels]
    learner.teach(first, dataset.train_targets[first])
    begin, processor = time.perf_counter(), time.process_time()
    learner.fit()
    fitted = time.perf_counter()
    learner.query(budget)
    end = time.perf_counter()
    return {
        "strategy": strategy,
        "fit_seconds": round(fitted - begin, 2),
        "query_seconds": round(end - fitted, 2),
        "round_seconds": round(end - begin, 2),
        "processor_seconds": round(time.process_time() - processor, 2),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def main() -> None:
    """Measure the strategies that were named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--budget", type=int, default=500)
    parser.add_argument("--strategies", default="dropquery,margin,badge,mal")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        dataset = draw(Path(folder), options.images, options.width, options.classes)
        for strategy in options.strategies.split(","):
            rows.append(measure(dataset, strategy, options.labels, options.budget))
            sys.stdout.write(f"{rows[-1]}\n")
            sys.stdout.flush()
    where = {"threads": torch.get_num_threads(), "load_average": os.getloadavg()[0], "torch": torch.__version__}
    RESULTS.write_text(json.dumps({"sizes": vars(options), "machine": where, "rounds": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
