"""Reference of a benchmark: M trained on all labels, once per seed."""

import json
from pathlib import Path

from minimax_al.benchmark.folders.conditions import Conditions
from minimax_al.benchmark.folders.round_files import read_rounds
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.runs.cell import ProgressCallback, run_cell
from minimax_al.data import Dataset

STRATEGY = "random"
"""Strategy whose supervised training the reference uses; nothing is queried."""


def run_full_labels(
    protocol: Protocol,
    out: Path,
    dataset: Dataset,
    conditions: Conditions,
    *,
    on_progress: ProgressCallback | None = None,
) -> None:
    """Train and evaluate M on all labels under every seed; finished seeds are kept.

    Args:
        protocol: Protocol of the benchmark.
        out: Results folder.
        dataset: Data set, as `protocol.load()` returns it.
        conditions: Conditions to compute under.
        on_progress: Callback for the progress of the training.
    """
    for seed in range(protocol.seeds):
        labels = len(protocol.dataset_for(dataset, seed).train)
        run_cell(
            _with_all_labels(protocol, labels),
            dataset,
            STRATEGY,
            seed,
            _folder(out, seed),
            conditions=conditions,
            on_progress=on_progress,
        )


def read_full_labels(protocol: Protocol, out: Path, metric: str) -> list[float]:
    """Return a metric of the models trained on all labels, one value per finished seed.

    Args:
        protocol: Protocol of the benchmark.
        out: Results folder.
        metric: Metric name.
    """
    found = []
    for seed in range(protocol.seeds):
        path = _folder(out, seed)
        for labels in _recorded_labels(path):
            rounds = read_rounds(path, _with_all_labels(protocol, labels))
            found += [result.metrics[metric] for result in rounds if metric in result.metrics]
    return found


def _folder(out: Path, seed: int) -> Path:
    return out / "full-labels" / f"seed-{seed}"


def _with_all_labels(protocol: Protocol, labels: int) -> Protocol:
    changes = {"start": labels, "points": 1, "initial": "random", "strategies": (STRATEGY,)}
    return protocol.model_copy(update=changes)


def _recorded_labels(folder: Path) -> list[int]:
    """Return the number of labels of a finished reference, as a list of at most one."""
    try:
        return [int(json.loads((folder / "round-0.json").read_text(encoding="utf-8"))["labels"])]
    except (OSError, ValueError, KeyError, TypeError):
        return []
