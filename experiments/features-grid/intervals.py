"""Differences between strategies with 95 % intervals, as a Markdown table.

    python experiments/features-grid/intervals.py runs/textures mal:random uherding:cluster_margin

A difference is that of the areas under the curves, or with `--last` of the accuracies at the last number of labels, in
points. Seeds are paired, and the interval is that of a bootstrap over seeds (10,000 draws).
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minimax_al.benchmark.records import read_results
from minimax_al.benchmark.statistics import Interval, area_under_curve, paired_curves, percentiles

DRAWS = 10_000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("pairs", nargs="+", help="FIRST:SECOND, for the difference first − second")
    parser.add_argument("--metric", default="accuracy", choices=["accuracy", "balanced_accuracy"])
    parser.add_argument("--last", action="store_true", help="the last point of the curves instead of their areas")
    options = parser.parse_args()
    records = read_results(options.runs).records
    print("| first | second | seeds | first, % | difference in points |\n| :-- | :-- | --: | --: | --: |")  # noqa: T201
    for pair in options.pairs:
        first, second = pair.split(":")
        curves = paired_curves(records, [first, second], options.metric)
        whole = options.last or len(curves.labels) == 1
        values = curves.values[:, :, -1] if whole else area_under_curve(curves.labels, curves.values)
        mean, interval = difference(100 * values[0], 100 * values[1])
        shown = f"{mean:+.1f} [{interval.low:+.1f}, {interval.high:+.1f}]"
        print(f"| {first} | {second} | {len(curves.seeds)} | {100 * values[0].mean():.1f} | {shown} |")  # noqa: T201


def difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, Interval]:
    """Return the mean difference of paired values, each (S,), and its 95 % bootstrap interval."""
    gaps = first - second
    draws = np.random.default_rng(0).integers(len(gaps), size=(DRAWS, len(gaps)))
    return float(gaps.mean()), percentiles(gaps[draws].mean(axis=1))


if __name__ == "__main__":
    main()
