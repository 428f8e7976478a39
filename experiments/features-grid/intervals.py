"""Differences between strategies with 95 % intervals, as a Markdown table.

    python experiments/features-grid/intervals.py runs/textures mal:random uherding:cluster_margin
    python experiments/features-grid/intervals.py runs/textures random margin uherding --against runs-former/textures

A difference is that of the areas under the curves, or with `--last` of the accuracies at the last number of labels, in
points. With `--against` it is that of one strategy in two results folders, and the last line is the mean over all
strategies. Seeds are paired, and the interval is that of a bootstrap over seeds (10,000 draws).
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minimax_al.benchmark.results.results import Record, read_results
from minimax_al.benchmark.statistics.statistics import Interval, area_under_curve, paired_curves, percentiles

DRAWS = 10_000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("pairs", nargs="+", help="FIRST:SECOND for first − second; STRATEGY with --against")
    parser.add_argument("--against", type=Path, help="second results folder")
    parser.add_argument("--metric", default="accuracy", choices=["accuracy", "balanced_accuracy"])
    parser.add_argument("--last", action="store_true", help="the last point of the curves instead of their areas")
    options = parser.parse_args()
    records = read_results(options.runs).records
    others = records if options.against is None else read_results(options.against).records
    print("| first | second | seeds | first, % | difference in points |\n| :-- | :-- | --: | --: | --: |")  # noqa: T201
    gaps = []
    for pair in options.pairs:
        first, _, second = pair.partition(":")
        values = [
            measured(which, name, options.metric, last=options.last)
            for which, name in ((records, first), (others, second or first))
        ]
        seeds = sorted(values[0].keys() & values[1].keys())
        ours, theirs = (np.array([each[seed] for seed in seeds]) for each in values)
        gaps.append(dict(zip(seeds, ours - theirs, strict=True)))
        label = second or str(options.against)
        print(f"| {first} | {label} | {len(seeds)} | {ours.mean():.1f} | {shown(ours - theirs)} |")  # noqa: T201
    if options.against is not None:
        common = sorted(set.intersection(*(set(each) for each in gaps)))
        means = np.array([np.mean([each[seed] for each in gaps]) for seed in common])
        print(f"| all | {options.against} | {len(common)} | | {shown(means)} |")  # noqa: T201


def measured(records: Sequence[Record], strategy: str, metric: str, *, last: bool) -> dict[int, float]:
    """Return the area under the curve of each seed, or the last accuracy, in percent."""
    curves = paired_curves(records, [strategy], metric)
    whole = last or len(curves.labels) == 1
    values = curves.values[0, :, -1] if whole else area_under_curve(curves.labels, curves.values[0])
    return dict(zip(curves.seeds, (100 * values).tolist(), strict=True))


def shown(gaps: NDArray[np.float64]) -> str:
    """Return the mean and its interval."""
    mean, interval = difference(gaps, np.zeros_like(gaps))
    return f"{mean:+.1f} [{interval.low:+.1f}, {interval.high:+.1f}]"


def difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, Interval]:
    """Return the mean difference of paired values, each (S,), and its 95 % bootstrap interval."""
    gaps = first - second
    draws = np.random.default_rng(0).integers(len(gaps), size=(DRAWS, len(gaps)))
    return float(gaps.mean()), percentiles(gaps[draws].mean(axis=1))


def clustered_difference(gaps: Mapping[str, Mapping[int, Sequence[float]]]) -> tuple[float, Interval | None]:
    """Return a mean difference over data sets, and its 95 % interval by a cluster bootstrap.

    Draws of one seed share labels and images, so a seed counts once, by the mean of its draws. Seeds are resampled
    within each data set, and every data set has the same weight. The interval is about these data sets, not others.

    Args:
        gaps: Paired differences of all draws, by data set and seed.

    Returns:
        The mean, and its interval; None if a data set has one seed, whose variation is unknown.
    """
    by_set = [np.array([np.mean(draws) for draws in by_seed.values()]) for by_seed in gaps.values()]
    mean = float(np.mean([seeds.mean() for seeds in by_set]))
    if min(map(len, by_set)) < 2:
        return mean, None
    generator = np.random.default_rng(0)
    drawn = [seeds[generator.integers(len(seeds), size=(DRAWS, len(seeds)))].mean(axis=1) for seeds in by_set]
    return mean, percentiles(np.mean(drawn, axis=0))


if __name__ == "__main__":
    main()
