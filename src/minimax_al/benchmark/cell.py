"""One cell of a benchmark: one strategy, one seed, round after round, resumable at any moment.

Nothing but the finished rounds has to survive a crash: everything random is derived from the seed, and every
round trains from its own initialisation, so replaying the picks puts a fresh learner where the old one was.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.results import RoundResult, resume_rounds, write_round
from minimax_al.benchmark.views import views_of
from minimax_al.data import Dataset
from minimax_al.loop import ActiveLearner
from minimax_al.strategies import Query
from minimax_al.training import HEADLINE
from minimax_al.vocabulary import IGNORED


@dataclass(frozen=True)
class Progress:
    """How far a cell is.

    Attributes:
        strategy: of the cell.
        seed: of the cell.
        round: in progress, from 0; equal to `rounds` once the cell is finished.
        rounds: of the cell.
        stage: name of the training in progress; empty between two.
        fraction: of that training's epochs that are done, in [0, 1].
        score: accuracy, or mIoU, after the last finished round; None before the first.
    """

    strategy: str
    seed: int
    round: int
    rounds: int
    stage: str = ""
    fraction: float = 0.0
    score: float | None = None


ProgressCallback = Callable[[Progress], None]


def run_cell(
    protocol: Protocol,
    dataset: Dataset,
    strategy: str,
    seed: int,
    folder: Path,
    *,
    on_progress: ProgressCallback | None = None,
) -> list[RoundResult]:
    """Run a cell from where it stands to its end.

    Args:
        protocol: what to run.
        dataset: as `protocol.load()` gave it.
        strategy: by name.
        seed: of the run.
        folder: of the cell; made where it is not there.
        on_progress: told of every epoch and round.

    Returns:
        All rounds.
    """
    learner = _learner(protocol, protocol.dataset_for(dataset, seed), strategy, seed)
    ranks = learner.runtime.ranks
    results = ranks.share(ranks.together(lambda: resume_rounds(folder, protocol) if ranks.rank == 0 else []))[0]
    tell = on_progress or (lambda _: None)

    def now(stage: str = "", fraction: float = 0.0) -> Progress:
        score = results[-1].metrics[HEADLINE[dataset.task]] if results else None
        return Progress(strategy, seed, len(results), protocol.points, stage, fraction, score)

    def on_epoch(stage: str, done: int, epochs: int, unit: str) -> None:  # noqa: ARG001 - the bar counts fractions
        tell(now(stage, done / epochs))

    learner.folder, learner.progress = folder / "work", on_epoch
    for result in results:
        _answer(learner, result.picks)
    while len(results) < protocol.points:
        tell(now())
        results.append(_play_round(learner, protocol, folder, len(results)))
        _answer(learner, results[-1].picks)
        if ranks.rank == 0:
            shutil.rmtree(folder / "work", ignore_errors=True)
    tell(now())
    return results


def _learner(protocol: Protocol, dataset: Dataset, strategy: str, seed: int) -> ActiveLearner:
    """A learner that knows the initial pool."""
    learner = ActiveLearner(dataset, strategy, protocol.recipe, seed=seed)
    first = protocol.initial_pool(dataset, seed)
    learner.teach(first, dataset.train_targets[first], by="initial pool")
    return learner


def _answer(learner: ActiveLearner, picks: list[int]) -> None:
    """The oracle with the answers."""
    if picks:
        indices = torch.tensor(picks, dtype=torch.int64)
        learner.teach(indices, learner.dataset.train_targets[indices])


def _play_round(learner: ActiveLearner, protocol: Protocol, folder: Path, number: int) -> RoundResult:
    """Fit, evaluate and, unless it is the last round, query; write the round."""
    seconds: dict[str, float] = {}
    with _timed(seconds, "train"):
        models = learner.fit()
    with _timed(seconds, "evaluate"):
        evaluation = learner.evaluate()
    query: Query | None = None
    if number + 1 < protocol.points:
        with _timed(seconds, "query"):
            query = learner.query(protocol.step)
    result = RoundResult(
        round=number,
        labels=len(learner.pool.labelled),
        metrics=evaluation.metrics,
        per_class=evaluation.per_class,
        class_counts=class_counts(learner.dataset, learner.targets[learner.pool.labelled]),
        picks=[] if query is None else query.indices.tolist(),
        seconds=seconds,
        losses={name: epochs[-1] for name, epochs in models.history.items()},
    )
    views = {}
    if query is not None and learner.dataset.task == "segmentation":
        views = views_of(learner.round, models, query.indices)
    if learner.runtime.ranks.rank == 0:
        write_round(folder, result, query=query, views=views, models=models)
    return result


def class_counts(dataset: Dataset, targets: Tensor) -> list[int]:
    """Images of each class among targets (n,); for masks (n, H, W), images that show the class at all."""
    if dataset.task == "classification":
        return torch.bincount(targets, minlength=dataset.num_classes).tolist()
    shown = torch.stack([torch.bincount(mask.flatten().long(), minlength=IGNORED + 1) > 0 for mask in targets])
    return shown[:, : dataset.num_classes].sum(dim=0).tolist()


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
