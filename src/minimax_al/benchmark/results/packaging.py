"""Package of a benchmark's model: the winner, or a run of your choice, in the folder that a campaign's package is."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from minimax_al.benchmark.folders.round_files import RoundResult, model_path, training_facts
from minimax_al.benchmark.results.results import Results, read_results
from minimax_al.benchmark.runs.grid import Cell
from minimax_al.data import Dataset, Features
from minimax_al.deployment.model_card import CardText, metrics_table, percent
from minimax_al.deployment.model_file import load_model
from minimax_al.deployment.packaging import CHECKED_IMAGES, write_package
from minimax_al.deployment.trained import Trained, trained_on
from minimax_al.errors import ConfigurationError, ResultsError, UnknownNameError

_NAMES = {"accuracy": "accuracy", "miou": "mIoU"}
"""Headline metrics as readers know them."""


@dataclass(frozen=True)
class Packaged:
    """Model of a benchmark that was packaged.

    Attributes:
        folder: Package.
        strategy: Strategy that chose its labels.
        seed: Seed of its run.
        round: Round after which it was trained.
        labels: Number of labelled images that it was trained on.
        metric: Name of its score, "accuracy" or "miou".
        score: Score on the test images, in [0, 1].
    """

    folder: Path
    strategy: str
    seed: int
    round: int
    labels: int
    metric: str
    score: float


def package_model(
    results: Path,
    out: Path,
    *,
    strategy: str | None = None,
    seed: int | None = None,
    number: int | None = None,
    data: Path | None = None,
    weights: Path | None = None,
    onnx: bool = True,
) -> Packaged:
    """Write a model of a benchmark into a new folder: weights, classes, preprocessing, ONNX, model card.

    Without a strategy, the one with the best mean score is packaged; without a seed, its run with the median score, so
    that the score on the card is not the largest of several on one test set.

    Args:
        results: Results folder.
        out: Folder to write; must be new or empty.
        strategy: Strategy whose model is packaged.
        seed: Seed of the run.
        number: Round, from 0; None for the last one.
        data: Path of the data, if it has moved; needed for results of older versions alone.
        weights: File of the encoder's weights, if the features were computed with a file.
        onnx: Whether to write an ONNX file, checked against the model (extra `export`).

    Raises:
        ResultsError: No run has finished, or the run or round does not exist.
        UnknownNameError: The strategy has no finished run.
        ConfigurationError: The file of the encoder's weights is missing, or is given for a model without an encoder.
        CheckpointError: The model cannot read image files: it was trained on features of another program, or on arrays
            that are not square.
        CampaignError: The folder is not empty, or the ONNX file disagrees with the model.
    """
    found = read_results(results, data)
    cell, result = _choose(found, strategy, seed, number)
    trained = _read(found, cell, result)
    trained.check_reads_images()
    trained = _with_weights(trained, weights)
    with _images_to_check(found.dataset, trained) as (images, names, compared_on):
        write_package(trained, out, _card(found, cell, result, compared_on), images=images, paths=names, onnx=onnx)
    score = result.metrics[found.headline]
    return Packaged(out, cell.strategy, cell.seed, result.round, result.labels, found.headline, score)


def _choose(found: Results, strategy: str | None, seed: int | None, number: int | None) -> tuple[Cell, RoundResult]:
    """Return the run and the round to package."""
    wanted = found.protocol.points - 1 if number is None else number
    if not 0 <= wanted < found.protocol.points:
        raise ResultsError(f"round {wanted} does not exist: the rounds are 0 to {found.protocol.points - 1}")
    reached = {cell: rounds[wanted] for cell, rounds in found.rounds.items() if len(rounds) > wanted}
    if not reached:
        raise ResultsError(f"no run in {str(found.out)!r} has reached round {wanted}: let 'mal bench run' finish first")
    scores = {cell: result.metrics[found.headline] for cell, result in reached.items()}
    if strategy is None:
        strategy = max(dict.fromkeys(cell.strategy for cell in reached), key=lambda name: _mean(scores, name))
    runs = [cell for cell in reached if cell.strategy == strategy]
    if not runs:
        raise UnknownNameError("strategy", strategy, sorted({cell.strategy for cell in reached}))
    if seed is None:
        chosen = sorted(runs, key=lambda cell: (scores[cell], cell.seed))[(len(runs) - 1) // 2]
    else:
        chosen = Cell(strategy, seed)
        if chosen not in reached:
            seeds = ", ".join(str(cell.seed) for cell in runs)
            raise ResultsError(f"{strategy!r} has no run of seed {seed} with round {wanted}: its seeds are {seeds}")
    return chosen, reached[chosen]


def _mean(scores: dict[Cell, float], strategy: str) -> float:
    return float(np.mean([score for cell, score in scores.items() if cell.strategy == strategy]))


def _read(found: Results, cell: Cell, result: RoundResult) -> Trained:
    """Return the model of a round; files of older versions are completed from the data set."""
    trained = load_model(model_path(cell.folder(found.out), result.round))
    if trained.stored_size == 0 and not trained.facts:
        if found.dataset is None:
            raise ResultsError(
                f"the models in {str(found.out)!r} were written by an older version, so that the data set is needed, "
                f"and {found.absence}: give its path with --data"
            )
        dataset = found.protocol.dataset_for(found.dataset, cell.seed)
        facts = training_facts(cell.strategy, cell.seed, result, dataset.test_targets)
        trained = trained_on(dataset, trained.model, trained.recipe, facts)
    # A package computes in float32, whatever precision the benchmark was run with.
    runtime = trained.recipe.runtime.model_copy(update={"precision": "fp32"})
    recipe = trained.recipe.model_copy(update={"runtime": runtime})
    return replace(trained, model=trained.model.float().eval(), recipe=recipe)


def _with_weights(trained: Trained, weights: Path | None) -> Trained:
    """Return the model with the file of its encoder's weights: a feature store keeps the name of the file alone."""
    if trained.source is None:
        if weights is not None:
            raise ConfigurationError(
                f"the weights {str(weights)!r} are of no use: the model was trained on images; leave --weights out"
            )
        return trained
    if weights is not None:
        return replace(trained, source=replace(trained.source, weights=str(weights)))
    if trained.source.weights != "published" and not Path(trained.source.weights).is_file():
        raise ConfigurationError(
            f"the features were computed by {trained.source.encoder!r} with the weights of a file "
            f"{trained.source.weights!r}: give its path with --weights"
        )
    return trained


def _card(found: Results, cell: Cell, result: RoundResult, compared_on: str) -> CardText:
    name, score = _NAMES[found.headline], result.metrics[found.headline]
    others = {key: value for key, value in result.metrics.items() if key != found.headline}
    runs = [
        rounds[result.round]
        for key, rounds in found.rounds.items()
        if key.strategy == cell.strategy and len(rounds) > result.round
    ]
    spread = [run.metrics[found.headline] for run in runs]
    return CardText(
        scores=[
            f"Measured on {_measured_on(found)} of the benchmark `{found.protocol.name}`:",
            metrics_table(f"| {name} | {percent(score)} |", others),
            *_spread(spread),
        ],
        training_data=[
            (
                f"{result.labels:,} of {_pool_size(found, cell):,} images had a label, chosen by `{cell.strategy}` "
                f"(seed {cell.seed}, round {result.round})."
            )
        ],
        limits=(
            "The test images are from the data set of the benchmark: images from elsewhere can be harder. If "
            "strategies or settings were compared on these test images, the score of the best one is slightly too "
            "high. The model predicts one of its classes for any image."
        ),
        counted="test images",
        compared_on=compared_on,
    )


def _measured_on(found: Results) -> str:
    """Return the images of the scores, as a part of a sentence: the test images, or those of the validation."""
    if found.protocol.validation:
        return f"{found.protocol.validation:,} images that were held out of the training images"
    return f"the {found.facts.test:,} test images"


def _pool_size(found: Results, cell: Cell) -> int:
    """Return the number of images that the strategy could choose from, after every draw of its seed."""
    totals = found.facts.totals.get(cell.seed)
    return sum(totals) if totals else found.facts.train - found.protocol.validation


def _spread(scores: Sequence[float]) -> list[str]:
    """Return a sentence about the scores of several runs of one strategy."""
    if len(scores) < 2:
        return []
    return [f"The {len(scores)} runs of this strategy range from {percent(min(scores))} to {percent(max(scores))}."]


@contextmanager
def _images_to_check(dataset: Dataset | None, trained: Trained) -> Iterator[tuple[Path, Sequence[str], str]]:
    """Yield a folder of image files on which the ONNX file is checked, their names and their kind."""
    with tempfile.TemporaryDirectory() as folder:
        if dataset is None or isinstance(dataset.test, Features) or not len(dataset.test):
            images, kind = _random_images(trained.input_size), "random images"
        else:
            indices = torch.arange(min(CHECKED_IMAGES, len(dataset.test)))
            pixels = next(iter(dataset.test.stream([indices])))
            images, kind = [image.permute(1, 2, 0).cpu().numpy() for image in pixels], "test images of the benchmark"
        names = [f"{number}.png" for number in range(len(images))]
        for name, image in zip(names, images, strict=True):
            Image.fromarray(image).save(Path(folder) / name)
        yield Path(folder), names, f"{len(names)} {kind}"


def _random_images(side: int) -> list[np.ndarray]:
    """Return smooth random images, shape (H, W, 3) uint8, of several proportions."""
    generator = np.random.default_rng(0)
    shapes = [(side, side), (side, 2 * side), (2 * side, side), (side + 7, side + 3)]
    noise = [generator.integers(0, 256, (9, 9, 3), dtype=np.uint8) for _ in range(CHECKED_IMAGES)]
    return [
        np.asarray(Image.fromarray(one).resize(shapes[number % len(shapes)][::-1], Image.Resampling.BICUBIC))
        for number, one in enumerate(noise)
    ]
