"""Picked images of a benchmark, as thumbnails with the scores that decided."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from minimax_al.benchmark.folders.round_files import RoundResult, read_scores, read_views
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.runs.grid import Cell
from minimax_al.benchmark.runs.views import VIEWS_A_ROUND
from minimax_al.data import Dataset, prepare, prepare_masks
from minimax_al.report import Image, PickedRound, segmentation_strip, thumbnail

IMAGES_PER_ROUND = 40
"""Largest number of thumbnails of one round."""

PAGE_BYTES = 1_300_000
"""Bytes of all thumbnails and their captions; the rest of a page takes a few hundred kilobytes."""

_FEWEST = 4  # thumbnails per round; below that, only the first seed is shown
_CAPTION_BYTES = 220
_STRIP_SIZE = 480


@dataclass(frozen=True)
class _Shown:
    """The rounds that a page shows."""

    protocol: Protocol
    out: Path
    rounds: list[tuple[Cell, RoundResult]]
    datasets: Mapping[int, Dataset]

    def images(self, cell: Cell, result: RoundResult, count: int) -> list[Image]:
        """Return thumbnails of the first picks of a round."""
        dataset, folder = self.datasets[cell.seed], cell.folder(self.out)
        indices = torch.tensor(result.picks[:count], dtype=torch.int64)
        if dataset.task == "segmentation":
            sources = _strips(dataset, self.protocol, folder, result.round, indices)
        else:
            sources = _plain(dataset, indices)
        scores = _scores_of(folder, result.round, indices)
        return [
            _image(dataset, int(index), source, {name: values[row] for name, values in scores.items()})
            for row, (index, source) in enumerate(zip(indices, sources, strict=True))
        ]

    def affordable(self, most: int) -> int:
        """Return how many thumbnails per round fit the page, measured on the first round."""
        sample = self.images(*self.rounds[0], most)
        size = sum(len(image.source) + _CAPTION_BYTES for image in sample) / max(len(sample), 1)
        return min(most, int(PAGE_BYTES / (size * len(self.rounds))))


def picked_rounds(
    dataset: Dataset, protocol: Protocol, out: Path, rounds: Mapping[Cell, list[RoundResult]]
) -> list[PickedRound]:
    """Return the picks of every round with a query, limited to `PAGE_BYTES`.

    Where all seeds leave too few thumbnails per round, only the first seed is shown.

    Args:
        dataset: Data set as the protocol loads it, before any imbalance.
        protocol: Protocol of the results.
        out: Results folder.
        rounds: Finished rounds by cell; strategies are shown in the order of their first cells.
    """
    if dataset.sample == "features":
        return []
    most = min(protocol.step, VIEWS_A_ROUND if dataset.task == "segmentation" else IMAGES_PER_ROUND)
    order = {name: place for place, name in enumerate(dict.fromkeys(cell.strategy for cell in rounds))}
    every = [
        (cell, result)
        for cell in sorted(rounds, key=lambda cell: (order[cell.strategy], cell.seed))
        for result in rounds[cell]
        if result.picks
    ]
    if not every:
        return []
    datasets = {seed: protocol.dataset_for(dataset, seed) for seed in {cell.seed for cell, _ in every}}
    shown = _Shown(protocol, out, every, datasets)
    count = shown.affordable(most)
    if count < min(_FEWEST, most):
        first = min(cell.seed for cell, _ in every)
        shown = _Shown(protocol, out, [entry for entry in every if entry[0].seed == first], datasets)
        count = max(shown.affordable(most), 1)
    return [_picked(shown, cell, result, count) for cell, result in shown.rounds]


def _picked(shown: _Shown, cell: Cell, result: RoundResult, count: int) -> PickedRound:
    images = shown.images(cell, result, count)
    labels, omitted = result.labels + len(result.picks), len(result.picks) - len(images)
    wide = shown.datasets[cell.seed].task == "segmentation"
    return PickedRound(cell.strategy, cell.seed, result.round, labels, images, omitted, wide=wide)


def _scores_of(folder: Path, number: int, indices: Tensor) -> dict[str, Tensor]:
    candidates, scores = read_scores(folder, number)
    positions = torch.searchsorted(candidates, indices)
    return {name: values[positions] for name, values in scores.items()}


def _plain(dataset: Dataset, indices: Tensor) -> Iterator[str]:
    for pixels in next(iter(dataset.train.stream([indices]))).cpu():
        yield thumbnail(pixels.permute(1, 2, 0).numpy())


def _strips(dataset: Dataset, protocol: Protocol, folder: Path, number: int, indices: Tensor) -> Iterator[str]:
    """Yield image, truth, prediction and entropy of each pick, as the model saw it."""
    views = {name: values[: len(indices)] for name, values in read_views(folder, number).items()}
    pixels = next(iter(dataset.train.stream([indices]))).cpu()
    settings = protocol.recipe.augmentation
    images, truths = prepare(pixels, settings), prepare_masks(dataset.train_targets[indices], settings)
    for image, *maps in zip(images, truths, views["prediction"], views["entropy"], strict=True):
        truth, prediction, entropy = (view.numpy() for view in maps)
        strip = segmentation_strip(image.permute(1, 2, 0).numpy(), truth, prediction, entropy, dataset.num_classes)
        yield thumbnail(strip, size=_STRIP_SIZE)


def _image(dataset: Dataset, index: int, source: str, scores: Mapping[str, Tensor]) -> Image:
    """Return one pick with its class (if it has one), its predicted class and its scores."""
    name = dataset.train.names[index]
    title = dataset.class_names[int(dataset.train_targets[index])] if dataset.task == "classification" else name
    values = [(score.replace("_", " "), _shown_value(dataset, score, value)) for score, value in scores.items()]
    return Image(source, name, title, values)


def _shown_value(dataset: Dataset, name: str, value: Tensor) -> str:
    if name == "predicted":
        return dataset.class_names[int(value)]
    if name.endswith("_rank"):
        return f"{int(value) + 1}"
    return f"{float(value):.2f}"
