"""Compare settings of the prototypes on parts of the pools, without a test image.

    python experiments/features-grid/split.py caltech101 features/caltech101 --out tables-val --validation
    python experiments/features-grid/heads.py caltech101,flowers --tables tables-val --seeds 3

Every setting is fitted to the same labels, drawn at random or chosen by `centroids`. The table has the mean
accuracy of the first setting, and the mean difference of the others from it, in points.
"""

import argparse
import csv
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minimax_al.acquisition import centroids
from minimax_al.data import load_dataset
from minimax_al.training import HeadSettings
from minimax_al.training.heads.probe import fit_probe
from minimax_al.training.heads.prototypes import Labels, fit_prototypes

MEANS: dict[str, Any] = {"refinements": 0, "pull": 0.1}
SETTINGS: dict[str, dict[str, Any]] = {
    "means": MEANS,
    "entropy 0.03": MEANS | {"entropy_weights": (0.03,)},
    "entropy 0.1": MEANS | {"entropy_weights": (0.1,)},
    "entropy by cross-validation": MEANS | {"entropy_weights": (0.0, 0.03, 0.1)},
    "temperature 0.05": MEANS | {"temperatures": (0.05,)},
    "temperature 0.1": MEANS | {"temperatures": (0.1,)},
    "temperature 0.2": MEANS | {"temperatures": (0.2,)},
    "pull 0.03": MEANS | {"pull": 0.03},
    "pull 1": MEANS | {"pull": 1.0},
    "linear probe": {"kind": "linear"},
    "refined": {"refinements": 1, "pull": 0.1},
    "refined, pull 0.01": {"refinements": 1, "pull": 0.01},
    "refined, pull 0.003": {"refinements": 1, "pull": 0.003},
    "refined twice, pull 0.01": {"refinements": 2, "pull": 0.01},
}
PER_CLASS = {"caltech101": (1, 3, 6), "cifar100": (1, 5, 10)}
MOST_UNLABELLED = 1000


def main() -> None:
    """Fit all settings and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets")
    parser.add_argument("--tables", type=Path, default=Path("tables-val"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("heads.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: defaultdict[tuple[str, str, int, str], list[float]] = defaultdict(list)
    for name in options.sets.split(","):
        for seed in range(options.seeds):
            measure(options.tables / f"{name}.parquet", name, seed, found)
    rows = rows_of(found)
    with options.out.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def measure(table: Path, name: str, seed: int, found: dict[tuple[str, str, int, str], list[float]]) -> None:
    """Add the accuracies of all settings on the labels of one seed."""
    dataset = load_dataset("features", table)
    centre = dataset.train[:].double().mean(dim=0)
    pool, test = dataset.train[:].double() - centre, dataset.test[:].double() - centre
    for start in ("random", "centroids"):
        for per_class in PER_CLASS.get(name, (1, 5, 20)):
            count = min(per_class * dataset.num_classes, len(pool) - 1)
            labelled = chosen(pool, start, count, seed)
            if len(dataset.train_targets[labelled].unique()) < 2:
                continue
            left = torch.ones(len(pool), dtype=torch.bool)
            left[labelled] = False
            rows = left.nonzero().flatten()
            rows = rows[torch.linspace(0, len(rows) - 1, min(MOST_UNLABELLED, len(rows))).round().long()]
            for setting, values in SETTINGS.items():
                settings, folds = HeadSettings(**values), torch.Generator().manual_seed(seed)
                labels = Labels.of(pool[labelled], dataset.train_targets[labelled], dataset.num_classes, settings)
                linear = settings.kind == "linear"
                head = (
                    fit_probe(labels, settings, folds)
                    if linear
                    else fit_prototypes(labels, settings, folds, pool[rows])
                )
                with torch.no_grad():
                    right = head.double()(test).argmax(dim=1) == dataset.test_targets
                found[name, start, per_class, setting].append(100 * float(right.double().mean()))


def chosen(pool: Tensor, start: str, count: int, seed: int) -> Tensor:
    """Return the labelled rows, shape (count,) int64."""
    generator = torch.Generator().manual_seed(seed)
    if start == "random":
        return torch.randperm(len(pool), generator=generator)[:count]
    return centroids(torch.nn.functional.normalize(pool).float(), count, generator=generator)


def rows_of(found: dict[tuple[str, str, int, str], list[float]]) -> list[dict[str, object]]:
    """Return one row per data set, start and number of labels."""
    first = next(iter(SETTINGS))
    rows: list[dict[str, object]] = []
    for name, start, per_class in dict.fromkeys(key[:3] for key in found):
        base = found[name, start, per_class, first]
        row: dict[str, object] = {"dataset": name, "start": start, "labels_per_class": per_class, "seeds": len(base)}
        row[first] = f"{statistics.fmean(base):.2f}"
        for setting in list(SETTINGS)[1:]:
            values = found[name, start, per_class, setting]
            row[setting] = f"{statistics.fmean(values) - statistics.fmean(base):+.2f}"
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
