"""Apply the rule for the default strategy (`RULE.md`, points 2 to 4) to the areas that `mal bench compare` wrote.

python experiments/features-grid/rule.py experiments/features-grid/comparison/area-under-the-curve.csv
"""

import argparse
import csv
from pathlib import Path
from statistics import fmean

from scipy.stats import rankdata

DEVELOPMENT = ("textures", "flowers", "xray", "caltech101", "gtsrb")
HELD_OUT = ("tiles", "trash")
LATER = ("cracks",)
"""Fetched and looked at after the default had been chosen."""
DEFAULT, MARGIN = "cluster_margin", 0.5


def main() -> None:
    """Print the average ranks, and what the rule decides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("areas", type=Path)
    with parser.parse_args().areas.open(encoding="utf-8", newline="") as file:
        areas = {row[""]: row for row in csv.DictReader(file)}
    development, held_out = average_ranks(areas, DEVELOPMENT), average_ranks(areas, HELD_OUT)
    for name in sorted(areas, key=lambda each: development[each]):
        print(f"{name}: average rank {development[name]:.1f} on development sets, {held_out[name]:.1f} on the others")  # noqa: T201
    first = min(areas, key=lambda each: development[each])
    chosen = DEFAULT if development[DEFAULT] <= development[first] + MARGIN else first
    above = all(float(areas[chosen][name]) > float(areas["random"][name]) for name in HELD_OUT)
    confirmed = above and held_out[chosen] <= held_out[DEFAULT]
    decided = chosen if confirmed else DEFAULT
    for name in LATER:
        ranks = {each: f"{rank:.0f}" for each, rank in average_ranks(areas, (name,)).items()}
        print(f"{name}, later: rank {ranks[chosen]} of {len(areas)}, {DEFAULT} {ranks[DEFAULT]}")  # noqa: T201
    print(f"chosen: {chosen}; {'confirmed' if confirmed else 'not confirmed'}; default: {decided}")  # noqa: T201


def average_ranks(areas: dict[str, dict[str, str]], names: tuple[str, ...]) -> dict[str, float]:
    """Return the average rank of each strategy over data sets; the largest area has rank 1."""
    ranks = [rankdata([-float(row[name]) for row in areas.values()]) for name in names]
    return {strategy: fmean(float(each[i]) for each in ranks) for i, strategy in enumerate(areas)}


if __name__ == "__main__":
    main()
