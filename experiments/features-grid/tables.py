"""Print the tables of the documentation from the measurements.

    python experiments/features-grid/tables.py curves experiments/features-grid/curves.csv
    python experiments/features-grid/tables.py short experiments/features-grid/curves.csv
    python experiments/features-grid/tables.py imbalance experiments/features-grid/imbalance.csv
    python experiments/features-grid/tables.py curves experiments/features-grid/curves.csv --into docs/results.md

`--into` replaces the lines between the comments `table: NAME` and `end of table`. `curves` has mean ± standard
deviation at every number of labels, `short` the mean at the last one. `imbalance` has accuracy and, in parentheses,
balanced accuracy of the former head, and the differences of the default head and of the linear probe from it, with 95 %
bootstrap intervals over draws of labels.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from intervals import difference

ORDER = ("textures", "flowers", "xray", "caltech101", "gtsrb", "cifar100", "tiles", "trash")
STRATEGIES = (
    "random",
    "entropy",
    "typicality",
    "coreset",
    "badge",
    "margin",
    "cluster_margin",
    "dropquery",
    "uherding",
)
Curve = dict[tuple[str, int], dict[str, str]]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["curves", "short", "imbalance"])
    parser.add_argument("table", type=Path)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--metric", default="accuracy", choices=["accuracy", "balanced_accuracy"])
    parser.add_argument("--into", type=Path, help="page whose table is replaced")
    options = parser.parse_args()
    with options.table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if options.what == "imbalance":
        lines = imbalance(rows)
    else:
        lines = curves(rows, options.strategies.split(","), options.metric, last_only=options.what == "short")
    text = "\n".join(lines)
    if options.into is None:
        print(text)  # noqa: T201
    else:
        replace_table(options.into, options.what, text)


def replace_table(page: Path, name: str, table: str) -> None:
    """Replace the table of a name in a page."""
    begin, end = f"<!-- table: {name} -->\n", "<!-- end of table -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{table}\n\n{end}{after}", encoding="utf-8")


def curves(rows: Sequence[dict[str, str]], strategies: Sequence[str], metric: str, *, last_only: bool) -> Iterator[str]:
    """Yield the lines of a table with one line per data set and number of labels, the best mean in bold."""
    found: defaultdict[str, Curve] = defaultdict(dict)
    for row in rows:
        if row["start"] == "centroids" and row["strategy"] in strategies:
            found[row["dataset"]][row["strategy"], int(row["labels"])] = row
    first = "" if last_only else " first labels |"
    yield f"| | labels |{first}" + "".join(f" `{name}` |" for name in strategies)
    yield "|:--|--:|" + ("" if last_only else "--:|") + "--:|" * len(strategies)
    for name in [name for name in ORDER if name in found]:
        counts = sorted({labels for _, labels in found[name]})
        shown = counts[-1:] if last_only else counts[1:]
        for labels in shown:
            cells = [found[name].get((strategy, labels)) for strategy in strategies]
            best = max(float(cell[f"{metric} mean"]) for cell in cells if cell)
            line = f"| {name if labels == shown[0] else ''} | {labels} |"
            if not last_only:
                start = found[name]["random", counts[0]]
                line += f" {float(start[f'{metric} mean']):.1f} ({counts[0]}) |" if labels == shown[0] else " |"
            yield line + "".join(f" {cell_of(cell, metric, best, last_only=last_only)} |" for cell in cells)


def cell_of(row: dict[str, str] | None, metric: str, best: float, *, last_only: bool) -> str:
    """Return the text of one cell."""
    if row is None:
        return ""
    mean = float(row[f"{metric} mean"])
    text = f"**{mean:.1f}**" if mean >= best else f"{mean:.1f}"
    return text if last_only else f"{text} ± {float(row[f'{metric} std']):.1f}"


def imbalance(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    """Yield the lines of a table with one line per kind of data set."""
    draws: defaultdict[str, defaultdict[tuple[str, ...], dict[str, tuple[float, float]]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for row in rows:
        base, _, number = row["dataset"].rpartition("-")
        kind = base if number.isdigit() else row["dataset"]
        key = (row["dataset"], row["labels"], row["kind"], row["seed"])
        draws[kind][key][row["head"]] = (float(row["accuracy"]), float(row["balanced_accuracy"]))
    yield "| | fits | former head | default − former | linear probe − former |"
    yield "| :-- | --: | --: | --: | --: |"
    for kind, by_key in draws.items():
        complete = [heads for heads in by_key.values() if {"former", "default", "linear probe"} <= heads.keys()]
        values = {head: np.array([each[head] for each in complete]) for head in ("former", "default", "linear probe")}
        means = values["former"].mean(axis=0)
        cells = []
        for head in ("default", "linear probe"):
            gaps = [difference(values[head][:, metric], values["former"][:, metric]) for metric in (0, 1)]
            texts = [f"{mean:+.1f} [{interval.low:+.1f}, {interval.high:+.1f}]" for mean, interval in gaps]
            cells.append(f"{texts[0]} ({texts[1]})")
        yield f"| {kind} | {len(complete)} | {means[0]:.1f} ({means[1]:.1f}) | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
