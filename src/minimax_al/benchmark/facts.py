"""What a report says of a data set: kept beside the results, so that a report can be made where the data are not."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch

from minimax_al.benchmark.protocol import Protocol
from minimax_al.data import Dataset
from minimax_al.durable import write_durably
from minimax_al.errors import ResultsError

FILE = "dataset.json"


@dataclass(frozen=True)
class DatasetFacts:
    """A data set in short.

    Attributes:
        task: "classification" or "segmentation".
        class_names: one a class.
        train: number of images to choose from, before any imbalance.
        test: number of test images.
        set_aside: files that could not be used: path and reason.
        totals: training images of each class in the run of a seed; none in segmentation.
    """

    task: Literal["classification", "segmentation"]
    class_names: list[str]
    train: int
    test: int
    set_aside: list[tuple[str, str]]
    totals: dict[int, list[int]]


def facts_of(protocol: Protocol, dataset: Dataset) -> DatasetFacts:
    """The facts of a data set as the protocol loads it, for all of the protocol's seeds."""
    seeds = range(protocol.seeds) if dataset.task == "classification" else ()
    return DatasetFacts(
        dataset.task,
        list(dataset.class_names),
        len(dataset.train),
        len(dataset.test),
        [(file.path, file.reason) for file in dataset.set_aside],
        {seed: _class_totals(protocol.dataset_for(dataset, seed)) for seed in seeds},
    )


def write_facts(facts: DatasetFacts, out: Path) -> None:
    """Write the facts to a results folder."""
    write_durably(out / FILE, json.dumps(asdict(facts), ensure_ascii=False).encode())


def read_facts(out: Path) -> DatasetFacts | None:
    """The facts that a results folder keeps; None where it keeps none.

    Raises:
        ResultsError: the file is damaged.
    """
    path = out / FILE
    if not path.exists():
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        fields["totals"] = {int(seed): counts for seed, counts in fields["totals"].items()}
        fields["set_aside"] = [(file, reason) for file, reason in fields["set_aside"]]
        return DatasetFacts(**fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(f"file {str(path)!r} cannot be read ({error}); remove it, and run the benchmark") from error


def _class_totals(dataset: Dataset) -> list[int]:
    targets = dataset.train_targets
    counts: list[int] = torch.bincount(targets[targets >= 0], minlength=dataset.num_classes).tolist()
    return counts
