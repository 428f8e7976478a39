"""Write the accuracies of all results folders as one table, and the first labels' accuracies as another.

    python experiments/features-grid/summary.py runs --out experiments/features-grid

`curves.csv` has mean and standard deviation over seeds per data set, start, strategy and number of labels; `cold.csv`
those of a model of the first labels alone.
"""

import argparse
import csv
import json
import statistics
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote

METRICS = ("accuracy", "balanced_accuracy")
Key = tuple[str, str, str, int]


def main() -> None:
    """Write both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    cold: defaultdict[Key, list[dict[str, float]]] = defaultdict(list)
    curves: defaultdict[Key, list[dict[str, float]]] = defaultdict(list)
    for file in sorted(options.runs.glob("*/cells/*/seed-*/round-*.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        folder = file.parts[-5]
        name, _, start = folder.removesuffix("-cold").partition("-")
        key = (name, start.removeprefix("cold-") or "centroids", unquote(file.parts[-3]), found["labels"])
        measured = {**found["metrics"], "seconds": found["seconds"]["train"] + found["seconds"].get("query", 0)}
        (cold if start.startswith("cold-") else curves)[key].append(measured)
    write(options.out / "curves.csv", curves)
    write(options.out / "cold.csv", cold)


def write(path: Path, found: dict[Key, list[dict[str, float]]]) -> None:
    """Write one row per data set, start, strategy and number of labels."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(
            [
                "dataset",
                "start",
                "strategy",
                "labels",
                "seeds",
                *(f"{m} {s}" for m in METRICS for s in ("mean", "std")),
                "seconds",
            ]
        )
        for key, values in sorted(found.items()):
            numbers = [
                f"{100 * statistic([each[m] for each in values]):.2f}"
                for m in METRICS
                for statistic in (statistics.fmean, spread)
            ]
            table.writerow([*key, len(values), *numbers, f"{statistics.fmean(each['seconds'] for each in values):.2f}"])


def spread(values: list[float]) -> float:
    """Return the standard deviation; 0 of one value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
