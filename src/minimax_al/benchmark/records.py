"""A results folder as tidy records."""

from collections.abc import Iterator
from pathlib import Path

from minimax_al.benchmark.grid import Cell, cells_of
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.results import RoundResult, read_rounds
from minimax_al.report import Record


def finished_rounds(protocol: Protocol, out: Path) -> dict[Cell, list[RoundResult]]:
    """The finished rounds of every cell that has any."""
    rounds = {cell: read_rounds(cell.folder(out), protocol) for cell in cells_of(protocol)}
    return {cell: results for cell, results in rounds.items() if results}


def records_of(protocol: Protocol, rounds: dict[Cell, list[RoundResult]]) -> list[Record]:
    """One record a metric, round and cell; times as `train_seconds`, `evaluate_seconds`, `query_seconds`."""
    return [
        Record(protocol.name, cell.strategy, cell.seed, result.round, result.labels, metric, value)
        for cell, results in rounds.items()
        for result in results
        for metric, value in _values(result)
    ]


def _values(result: RoundResult) -> Iterator[tuple[str, float]]:
    yield from result.metrics.items()
    yield from ((f"{name}_seconds", value) for name, value in result.seconds.items())
