"""Draw the learning curves of a few strategies on all data sets, from the table that `summary.py` wrote.

python experiments/features-grid/figure.py experiments/features-grid/curves.csv docs/assets/features-grid.svg
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

SHOWN = {
    "uherding": "#1b7837",
    "dropquery": "#2166ac",
    "cluster_margin": "#67a9cf",
    "margin": "#b2182b",
    "random": "#555555",
}
COLUMNS = 3


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    points: defaultdict[str, defaultdict[str, list[tuple[int, float, float]]]] = defaultdict(lambda: defaultdict(list))
    with options.curves.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["start"] == "centroids" and row["strategy"] in SHOWN:
                point = int(row["labels"]), float(row["accuracy mean"]), float(row["accuracy std"])
                points[row["dataset"]][row["strategy"]].append(point)
    mpl.rcParams.update({"svg.hashsalt": "features-grid", "font.size": 9})
    rows = -(-len(points) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(9, 2.6 * rows), squeeze=False, layout="constrained")
    for place in axes.flat[len(points) :]:
        place.axis("off")
    for place, (name, curves) in zip(axes.flat, points.items(), strict=False):
        for strategy, colour in SHOWN.items():
            labels, means, spreads = zip(*sorted(curves[strategy]), strict=True)
            place.errorbar(labels, means, spreads, color=colour, label=strategy, linewidth=1.4, capsize=2)
        place.set_title(name, fontsize=9)
        place.spines[["top", "right"]].set_visible(False)
    for place in axes[:, 0]:
        place.set_ylabel("accuracy in %")
    for place in axes[-1]:
        place.set_xlabel("labels")
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(SHOWN), frameon=False)
    figure.savefig(options.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
