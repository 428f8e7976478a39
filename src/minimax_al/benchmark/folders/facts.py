"""Facts about a data set, kept next to the results, so that a report can be made where the data is missing."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import torch

from minimax_al.benchmark.folders.fingerprint import differing_parts, fingerprint_of
from minimax_al.benchmark.protocol import Protocol
from minimax_al.data import Dataset
from minimax_al.durable import write_durably
from minimax_al.errors import ResultsError

FILE = "dataset.json"


@dataclass(frozen=True)
class DatasetFacts:
    """Facts about a data set.

    Attributes:
        task: "classification" or "segmentation".
        class_names: Class names, K of them.
        train: Number of images to choose from, before any imbalance.
        test: Number of test images.
        set_aside: Unusable files: pairs of path and reason.
        totals: Training images per class, K numbers, by seed; empty in segmentation.
        fingerprint: Parts that identify the data set; empty in results of older versions.
    """

    task: Literal["classification", "segmentation"]
    class_names: list[str]
    train: int
    test: int
    set_aside: list[tuple[str, str]]
    totals: dict[int, list[int]]
    fingerprint: dict[str, str] = field(default_factory=dict)


def facts_of(protocol: Protocol, dataset: Dataset) -> DatasetFacts:
    """Return the facts about a data set as the protocol loads it, for all of the protocol's seeds."""
    seeds = range(protocol.seeds) if dataset.task == "classification" else ()
    return DatasetFacts(
        dataset.task,
        list(dataset.class_names),
        len(dataset.train),
        len(dataset.test),
        [(file.path, file.reason) for file in dataset.set_aside],
        {seed: _class_totals(protocol.dataset_for(dataset, seed)) for seed in seeds},
        fingerprint_of(dataset),
    )


def write_facts(facts: DatasetFacts, out: Path) -> None:
    """Write the facts to a results folder."""
    write_durably(out / FILE, json.dumps(asdict(facts), ensure_ascii=False).encode())


def read_facts(out: Path) -> DatasetFacts | None:
    """Read the facts of a results folder; None if it has none.

    Raises:
        ResultsError: The file is damaged.
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


def check_same_data(before: DatasetFacts | None, fingerprint: dict[str, str], out: Path) -> None:
    """Refuse another data set than the one of earlier results.

    Args:
        before: Facts of the results folder; None or without a fingerprint accepts any data set.
        fingerprint: Fingerprint of the loaded data set.
        out: Results folder.

    Raises:
        ResultsError: Parts differ; the message names them.
    """
    if before is None or not before.fingerprint:
        return
    differing = differing_parts(before.fingerprint, fingerprint)
    if differing:
        raise ResultsError(
            f"folder {str(out)!r} holds results of another data set; these parts differ: {', '.join(differing)}. "
            "Give another --out, or the same data"
        )


def _class_totals(dataset: Dataset) -> list[int]:
    targets = dataset.train_targets
    counts: list[int] = torch.bincount(targets[targets >= 0], minlength=dataset.num_classes).tolist()
    return counts
