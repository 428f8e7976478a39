"""Compare heads under imbalance, on parts of the pools, without a test image.

    python experiments/features-grid/split.py xray features/xray --out tables-val --validation
    python experiments/features-grid/imbalance.py xray,mixed-0,even-0 --tables tables-val --cifar cifar100.parquet

Next to data sets there are samples of CIFAR-100, drawn anew for each number: `mixed` has ten classes of 200 to 8
images, `one-large` one class that joins ten of CIFAR-100 (71 %) and five small ones, `even` ten equal classes.
Labels are random, chosen by `centroids`, or half by `centroids` and half by `margin`. All heads learn from the same
labels. One row per head, with accuracy and balanced accuracy in percent, and the origin and prior that were chosen.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from minimax_al.acquisition import centroids, margin
from minimax_al.data import Dataset, load_dataset
from minimax_al.networks import l2_normalise
from minimax_al.training import HeadSettings
from minimax_al.training.heads.probe import fit_probe
from minimax_al.training.heads.prototypes import Labels, fit_prototypes, with_choices_of

FORMER: dict[str, Any] = {"origins": ("pool_mean",), "class_priors": ("uniform",)}
HEADS: dict[str, dict[str, Any]] = {
    "former": FORMER,
    "default": {},
    "uniform prior": {"class_priors": ("uniform",)},
    "always class means": {"origins": ("class_means",), "class_priors": ("uniform",)},
    "always class means and prior": {"origins": ("class_means",), "class_priors": ("pool",)},
    "linear probe": {"kind": "linear"},
}
SAMPLES: dict[str, tuple[tuple[int, int], ...]] = {  # classes of CIFAR-100 that join, images of each
    "mixed": tuple((1, count) for count in (200, 160, 110, 80, 50, 35, 25, 15, 10, 8)),
    "one-large": ((10, 80), (1, 100), (1, 80), (1, 60), (1, 50), (1, 30)),
    "even": ((1, 200),) * 10,
}
PER_CLASS = {"caltech101": (3, 6), "gtsrb": (1, 5), "xray": (6, 20)}
COLUMNS = ("dataset", "labels", "kind", "seed", "head", "accuracy", "balanced_accuracy", "origin", "prior")
MOST_UNLABELLED, MOST_IMAGES = 1000, 2000


class Split(NamedTuple):
    """Pool and validation images of a data set, centred, in float64."""

    pool: Tensor
    targets: Tensor
    test: Tensor
    test_targets: Tensor
    classes: int


def main() -> None:
    """Write a row per data set, labels, seed and head."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets")
    parser.add_argument("--tables", type=Path, default=Path("tables-val"))
    parser.add_argument("--cifar", type=Path, help="features of CIFAR-100")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--kinds", default="random,centroids,margin")
    parser.add_argument("--heads", default=",".join(HEADS))
    parser.add_argument("--labels", help="numbers of labels, instead of 3 and 10 per class")
    parser.add_argument("--out", type=Path, default=Path("imbalance.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    is_new = not options.out.exists()
    with options.out.open("a", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        if is_new:
            table.writerow(COLUMNS)
        for name in options.sets.split(","):
            split = split_of(name, options.tables, options.cifar)
            default = [each * split.classes for each in PER_CLASS.get(name, (3, 10))]
            counts = [int(each) for each in options.labels.split(",")] if options.labels else default
            for seed in map(int, options.seeds.split(",")):
                for kind in options.kinds.split(","):
                    for count in counts:
                        for row in rows_of(
                            split, kind, min(count, len(split.pool) - 1), seed, options.heads.split(",")
                        ):
                            table.writerow([name, count, kind, seed, *row])
                            file.flush()


def split_of(name: str, tables: Path, cifar: Path | None) -> Split:
    """Return a data set, or a sample of CIFAR-100 by its name and number."""
    base, _, number = name.rpartition("-")
    if base not in SAMPLES:
        dataset = load_dataset("features", tables / f"{name}.parquet")
        order = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(0))[:MOST_IMAGES]
        pool, targets = dataset.train[order].double(), dataset.train_targets[order]
        test, test_targets = dataset.test[:].double()[:MOST_IMAGES], dataset.test_targets[:MOST_IMAGES]
    else:
        assert cifar is not None, "--cifar has the features that samples are drawn from"
        dataset = load_dataset("features", cifar)
        train, held, names, held_names = drawn(dataset, SAMPLES[base], int(number))
        pool, targets, test, test_targets = (
            dataset.train[train].double(),
            names,
            dataset.train[held].double(),
            held_names,
        )
    centre = pool.mean(dim=0)
    classes = int(max(targets.max(), test_targets.max())) + 1
    return Split(pool - centre, targets, test - centre, test_targets, classes)


def drawn(dataset: Dataset, sample: Sequence[tuple[int, int]], seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw images of a sample: two thirds for the pool, the rest for validation; and the new class of each."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randperm(dataset.num_classes, generator=generator).tolist()
    parts: tuple[list[Tensor], list[Tensor], list[int], list[int]] = ([], [], [], [])
    for label, (joined, count) in enumerate(sample):
        for _ in range(joined):
            rows = (dataset.train_targets == classes.pop()).nonzero().flatten()
            rows = rows[torch.randperm(len(rows), generator=generator)][:count]
            first = round(len(rows) * 2 / 3)
            for part, (which, labels) in zip((rows[:first], rows[first:]), (parts[::2], parts[1::2]), strict=True):
                which.append(part)  # type: ignore[arg-type]
                labels.extend([label] * len(part))  # type: ignore[arg-type]
    return torch.cat(parts[0]), torch.cat(parts[1]), torch.tensor(parts[2]), torch.tensor(parts[3])


def rows_of(split: Split, kind: str, count: int, seed: int, heads: Sequence[str]) -> Iterator[list[object]]:
    """Yield head, accuracy, balanced accuracy, origin and prior of every head."""
    labelled = chosen(split, kind, count, seed)
    if len(split.targets[labelled].unique()) < 2:
        return
    for name in heads:
        head = fitted(split, labelled, HeadSettings(**HEADS[name]), seed)
        with torch.no_grad():
            right = (head(split.test).argmax(dim=1) == split.test_targets).double()
        by_class = [float(right[split.test_targets == label].mean()) for label in split.test_targets.unique().tolist()]
        choice = with_choices_of(HeadSettings(), head)
        shown = ["", ""] if "linear" in name else [choice.origins[0], choice.class_priors[0]]
        yield [name, f"{100 * float(right.mean()):.2f}", f"{100 * sum(by_class) / len(by_class):.2f}", *shown]


def fitted(split: Split, labelled: Tensor, settings: HeadSettings, seed: int) -> nn.Module:
    """Return a head of the labels, in float64."""
    labels = Labels.of(split.pool[labelled], split.targets[labelled], split.classes, settings)
    folds = torch.Generator().manual_seed(seed)
    if settings.kind == "linear":
        return fit_probe(labels, settings, folds).double()
    rows = unlabelled(len(split.pool), labelled)
    rows = rows[torch.linspace(0, len(rows) - 1, min(MOST_UNLABELLED, len(rows))).round().long()]
    return fit_prototypes(labels, settings, folds, split.pool[rows]).double()


def chosen(split: Split, kind: str, count: int, seed: int) -> Tensor:
    """Return the labelled rows, shape (count,) int64."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "random":
        return torch.randperm(len(split.pool), generator=generator)[:count]
    unit = l2_normalise(split.pool).float()
    if kind == "centroids":
        return centroids(unit, count, generator=generator)
    labelled = centroids(unit, count - count // 2, generator=generator)
    rows = unlabelled(len(split.pool), labelled)
    if len(split.targets[labelled].unique()) < 2:
        return torch.cat([labelled, rows[torch.randperm(len(rows), generator=generator)[: count // 2]]])
    head = fitted(split, labelled, HeadSettings(**FORMER), seed)
    with torch.no_grad():
        margins = margin(head(split.pool[rows]).float())
    return torch.cat([labelled, rows[margins.argsort(stable=True)[: count // 2]]])


def unlabelled(count: int, labelled: Tensor) -> Tensor:
    """Return the rows without a label, ascending."""
    left = torch.ones(count, dtype=torch.bool)
    left[labelled] = False
    return left.nonzero().flatten()


if __name__ == "__main__":
    main()
