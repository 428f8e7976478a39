"""Records of an experiment, and learning curves made from them.

A record is one number: the value of a metric for one strategy, one seed and one number of labels. Experiments keep
their records in a tidy CSV file (one row per number), so that any other tool can read them.
"""

import csv
import io
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimax_al.durable import write_durably
from minimax_al.errors import ResultsError, nearest

LESS_IS_BETTER = frozenset({"calibration_error", "train_seconds", "query_seconds"})
"""Metrics whose smaller value is better."""

COUNTS = frozenset({"train_steps", "train_images"})
"""Metrics that count; every other metric is in seconds or a fraction."""


def is_time(metric: str) -> bool:
    """Return whether a metric is in seconds."""
    return metric.endswith("_seconds")


def shown_scale(metric: str) -> int:
    """Return the factor from a recorded value to the printed one: 100 for fractions."""
    return 1 if is_time(metric) or metric in COUNTS else 100


def metric_bounds(metric: str) -> tuple[float, float]:
    """Return the smallest and the largest value that a metric can have, in its recorded unit."""
    return 0.0, 1.0 if shown_scale(metric) == 100 else math.inf


def metric_label(metric: str) -> str:
    """Return a metric's name with its unit, for an axis or a heading.

    Example:
        >>> metric_label("balanced_accuracy")
        'balanced accuracy, %'
    """
    names = {"miou": "mean IoU", "train": "training"}
    name = metric.removesuffix("_seconds")
    return f"{names.get(name, name.replace('_', ' '))}, {'s' if is_time(metric) else '%'}"


class Record(NamedTuple):
    """One number of an experiment; the fields are the columns of the CSV file, in this order.

    Attributes:
        dataset: Data set name.
        strategy: Strategy name.
        seed: Seed of the run.
        round: Round of the run, from 0.
        labels: Size of the labelled pool at the time of the measurement.
        metric: Metric name ("accuracy", "train_seconds").
        value: Fraction in [0, 1]; seconds for `…_seconds`, a count for `COUNTS`.
    """

    dataset: str
    strategy: str
    seed: int
    round: int
    labels: int
    metric: str
    value: float


@dataclass(frozen=True, eq=False)
class Curve:
    """Learning curve of one strategy, at the numbers of labels that all of its seeds have.

    Attributes:
        dataset: Data set name.
        strategy: Strategy name.
        metric: Metric name.
        seeds: The S seeds, ascending.
        labels: Numbers of labels, shape (P,), int64, ascending.
        per_seed: Values, shape (S, P), float64, one row per seed.
        left_out: Numbers of labels that only some seeds have; the curve omits them.
        intervals: Ends of a confidence interval at each point, shape (P, 2), in the metric's unit; None for the spread
            over seeds. A single run has no spread, but its test set gives an interval.
    """

    dataset: str
    strategy: str
    metric: str
    seeds: tuple[int, ...]
    labels: NDArray[np.int64]
    per_seed: NDArray[np.float64]
    left_out: tuple[int, ...] = ()
    intervals: NDArray[np.float64] | None = None

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean over the seeds, shape (P,)."""
        return np.asarray(self.per_seed.mean(axis=0))

    @property
    def std(self) -> NDArray[np.float64] | None:
        """Sample standard deviation over the seeds (divisor S - 1), shape (P,); None with one seed."""
        return self.per_seed.std(axis=0, ddof=1) if len(self.seeds) > 1 else None


def read_records(path: str | os.PathLike[str]) -> list[Record]:
    """Read a records file.

    Args:
        path: CSV file with the columns of `Record`; further columns are ignored.

    Returns:
        The records, in file order.

    Raises:
        ResultsError: The file cannot be read, lacks a column, or has a row that is not a record. The message names
            file and line.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return _parse(csv.DictReader(file), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ResultsError(f"cannot read the records in {str(path)!r}: {error}") from error


def _parse(rows: "csv.DictReader[str]", path: Path) -> list[Record]:
    missing = [name for name in Record._fields if name not in (rows.fieldnames or ())]
    if missing:
        raise ResultsError(
            f"{str(path)!r} has no column {missing[0]!r}; a records file has the columns {', '.join(Record._fields)}"
        )
    records = []
    for row in rows:
        try:
            records.append(
                Record(
                    dataset=row["dataset"],
                    strategy=row["strategy"],
                    seed=int(row["seed"]),
                    round=int(row["round"]),
                    labels=int(row["labels"]),
                    metric=row["metric"],
                    value=float(row["value"]),
                )
            )
        except (TypeError, ValueError) as error:
            raise ResultsError(
                f"{str(path)!r}, line {rows.line_num}: not a record ({error}); seed, round and labels are"
                " whole numbers, value is a number. Mend or delete the line"
            ) from error
    return records


def write_records(path: str | os.PathLike[str], records: Iterable[Record]) -> None:
    """Write records in sorted order, replacing the file in one step.

    A reader sees the old file or the new one, never a mixture. Values keep every digit, so a written file reads back
    exactly.

    Args:
        path: CSV file; its folder is created.
        records: Records to write, in any order.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Record._fields)
    writer.writerows((*record[:-1], repr(float(record.value))) for record in sorted(records))
    write_durably(Path(path), text.getvalue().encode())


def learning_curve(records: Iterable[Record], dataset: str, strategy: str, metric: str = "accuracy") -> Curve:
    """Return one strategy's curve, at the numbers of labels that all of its seeds have.

    Args:
        records: Records of any data sets, strategies and metrics.
        dataset: Data set name.
        strategy: Strategy name.
        metric: Metric name.

    Returns:
        The curve. `left_out` holds the numbers of labels that some seeds lack, for example an unfinished run.

    Raises:
        ResultsError: No record matches, no number of labels is common to all seeds, or two records disagree about one
            point.
    """
    records = list(records)
    points: dict[int, dict[int, float]] = {}
    for record in records:
        if (record.dataset, record.strategy, record.metric) != (dataset, strategy, metric):
            continue
        of_seed = points.setdefault(record.seed, {})
        if of_seed.setdefault(record.labels, record.value) != record.value:
            raise ResultsError(
                f"{dataset!r}, {strategy!r}, seed {record.seed}: {metric!r} at {record.labels} labels is"
                f" recorded as {of_seed[record.labels]!r} and as {record.value!r}; keep one of the two"
            )
    if not points:
        raise ResultsError(_nothing_recorded(records, dataset, strategy, metric))
    common = set.intersection(*map(set, points.values()))
    if not common:
        raise ResultsError(
            f"{dataset!r}, {strategy!r}: no number of labels has {metric!r} under all of the seeds"
            f" {sorted(points)}; leave out the seed that is not finished"
        )
    labels = sorted(common)
    seeds = tuple(sorted(points))
    return Curve(
        dataset=dataset,
        strategy=strategy,
        metric=metric,
        seeds=seeds,
        labels=np.array(labels, dtype=np.int64),
        per_seed=np.array([[points[seed][n] for n in labels] for seed in seeds], dtype=np.float64),
        left_out=tuple(sorted(set().union(*points.values()) - common)),
    )


def _nothing_recorded(records: Sequence[Record], dataset: str, strategy: str, metric: str) -> str:
    given = f"no record of {metric!r} for {strategy!r} on {dataset!r}"
    for kind, name, known in (
        ("data set", dataset, {r.dataset for r in records}),
        ("strategy", strategy, {r.strategy for r in records if r.dataset == dataset}),
        ("metric", metric, {r.metric for r in records if (r.dataset, r.strategy) == (dataset, strategy)}),
    ):
        if name not in known:
            return f"{given}: unknown {kind} {name!r}{nearest(name, known)}" if known else f"{given}: no records"
    raise AssertionError(given)  # all three names are recorded together, so there is a record


def learning_curves(
    records: Iterable[Record],
    dataset: str,
    metric: str = "accuracy",
    strategies: Sequence[str] | None = None,
) -> list[Curve]:
    """Return the curves of several strategies on one data set.

    Args:
        records: Records of any data sets, strategies and metrics.
        dataset: Data set name.
        metric: Metric name.
        strategies: Strategy names, in this order; None for all that have the metric, in record order.

    Returns:
        One curve per strategy.

    Raises:
        ResultsError: See `learning_curve`.
    """
    records = list(records)
    if strategies is None:
        strategies = list(dict.fromkeys(r.strategy for r in records if (r.dataset, r.metric) == (dataset, metric)))
    return [learning_curve(records, dataset, strategy, metric) for strategy in strategies]
