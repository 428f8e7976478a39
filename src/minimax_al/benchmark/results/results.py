"""Content of a results folder: finished rounds, and their numbers as tidy records."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from minimax_al.benchmark.folders.facts import DatasetFacts, facts_of, read_facts
from minimax_al.benchmark.folders.failures import Failure, read_failure
from minimax_al.benchmark.folders.folder import check_data_of, read_protocol
from minimax_al.benchmark.folders.round_files import RoundResult, read_rounds
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.runs.grid import Cell, cells_of
from minimax_al.data import Dataset
from minimax_al.errors import DataError, ResultsError
from minimax_al.report import Curve, Record, learning_curves
from minimax_al.training import HEADLINE


@dataclass(frozen=True)
class Results:
    """Content of a results folder.

    Attributes:
        out: Results folder.
        protocol: Protocol of the results.
        facts: Facts about the data set.
        rounds: Finished rounds by cell, for cells with at least one.
        dataset: Data set with the images; None where it is not available.
        absence: Reason why it is not available.
        failures: Failed cells.
    """

    out: Path
    protocol: Protocol
    facts: DatasetFacts
    rounds: Mapping[Cell, list[RoundResult]]
    dataset: Dataset | None
    absence: str = ""
    failures: Mapping[Cell, Failure] = field(default_factory=dict)

    @cached_property
    def records(self) -> list[Record]:
        """Metrics of every finished round, its times (`train_seconds`) and work (`train_steps`, `train_images`)."""
        return [
            Record(self.protocol.name, cell.strategy, cell.seed, result.round, result.labels, metric, value)
            for cell, results in self.rounds.items()
            for result in results
            for metric, value in _values(result)
        ]

    @property
    def headline(self) -> str:
        """Metric by which models on this data set are judged."""
        return HEADLINE[self.facts.task]

    @cached_property
    def strategies(self) -> list[str]:
        """Strategies with a finished round, in the protocol's order."""
        present = {cell.strategy for cell in self.rounds}
        return [strategy for strategy in self.protocol.strategies if strategy in present]

    @cached_property
    def finished_strategies(self) -> set[str]:
        """Strategies with a finished cell."""
        return {cell.strategy for cell in self._finished}

    @cached_property
    def finished_seeds(self) -> set[int]:
        """Seeds that all of `finished_strategies` have finished."""
        seeds: dict[str, set[int]] = {}
        for cell in self._finished:
            seeds.setdefault(cell.strategy, set()).add(cell.seed)
        return set.intersection(*seeds.values()) if seeds else set()

    @cached_property
    def _finished(self) -> list[Cell]:
        return [cell for cell, rounds in self.rounds.items() if len(rounds) == self.protocol.points]

    def curves(self, metric: str) -> list[Curve]:
        """Return the learning curves of all strategies that have a metric."""
        # An unfinished seed would shorten the curve of all seeds, so it waits until it is finished.
        ends = {(cell.strategy, cell.seed) for cell in self._finished}
        counted = [
            record
            for record in self.records
            if record.metric == metric
            and (record.strategy not in self.finished_strategies or (record.strategy, record.seed) in ends)
        ]
        names = [strategy for strategy in self.strategies if strategy in {record.strategy for record in counted}]
        return learning_curves(counted, self.protocol.name, metric, names) if names else []


def read_results(out: Path, data: Path | None = None) -> Results:
    """Read a results folder.

    Args:
        out: Results folder.
        data: Path of the data, if it has moved.

    Raises:
        ResultsError: The folder is not a results folder, has no finished round, or `data` is another data set.
        DataError: The data is missing, and `data` was given or the folder has no facts about it.
    """
    protocol = read_protocol(out)
    if data is not None:
        protocol = protocol.model_copy(update={"data": data})
    every = {cell: read_rounds(cell.folder(out), protocol) for cell in cells_of(protocol)}
    rounds = {cell: finished for cell, finished in every.items() if finished}
    failures = {cell: failure for cell in every if (failure := read_failure(cell.folder(out))) is not None}
    if not rounds:
        raise ResultsError(f"folder {str(out)!r} has no finished round{_reasons(failures)}: run the benchmark first")
    facts = read_facts(out)
    try:
        dataset = protocol.load_data()
        check_data_of(out, dataset)
    except (DataError, ResultsError) as error:
        if facts is None or data is not None:
            raise
        return Results(out, protocol, facts, rounds, dataset=None, absence=str(error), failures=failures)
    return Results(out, protocol, facts or facts_of(protocol, dataset), rounds, dataset, failures=failures)


def _reasons(failures: Mapping[Cell, Failure]) -> str:
    """Return the first failure as the middle of a sentence."""
    if not failures:
        return ""
    cell, failure = next(iter(failures.items()))
    return f" ({cell.strategy!r}, seed {cell.seed}, failed: {failure.reason})"


def _values(result: RoundResult) -> Iterator[tuple[str, float]]:
    yield from result.metrics.items()
    yield from ((f"{name}_seconds", value) for name, value in result.seconds.items())
    if result.steps:
        yield "train_steps", float(result.steps)
        yield "train_images", float(result.images_seen)
