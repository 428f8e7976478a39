"""What strategies picked, as thumbnails with the scores that decided."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from minimax_al.benchmark.grid import Cell
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.results import RoundResult, read_scores, read_views
from minimax_al.benchmark.views import VIEWS_A_ROUND
from minimax_al.data import Dataset, prepare, prepare_masks
from minimax_al.report import Image, PickedRound, segmentation_strip, thumbnail

IMAGES_PER_ROUND = 40
IMAGES_PER_PAGE = 4000
STRIP_SIZE = 480


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
    shown = min(protocol.step, IMAGES_PER_ROUND)
    total = shown * sum(bool(result.picks) for results in rounds.values() for result in results)
    seeds = {cell.seed for cell in rounds} if total <= IMAGES_PER_PAGE else {min(cell.seed for cell in rounds)}
    return [
        picked
        for cell, results in sorted(rounds.items(), key=lambda item: protocol.strategies.index(item[0].strategy))
        if cell.seed in seeds
        for picked in _of_cell(protocol.dataset_for(dataset, cell.seed), protocol, cell, out, results)
    ]


def _of_cell(
    dataset: Dataset, protocol: Protocol, cell: Cell, out: Path, results: list[RoundResult]
) -> Iterator[PickedRound]:
    pixels = dataset.task == "segmentation"
    for result in results:
        if not result.picks or dataset.sample == "features":
            continue
        indices = torch.tensor(result.picks[: VIEWS_A_ROUND if pixels else IMAGES_PER_ROUND], dtype=torch.int64)
        sources = (
            _strips(dataset, protocol, cell.folder(out), result.round, indices) if pixels else _plain(dataset, indices)
        )
        scores = _scores_of(cell.folder(out), result.round, indices)
        images = [
            _image(dataset, int(index), source, {name: values[row] for name, values in scores.items()})
            for row, (index, source) in enumerate(zip(indices, sources, strict=True))
        ]
        labels, omitted = result.labels + len(result.picks), len(result.picks) - len(images)
        yield PickedRound(cell.strategy, cell.seed, result.round, labels, images, omitted, wide=pixels)


def _scores_of(folder: Path, number: int, indices: Tensor) -> dict[str, Tensor]:
    candidates, scores = read_scores(folder, number)
    positions = torch.searchsorted(candidates, indices)
    return {name: values[positions] for name, values in scores.items()}


def _plain(dataset: Dataset, indices: Tensor) -> Iterator[str]:
    for pixels in next(iter(dataset.train.stream([indices]))).cpu():
        yield thumbnail(pixels.permute(1, 2, 0).numpy())


def _strips(dataset: Dataset, protocol: Protocol, folder: Path, number: int, indices: Tensor) -> Iterator[str]:
    """Image, truth, prediction and entropy of each pick, as the model saw it."""
    views = read_views(folder, number)
    pixels = next(iter(dataset.train.stream([indices]))).cpu()
    settings = protocol.recipe.augmentation
    images, truths = prepare(pixels, settings), prepare_masks(dataset.train_targets[indices], settings)
    for image, *maps in zip(images, truths, views["prediction"], views["entropy"], strict=True):
        truth, prediction, entropy = (view.numpy() for view in maps)
        strip = segmentation_strip(image.permute(1, 2, 0).numpy(), truth, prediction, entropy, dataset.num_classes)
        yield thumbnail(strip, size=STRIP_SIZE)


def _image(dataset: Dataset, index: int, source: str, scores: Mapping[str, Tensor]) -> Image:
    """One pick: its class (where it has one), what the model took it for, and its scores."""
    name = dataset.train.names[index]
    title = dataset.class_names[int(dataset.train_targets[index])] if dataset.task == "classification" else name
    values = [(score.replace("_", " "), _shown(dataset, score, value)) for score, value in scores.items()]
    return Image(source, name, title, values)


def _shown(dataset: Dataset, name: str, value: Tensor) -> str:
    if name == "predicted":
        return dataset.class_names[int(value)]
    if name.endswith("_rank"):
        return f"{int(value) + 1}"
    return f"{float(value):.2f}"
