"""The files of a cell: every finished round, written so that a crash leaves it whole or absent.

round-0.scores.safetensors   candidates of the query and their scores
round-0.model.safetensors    M as it was evaluated
round-0.json                 labels, metrics, picks, seconds; written last, it makes the round count
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from safetensors.torch import save
from torch import Tensor

from minimax_al.benchmark.protocol import Protocol
from minimax_al.durable import write_durably
from minimax_al.errors import CheckpointError, ResultsError
from minimax_al.strategies import Query
from minimax_al.training import Models
from minimax_al.training.checkpoint import check_tensors, read_tensors, save_checkpoint

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RoundResult:
    """One finished round.

    Attributes:
        round: from 0.
        labels: labelled images that this round's models were trained on.
        metrics: fractions in [0, 1], by name.
        per_class: M's accuracy (segmentation: IoU) of each class on the test images; None where there are none.
        class_counts: labelled images (segmentation: with any pixel) of each class.
        picks: indices chosen at the end of the round, in pick order; empty in the last round.
        seconds: wall time of `train`, `evaluate` and `query`.
        losses: the last epoch's mean losses, by training.
    """

    round: int
    labels: int
    metrics: dict[str, float]
    per_class: list[float | None]
    class_counts: list[int]
    picks: list[int]
    seconds: dict[str, float]
    losses: dict[str, dict[str, float]] = field(default_factory=dict)


def write_round(
    folder: Path, result: RoundResult, *, query: Query | None, views: Mapping[str, Tensor], models: Models
) -> None:
    """Write a finished round; the JSON file last.

    Args:
        folder: of the cell.
        result: metrics and picks.
        query: with the scores; None in the last round.
        views: per-pixel tensors of the first picks; empty in classification.
        models: whose task model is kept.
    """
    stem = f"round-{result.round}"
    if query is not None:
        scores = {"candidates": query.candidates, **query.scores}
        content = save({name: values.contiguous() for name, values in scores.items()})
        write_durably(folder / f"{stem}.scores.safetensors", content)
    if views:
        write_durably(folder / f"{stem}.views.safetensors", save(dict(views)))
    save_checkpoint(folder / f"{stem}.model.safetensors", {"task_model": models.task_model})
    write_durably(folder / f"{stem}.json", json.dumps(asdict(result), indent=1).encode())


def read_rounds(folder: Path, protocol: Protocol) -> list[RoundResult]:
    """The finished rounds of a cell, in order.

    A damaged round ends the list, and a warning says so.

    Args:
        folder: of the cell.
        protocol: that the rounds were run under.
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
    """The finished rounds of a cell that is about to go on; files of rounds after these are renamed.

    A round after a damaged or an absent one must not count again when that one has been run anew.

    Args:
        folder: of the cell, in our hands.
        protocol: that the rounds were run under.

    Raises:
        ResultsError: a file cannot be renamed.
    """
    results = read_rounds(folder, protocol)
    # The last first: wherever this is interrupted, the next call finds the same rounds to be finished.
    for number in reversed(range(len(results), protocol.points)):
        path = folder / f"round-{number}.json"
        try:
            if path.exists():
                path.replace(path.with_suffix(".damaged"))
        except OSError as error:
            raise ResultsError(f"file {str(path)!r} cannot be renamed ({error.strerror})") from error
    return results


def read_scores(folder: Path, number: int) -> tuple[Tensor, dict[str, Tensor]]:
    """The candidates (U,) of a finished round's query and their scores by name, each (U,).

    Raises:
        CheckpointError: the file is damaged or absent.
    """
    tensors, _ = read_tensors(folder / f"round-{number}.scores.safetensors")
    return tensors.pop("candidates"), tensors


def read_views(folder: Path, number: int) -> dict[str, Tensor]:
    """The per-pixel tensors of the first picks of a finished round.

    Raises:
        CheckpointError: the file is damaged or absent.
    """
    return read_tensors(folder / f"round-{number}.views.safetensors")[0]


def _read_round(path: Path, number: int, protocol: Protocol) -> RoundResult:
    try:
        result = TypeAdapter(RoundResult).validate_json(path.read_bytes(), strict=True)
    except (ValidationError, OSError) as error:
        raise ResultsError(f"round file {str(path)!r} is damaged") from error
    is_last = number + 1 == protocol.points
    expected = (number, protocol.start + number * protocol.step, 0 if is_last else protocol.step)
    if (result.round, result.labels, len(result.picks)) != expected:
        raise ResultsError(f"round file {str(path)!r} is of another round or protocol")
    for kind in ("model",) if is_last else ("model", "scores"):
        check_tensors(path.with_suffix(f".{kind}.safetensors"))
    return result
