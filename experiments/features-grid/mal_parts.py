"""Split MAL on features into its parts: trainings from the same labels, and choices from one trained model.

    python experiments/features-grid/mal_parts.py textures,caltech101 --tables tables --out mal_parts.csv

*Training*: F, C and M learn from labels chosen by `centroids`; adapter, λ, rates and the sign of C's entropy vary. The
accuracy is that of M on the test images; `head alone` trains no adapter, and `equal work` takes as many steps of
cross-entropy alone. *Choice*: every reading of Algorithm 2 chooses from one model of MAL's training, next to either of
its two conditions and to strategies that need no such training. The accuracy is that of a head alone on the labels and
these picks. `tables.py training` and `tables.py choice` print the differences.
"""

import argparse
import csv
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch
from tables import read_parts
from torch import Tensor

from minimax_al import ActiveLearner
from minimax_al.data import Dataset, load_dataset
from minimax_al.strategies import get_strategy
from minimax_al.training import Recipe, RuntimeSettings, evaluate, fit_minimax

LABELS = {"textures": (30, 50), "caltech101": (202, 101), "flowers": (20, 30), "gtsrb": (129, 86), "trash": (24, 36)}
"""Labels, and images to choose."""

HEAD = "head alone"
EQUAL = "equal work"
TRAININGS: dict[str, tuple[dict[str, Any], str]] = {
    EQUAL: ({"entropy_weight": 0.0}, "linear"),
    "λ 0.03": ({"entropy_weight": 0.03}, "linear"),
    "λ 0.1": ({}, "linear"),
    "λ 0.3": ({"entropy_weight": 0.3}, "linear"),
    "λ 0.1, C minimises": ({"classifier_entropy": "minimise"}, "linear"),
    "λ 0.1, equal rates": ({"classifier_rate": 1e-4}, "linear"),
    "λ 0.1, hidden layer": ({}, "hidden"),
    "equal work, hidden layer": ({"entropy_weight": 0.0}, "hidden"),
}
READINGS: dict[str, dict[str, Any]] = {
    "entropy": {"rule": "entropy"},
    "diversity": {"rule": "diversity"},
    "intersection": {},
    "threshold": {"rule": "threshold"},
    "filter": {"rule": "filter"},
    "product": {"rule": "product"},
    "union": {"rule": "union"},
    "rank_sum": {"rule": "rank_sum"},
    "D within class": {"within_class": True},
    "rank_sum, D within class": {"rule": "rank_sum", "within_class": True},
    "entropy of M": {"entropy_of": "task_model"},
    "entropy at T = 1": {"entropy_of": "untempered"},
}
PLAIN = ("random", "margin", "cluster_margin", "uherding")
"""Strategies that choose from a head alone."""


def main() -> None:
    """Write a row per data set, seed, part and setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", help="data sets, separated by commas")
    parser.add_argument("--tables", type=Path, default=Path("tables"))
    parser.add_argument("--seeds", default="0,1,2,3,4,5,6,7,8,9")
    parser.add_argument("--parts", default="choice,training")
    parser.add_argument("--out", type=Path, default=Path("mal_parts.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = {(name, seed, part) for name, seed, part, *_ in read_parts(options.out)} if options.out.exists() else set()
    with options.out.open("a", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        for name in options.sets.split(","):
            dataset = load_dataset("features", options.tables / f"{name}.parquet")
            for part, seed in product(options.parts.split(","), map(int, options.seeds.split(","))):
                if (name, seed, part) not in done:
                    rows = list(PARTS[part](dataset, name, seed))
                    table.writerows([name, seed, part, *row] for row in rows)
                    file.flush()


def trainings(dataset: Dataset, name: str, seed: int) -> Iterator[tuple[str, str]]:
    """Yield each training and the accuracy of its M in percent."""
    first = first_labels(dataset, LABELS[name][0], seed)
    yield HEAD, accuracy(taught(dataset, first, seed))
    for setting, (changes, adapter) in TRAININGS.items():
        round_ = taught(dataset, first, seed, adapter).round
        settings = round_.minimax.changed({**changes, "discriminator": False})  # D changes neither F nor C
        yield setting, f"{100 * evaluate(round_, fit_minimax(round_, settings)).metrics['accuracy']:.3f}"


def choices(dataset: Dataset, name: str, seed: int) -> Iterator[tuple[str, str]]:
    """Yield each way to choose, and the accuracy in percent of a head on the labels and the picks."""
    count, budget = LABELS[name]
    first = first_labels(dataset, count, seed)
    round_ = taught(dataset, first, seed).round
    models = fit_minimax(round_)
    for reading, values in READINGS.items():
        picks = get_strategy("mal", **values).query(round_, models, budget).indices
        yield reading, accuracy(taught(dataset, torch.cat([first, picks]), seed))
    for strategy in PLAIN:
        learner = taught(dataset, first, seed, strategy=strategy)
        learner.fit()
        picks = learner.query(budget).indices
        yield strategy, accuracy(taught(dataset, torch.cat([first, picks]), seed))


PARTS = {"training": trainings, "choice": choices}


def first_labels(dataset: Dataset, count: int, seed: int) -> Tensor:
    """Return the images that `centroids` chooses first, shape (count,)."""
    return ActiveLearner(dataset, "centroids", recipe_of("linear"), seed=seed).query(count).indices


def recipe_of(adapter: str) -> Recipe:
    """Return the recipe of the grid with an adapter."""
    return Recipe.model_validate(
        {
            "missing_classes": "warn",
            "scoring_batch_size": 2048,
            "features": {"adapter": adapter},
            "runtime": RuntimeSettings(precision="fp32", threads=1),
        }
    )


def taught(
    dataset: Dataset, indices: Tensor, seed: int, adapter: str = "linear", strategy: str = "random"
) -> ActiveLearner:
    """Return a learner with these labels."""
    learner = ActiveLearner(dataset, strategy, recipe_of(adapter), seed=seed)
    learner.teach(indices, dataset.train_targets[indices])
    return learner


def accuracy(learner: ActiveLearner) -> str:
    """Return the test accuracy of a head alone in percent."""
    learner.fit()
    return f"{100 * learner.evaluate().metrics['accuracy']:.3f}"


if __name__ == "__main__":
    main()
