"""A results folder, read: what was run, what is finished, and its numbers as tidy records."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from minimax_al.benchmark.facts import DatasetFacts, facts_of, read_facts
from minimax_al.benchmark.folder import read_protocol
from minimax_al.benchmark.grid import Cell, cells_of
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.results import RoundResult, read_rounds
from minimax_al.data import Dataset
from minimax_al.errors import DataError, ResultsError
from minimax_al.report import Curve, Record, learning_curves
from minimax_al.training import HEADLINE


@dataclass(frozen=True)
class Results:
    """A results folder, read.

    Attributes:
        out: the folder.
        protocol: that it was run under.
        facts: of the data set.
        rounds: the finished rounds of every cell that has any.
        dataset: with the images; None where they are not to be had.
        absence: why.
    """

    out: Path
    protocol: Protocol
    facts: DatasetFacts
    rounds: Mapping[Cell, list[RoundResult]]
    dataset: Dataset | None
    absence: str = ""

    @cached_property
    def records(self) -> list[Record]:
        """Every metric of every finished round; times as `train_seconds`, `evaluate_seconds`, `query_seconds`."""
        return [
            Record(self.protocol.name, cell.strategy, cell.seed, result.round, result.labels, metric, value)
            for cell, results in self.rounds.items()
            for result in results
            for metric, value in _values(result)
        ]

    @property
    def headline(self) -> str:
        """The metric that the data set is judged by."""
        return HEADLINE[self.facts.task]

    @cached_property
    def strategies(self) -> list[str]:
        """Strategies with a finished round, in the protocol's order."""
        present = {cell.strategy for cell in self.rounds}
        return [strategy for strategy in self.protocol.strategies if strategy in present]

    @cached_property
    def finished_strategies(self) -> set[str]:
        """Strategies with a cell that is run to its end."""
        return {cell.strategy for cell in self._finished}

    @cached_property
    def finished_seeds(self) -> set[int]:
        """Seeds that all of `finished_strategies` have run to their end."""
        seeds: dict[str, set[int]] = {}
        for cell in self._finished:
            seeds.setdefault(cell.strategy, set()).add(cell.seed)
        return set.intersection(*seeds.values()) if seeds else set()

    @cached_property
    def _finished(self) -> list[Cell]:
        return [cell for cell, rounds in self.rounds.items() if len(rounds) == self.protocol.points]

    def curves(self, metric: str) -> list[Curve]:
        """The learning curves of all strategies that have a metric."""
        # A seed that has only begun would cut the curve short for all: it waits until it is finished.
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
        out: the folder.
        data: where the data lie, in place of where the protocol has them.

    Raises:
        ResultsError: it is none, or nothing in it is finished.
        DataError: the data are not there, and `data` was given or the folder keeps no facts of them.
    """
    protocol = read_protocol(out)
    if data is not None:
        protocol = protocol.model_copy(update={"data": data})
    every = {cell: read_rounds(cell.folder(out), protocol) for cell in cells_of(protocol)}
    rounds = {cell: finished for cell, finished in every.items() if finished}
    if not rounds:
        raise ResultsError(f"folder {str(out)!r} holds no finished round yet: run the benchmark first")
    facts = read_facts(out)
    try:
        dataset = protocol.load()
    except DataError as error:
        if facts is None or data is not None:
            raise
        return Results(out, protocol, facts, rounds, dataset=None, absence=str(error))
    return Results(out, protocol, facts or facts_of(protocol, dataset), rounds, dataset)


def _values(result: RoundResult) -> Iterator[tuple[str, float]]:
    yield from result.metrics.items()
    yield from ((f"{name}_seconds", value) for name, value in result.seconds.items())
