"""One cell of a benchmark: one strategy and one seed, round after round, resumable at any moment.

Only the finished rounds have to survive a crash. Every random draw is derived from the seed, and every round trains
from its own initialisation, so replaying the picks restores the learner.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minimax_al.benchmark.folders.conditions import Conditions, conditions_here, threads_of
from minimax_al.benchmark.folders.round_files import (
    RoundResult,
    read_networks,
    resume_rounds,
    training_facts,
    write_round,
)
from minimax_al.benchmark.oracle import Oracle, check_picks
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.runs.views import views_of
from minimax_al.benchmark.runs.work import CountingLearner
from minimax_al.data import Dataset
from minimax_al.deployment.trained import trained_on
from minimax_al.strategies import Query
from minimax_al.strategies.strategy_names import build_strategy
from minimax_al.training import HEADLINE, Evaluation, evaluate
from minimax_al.training.runtime.loggers import Logger, RunLog
from minimax_al.vocabulary import IGNORED


@dataclass(frozen=True)
class Progress:
    """Progress of a cell.

    Attributes:
        strategy: Strategy name.
        seed: Seed of the run.
        round: Round in progress, from 0; equal to `rounds` for a finished cell.
        rounds: Number of rounds.
        stage: Name of the training in progress; empty between two.
        fraction: Finished share of that training, in [0, 1].
        score: Accuracy or mIoU after the last finished round; None before the first.
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
    conditions: Conditions | None = None,
    on_progress: ProgressCallback | None = None,
    logger: Callable[[], Logger] | None = None,
) -> list[RoundResult]:
    """Run a cell from its last finished round to its end.

    Args:
        protocol: Protocol of the benchmark.
        dataset: Data set, as `protocol.load()` returns it.
        strategy: Strategy name.
        seed: Seed of the run.
        folder: Folder of the cell; it is created.
        conditions: Conditions to compute under; default those of this machine.
        on_progress: Callback after every epoch and round.
        logger: Function that returns the logger of the run; it is called if a round is left to run.

    Returns:
        All rounds.

    Raises:
        BudgetError, PoolError, ShapeError: The strategy returned wrong picks.
    """
    conditions = conditions or conditions_here(protocol.recipe.runtime)
    with threads_of(conditions):
        oracle = Oracle(protocol.dataset_for(dataset, seed))
        run = _Run(protocol, oracle, strategy=strategy, seed=seed, folder=folder, conditions=conditions)
        return run.to_its_end(on_progress or (lambda _: None), logger)


class _Run:
    """A cell in progress: the learner asks, the oracle answers, rounds are written."""

    def __init__(
        self, protocol: Protocol, oracle: Oracle, *, strategy: str, seed: int, folder: Path, conditions: Conditions
    ) -> None:
        self.protocol, self.oracle, self.folder, self.conditions = protocol, oracle, folder, conditions
        self.strategy, self.seed = strategy, seed
        self.learner = CountingLearner(oracle.question, build_strategy(strategy), protocol.recipe, seed=seed)
        self.test = _on_device(oracle.dataset, self.learner)
        self.results: list[RoundResult] = []
        first = protocol.initial_pool(oracle.dataset, seed)
        self.learner.teach(first, oracle.answer(first))

    def to_its_end(self, tell: ProgressCallback, logger: Callable[[], Logger] | None) -> list[RoundResult]:
        """Replay the finished rounds, then play the others."""
        learner, ranks = self.learner, self.learner.runtime.ranks

        def on_epoch(stage: str, done: int, epochs: int, _unit: str) -> None:
            tell(self._progress(stage, done / epochs))

        learner.folder = self.folder / "work"
        learner.progress = on_epoch
        own = ranks.together(lambda: resume_rounds(self.folder, self.protocol) if ranks.rank == 0 else [])
        carries = learner.strategy.carries_over(learner.round)
        for result in ranks.share(own)[0]:
            if carries and result.picks:
                learner.previous = read_networks(self.folder, result.round)
            self._finish(result)
        with self._logged(logger):
            while len(self.results) < self.protocol.points:
                tell(self._progress())
                self._finish(self._play_round())
                if ranks.rank == 0:
                    shutil.rmtree(self.folder / "work", ignore_errors=True)
        tell(self._progress())
        return self.results

    @contextmanager
    def _logged(self, logger: Callable[[], Logger] | None) -> Iterator[None]:
        """Log inside the block, on rank 0; the earlier rounds' metrics come first."""
        learner = self.learner
        if logger is None or learner.runtime.ranks.rank or len(self.results) == self.protocol.points:
            yield
            return
        log = learner.log = RunLog(logger(), sum(result.steps for result in self.results))
        log.settings(
            {"strategy": self.strategy, "seed": self.seed, **_flat(self.protocol.recipe.model_dump(mode="json"))}
        )
        for result in self.results:
            log.metrics(result.metrics, result.labels)
        try:
            yield
        except BaseException:
            log.finish(success=False)
            raise
        log.finish(success=True)

    def _finish(self, result: RoundResult) -> None:
        """Add a finished round, and teach the learner its answers."""
        self.results.append(result)
        if result.picks:
            picks = torch.tensor(result.picks, dtype=torch.int64)
            self.learner.teach(picks, self.oracle.answer(picks))

    def _progress(self, stage: str = "", fraction: float = 0.0) -> Progress:
        headline = HEADLINE[self.oracle.dataset.task]
        score = self.results[-1].metrics[headline] if self.results else None
        return Progress(self.strategy, self.seed, len(self.results), self.protocol.points, stage, fraction, score)

    def _play_round(self) -> RoundResult:
        """Fit, evaluate and, unless it is the last round, query; write the round."""
        learner, number = self.learner, len(self.results)
        seconds: dict[str, float] = {}
        learner.work.start()
        with _timed(seconds, "train"):
            models = learner.fit()
        with _timed(seconds, "evaluate"):
            evaluation = self._evaluate()
        query: Query | None = None
        if number + 1 < self.protocol.points:
            with _timed(seconds, "query"):
                query = learner.query(self.protocol.step)
            check_picks(query, learner.pool.unlabelled, self.protocol.step)
        result = RoundResult(
            round=number,
            labels=len(learner.pool.labelled),
            metrics=evaluation.metrics,
            per_class=evaluation.per_class,
            class_counts=class_counts(learner.dataset, learner.targets[learner.pool.labelled]),
            picks=[] if query is None else query.indices.tolist(),
            seconds=seconds,
            losses={name: epochs[-1] for name, epochs in models.history.items() if epochs},
            steps=learner.work.steps,
            images_seen=learner.work.images,
            conditions=asdict(self.conditions),
        )
        views: dict[str, Any] = {}
        if query is not None and learner.dataset.task == "segmentation":
            views = views_of(learner.round, models, query.indices)
        if learner.log is not None:
            learner.log.metrics(result.metrics, result.labels)
        if learner.runtime.ranks.rank == 0:
            write_round(
                self.folder,
                result,
                query=query,
                views=views,
                trained=trained_on(learner.dataset, models.task_model, learner.recipe, self._facts(result)),
                predictions=evaluation.predictions,
                carried=models.networks if learner.strategy.carries_over(learner.round) else {},
            )
        return result

    def _facts(self, result: RoundResult) -> dict[str, Any]:
        """Return the facts of a round's training that its model keeps."""
        return training_facts(self.strategy, self.seed, result, self.test.test_targets)

    def _evaluate(self) -> Evaluation:
        """Measure on the test images, which the learner itself never sees."""
        assert self.learner.models is not None, "fit comes first"
        return evaluate(replace(self.learner.round, dataset=self.test), self.learner.models)


def _on_device(dataset: Dataset, learner: CountingLearner) -> Dataset:
    """Return the data set with the learner's training images and test images on its device."""
    return replace(dataset, train=learner.dataset.train, test=dataset.test.to(learner.runtime.device))


def class_counts(dataset: Dataset, targets: Tensor) -> list[int]:
    """Count the images of each class.

    Args:
        dataset: Data set with the classes.
        targets: Classes, shape (n,); for masks, shape (n, H, W), an image counts for every class that it shows.
    """
    if dataset.task == "classification":
        return torch.bincount(targets, minlength=dataset.num_classes).tolist()
    shown = torch.stack([torch.bincount(mask.flatten().long(), minlength=IGNORED + 1) > 0 for mask in targets])
    return shown[:, : dataset.num_classes].sum(dim=0).tolist()


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted names."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        nested = isinstance(value, Mapping)
        found |= _flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return found


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
