"""What strategies picked, as thumbnails with the scores that decided."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from minimax_al.benchmark.grid import Cell
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.results import RoundResult, read_scores
from minimax_al.data import Dataset
from minimax_al.report import PickedRound, Picture, thumbnail

PICTURES_A_ROUND = 40
PICTURES_A_PAGE = 4000


def picked_rounds(
    dataset: Dataset, protocol: Protocol, out: Path, rounds: Mapping[Cell, list[RoundResult]]
) -> list[PickedRound]:
    """The picks of every round with a query; of the first seed alone where all would make too long a page.

    Args:
        dataset: as the protocol loads it, before any imbalance.
        protocol: of the results.
        out: results folder.
        rounds: finished rounds by cell.
    """
    shown = min(protocol.step, PICTURES_A_ROUND)
    total = shown * sum(bool(result.picks) for results in rounds.values() for result in results)
    seeds = {cell.seed for cell in rounds} if total <= PICTURES_A_PAGE else {min(cell.seed for cell in rounds)}
    return [
        picked
        for cell, results in sorted(rounds.items(), key=lambda item: protocol.strategies.index(item[0].strategy))
        if cell.seed in seeds
        for picked in _of_cell(protocol.dataset_for(dataset, cell.seed), cell, out, results)
    ]


def _of_cell(dataset: Dataset, cell: Cell, out: Path, results: list[RoundResult]) -> Iterator[PickedRound]:
    for result in results:
        if not result.picks:
            continue
        indices = torch.tensor(result.picks[:PICTURES_A_ROUND], dtype=torch.int64)
        candidates, scores = read_scores(cell.folder(out), result.round)
        positions = torch.searchsorted(candidates, indices)
        pixels = next(iter(dataset.train.stream([indices]))).cpu()
        pictures = [
            _picture(
                dataset, int(index), pixels[row], {name: values[positions[row]] for name, values in scores.items()}
            )
            for row, index in enumerate(indices)
        ]
        yield PickedRound(
            cell.strategy,
            cell.seed,
            result.round,
            result.labels + len(result.picks),
            pictures,
            len(result.picks) - len(pictures),
        )


def _picture(dataset: Dataset, index: int, pixels: Tensor, scores: Mapping[str, Tensor]) -> Picture:
    """One pick: its class (where it has one), what the model took it for, and its scores."""
    source = thumbnail(pixels.permute(1, 2, 0).numpy())
    title = dataset.class_names[int(dataset.train_targets[index])] if dataset.task == "classification" else ""
    values = [(name.replace("_", " "), _shown(dataset, name, value)) for name, value in scores.items()]
    return Picture(source, dataset.train.names[index], title, values)


def _shown(dataset: Dataset, name: str, value: Tensor) -> str:
    if name == "predicted":
        return dataset.class_names[int(value)]
    if name.endswith("_rank"):
        return f"{int(value) + 1}"
    return f"{float(value):.2f}"
