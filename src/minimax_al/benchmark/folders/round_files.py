"""Files of a cell: every finished round, written so that a crash leaves it whole or absent.

round-0.scores.safetensors   candidates of the query and their scores
round-0.model.safetensors    M as it was evaluated
round-0.networks.safetensors F, C, D and M, where the next round starts from them (`carry_over`)
round-0.predictions.safetensors  M's predictions on the test images (classification only)
round-0.json                 labels, metrics, picks, seconds; written last, so that its presence means a whole round
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import save
from torch import Tensor, nn

from minimax_al.benchmark.protocol import Protocol
from minimax_al.deployment.model_file import save_model
from minimax_al.deployment.trained import Trained
from minimax_al.durable import write_durably
from minimax_al.errors import CheckpointError, ResultsError
from minimax_al.strategies import Query
from minimax_al.training.checkpoint import check_tensors, read_tensors, save_checkpoint

logger = logging.getLogger(__name__)

_KEPT = {torch.int64: torch.int32, torch.float64: torch.float32}
"""Smaller dtypes in which predictions are kept."""


@dataclass(frozen=True)
class RoundResult:
    """One finished round.

    Attributes:
        round: Round number, from 0.
        labels: Number of labelled images that the models were trained on.
        metrics: Metrics by name, fractions in [0, 1].
        per_class: M's accuracy (segmentation: IoU) on each class, K values; None for a class without test images.
        class_counts: Labelled images (segmentation: images that show the class) per class, K values.
        picks: Indices of the picked images, in pick order; empty in the last round.
        seconds: Wall-clock seconds of `train`, `evaluate` and `query`.
        losses: Mean losses of the last epoch, by training.
        steps: Number of optimisation steps; 0 for a model that is solved without steps.
        images_seen: Number of images that these steps saw; each view of an image counts.
        conditions: Device, precision, threads and processor of the computation; empty in results of older versions.
    """

    round: int
    labels: int
    metrics: dict[str, float]
    per_class: list[float | None]
    class_counts: list[int]
    picks: list[int]
    seconds: dict[str, float]
    losses: dict[str, dict[str, float]] = field(default_factory=dict)
    steps: int = 0
    images_seen: int = 0
    conditions: dict[str, str | int] = field(default_factory=dict)


def model_path(folder: Path, number: int) -> Path:
    """Return the file of a round's M.

    Args:
        folder: Folder of the cell.
        number: Round number.
    """
    return folder / f"round-{number}.model.safetensors"


def training_facts(strategy: str, seed: int, result: RoundResult, test_targets: Tensor) -> dict[str, Any]:
    """Return the facts of a round's training that its model keeps, ready for JSON.

    Args:
        strategy: Strategy name.
        seed: Seed of the run.
        result: Finished round.
        test_targets: Targets of the test images: classes, shape (N,), or masks, shape (N, H, W).
    """
    facts = {
        "strategy": strategy,
        "seed": seed,
        "round": result.round,
        "labels": result.labels,
        "test_images": len(test_targets),
        "metrics": result.metrics,
        "per_class": result.per_class,
    }
    if test_targets.ndim == 1:
        tested = torch.bincount(test_targets, minlength=len(result.class_counts)).tolist()
        facts["per_class_counts"] = [list(pair) for pair in zip(result.class_counts, tested, strict=True)]
    return facts


def write_round(
    folder: Path,
    result: RoundResult,
    *,
    query: Query | None,
    views: Mapping[str, Tensor],
    trained: Trained,
    predictions: Mapping[str, Tensor],
    carried: Mapping[str, nn.Module],
) -> None:
    """Write a finished round; the JSON file comes last.

    Args:
        folder: Folder of the cell.
        result: Metrics and picks.
        query: Scores of the candidates; None in the last round.
        views: Per-pixel tensors of the first picks; empty in classification.
        trained: M of the round.
        predictions: Targets, predicted classes and confidences of the test images; empty in segmentation.
        carried: Networks by name that the next round starts from; empty where each round starts anew.
    """
    stem = f"round-{result.round}"
    if query is not None:
        scores = {"candidates": query.candidates, **query.scores}
        content = save({name: values.contiguous() for name, values in scores.items()})
        write_durably(folder / f"{stem}.scores.safetensors", content)
    if views:
        write_durably(folder / f"{stem}.views.safetensors", save(dict(views)))
    if predictions:
        small = {name: values.to(_KEPT.get(values.dtype, values.dtype)) for name, values in predictions.items()}
        write_durably(folder / f"{stem}.predictions.safetensors", save(small))
    save_model(model_path(folder, result.round), trained)
    if carried:
        save_checkpoint(folder / f"{stem}.networks.safetensors", carried)
    write_durably(folder / f"{stem}.json", json.dumps(asdict(result), indent=1).encode())


def read_rounds(folder: Path, protocol: Protocol) -> list[RoundResult]:
    """Read the finished rounds of a cell, in order.

    A damaged round ends the list, and a warning names it.

    Args:
        folder: Folder of the cell.
        protocol: Protocol of the rounds.
    """
    results: list[RoundResult] = []
    while (path := folder / f"round-{len(results)}.json").exists():
        try:
            results.append(_read_round(path, len(results), protocol))
        except (ResultsError, CheckpointError) as error:
            logger.warning("%s; round %d of %r and all after it must be run again", error, len(results), str(folder))
            break
    return results


def resume_rounds(folder: Path, protocol: Protocol) -> list[RoundResult]:
    """Read the finished rounds of a cell that is about to resume; rename the files of later rounds.

    A round after a damaged or missing one must not count again once that one has been repeated.

    Args:
        folder: Folder of the cell, locked by this process.
        protocol: Protocol of the rounds.

    Raises:
        ResultsError: A file cannot be renamed.
    """
    results = read_rounds(folder, protocol)
    # The last one first: wherever this is interrupted, the next call finds the same finished rounds.
    for number in reversed(range(len(results), protocol.points)):
        path = folder / f"round-{number}.json"
        try:
            if path.exists():
                path.replace(path.with_suffix(".damaged"))
        except OSError as error:
            raise ResultsError(f"file {str(path)!r} cannot be renamed ({error.strerror})") from error
    return results


def read_scores(folder: Path, number: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Read the candidates of a finished round's query, shape (U,), and their scores by name, each shape (U,).

    Raises:
        CheckpointError: The file is damaged or missing.
    """
    tensors, _ = read_tensors(folder / f"round-{number}.scores.safetensors")
    return tensors.pop("candidates"), tensors


def read_views(folder: Path, number: int) -> dict[str, Tensor]:
    """Read the per-pixel tensors of the first picks of a finished round.

    Raises:
        CheckpointError: The file is damaged or missing.
    """
    return read_tensors(folder / f"round-{number}.views.safetensors")[0]


def read_predictions(folder: Path, number: int) -> dict[str, Tensor]:
    """Read `target`, `predicted` and `confidence` of the test images in a finished round, each of shape (N,).

    Raises:
        CheckpointError: The file is damaged or missing.
    """
    return read_tensors(folder / f"round-{number}.predictions.safetensors")[0]


def read_networks(folder: Path, number: int) -> dict[str, dict[str, Tensor]]:
    """Read the weights of all networks of a finished round, by network and name.

    Raises:
        CheckpointError: The file is damaged or missing.
    """
    found: dict[str, dict[str, Tensor]] = {}
    for key, value in read_tensors(folder / f"round-{number}.networks.safetensors")[0].items():
        _, name, part = key.split("/", 2)
        found.setdefault(name, {})[part] = value
    return found


def _read_round(path: Path, number: int, protocol: Protocol) -> RoundResult:
    try:
        result = TypeAdapter(RoundResult).validate_json(path.read_bytes(), strict=True)
    except (ValidationError, OSError) as error:
        raise ResultsError(f"round file {str(path)!r} is damaged") from error
    is_last = number + 1 == protocol.points
    expected = (number, protocol.start + number * protocol.step, 0 if is_last else protocol.step)
    if (result.round, result.labels, len(result.picks)) != expected:
        raise ResultsError(f"round file {str(path)!r} belongs to another round or protocol")
    for kind in ("model",) if is_last else ("model", "scores"):
        check_tensors(path.with_suffix(f".{kind}.safetensors"))
    return result
