"""Print the tables of the documentation from the measurements.

    python experiments/features-grid/tables.py curves experiments/features-grid/curves.csv
    python experiments/features-grid/tables.py short experiments/features-grid/curves.csv
    python experiments/features-grid/tables.py areas experiments/features-grid/comparison/area-under-the-curve.csv
    python experiments/features-grid/tables.py imbalance experiments/features-grid/imbalance.csv
    python experiments/features-grid/tables.py training experiments/features-grid/mal_parts.csv
    python experiments/features-grid/tables.py choice experiments/features-grid/mal_parts.csv
    cd experiments/features-grid && python tables.py curves curves.csv --into ../../docs/results_features.md

`--into` replaces the lines between the comments `table: NAME` and `end of table`. `curves` has mean ± standard
deviation at every number of labels, `short` the mean at the last one. `areas` has the area under the curve of every
strategy, and the average rank. `imbalance` has accuracy and, in parentheses,
balanced accuracy of the former head, and the differences of the default head and of the linear probe from it; it leaves
out tiles, which confirm on test images. `training` and `choice` have the parts of MAL. Their differences have 95 %
intervals of a bootstrap over seeds within each data set, and every data set has the same weight.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from intervals import clustered_difference

ORDER = ("textures", "flowers", "xray", "caltech101", "gtsrb", "tiles", "trash", "cracks", "cifar100")
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
HEADS = ("former", "default", "linear probe")
CONFIRMING = frozenset({"tiles"})
BASES = {"training": ("head alone", "equal work"), "choice": ("random", "entropy", "diversity")}
"""Settings that the others of a part of MAL are compared with."""

Curve = dict[tuple[str, int], dict[str, str]]
Part = tuple[str, int, str, str, float]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["curves", "short", "areas", "imbalance", *BASES])
    parser.add_argument("table", type=Path)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--metric", default="accuracy", choices=["accuracy", "balanced_accuracy"])
    parser.add_argument("--into", type=Path, help="page whose table is replaced")
    options = parser.parse_args()
    if options.what in BASES:
        lines = parts(read_parts(options.table), options.what)
    elif options.what == "imbalance":
        lines = imbalance(read(options.table))
    elif options.what == "areas":
        lines = areas(read(options.table), read(options.table.with_name("average-ranks.csv")))
    else:
        strategies = options.strategies.split(",")
        lines = curves(read(options.table), strategies, options.metric, last_only=options.what == "short")
    text = "\n".join(lines)
    if options.into is None:
        print(text)  # noqa: T201
    else:
        replace_table(options.into, options.what, text)


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table with a header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_parts(path: Path) -> list[Part]:
    """Return data set, seed, part, setting and accuracy in percent of every measurement of `mal_parts.py`."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(name, int(seed), part, setting, float(value)) for name, seed, part, setting, value in csv.reader(file)]


def replace_table(page: Path, name: str, table: str) -> None:
    """Replace the table of a name in a page; without its two comments, write nothing and end with one sentence."""
    begin, end = f"<!-- table: {name} -->\n", "<!-- end of table -->"
    text = page.read_text(encoding="utf-8")
    if text.count(begin) != 1:
        found = f"{text.count(begin)} lines" if begin in text else "no line"
        raise SystemExit(f"{page} has {found} {begin.strip()!r}: put one before the table, and {end!r} after it.")
    before, _, rest = text.partition(begin)
    former, found_end, after = rest.partition(end)
    if not found_end or "<!-- table: " in former:
        raise SystemExit(f"{page} has no line {end!r} after {begin.strip()!r}: put one after the table.")
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


def areas(rows: Sequence[dict[str, str]], ranks: Sequence[dict[str, str]]) -> Iterator[str]:
    """Yield the lines of a table with one line per strategy, in the order of `ranks`, the largest area in bold."""
    names = [name for name in ORDER if name in rows[0]]
    found = {row[""]: [float(row[name]) for name in names] for row in rows}
    best = [max(column) for column in zip(*found.values(), strict=True)]
    yield f"| | {' | '.join(names)} | average rank |"
    yield f"| :-- |{' --: |' * (len(names) + 1)}"
    for row in ranks:
        own = zip(found[row[""]], best, strict=True)
        cells = [f"**{area:.1f}**" if area == largest else f"{area:.1f}" for area, largest in own]
        yield f"| `{row['']}` | {' | '.join(cells)} | {float(row['average']):.1f} |"


def imbalance(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    """Yield the lines of a table with one line per kind of data set."""
    fits: defaultdict[tuple[str, ...], dict[str, tuple[float, float]]] = defaultdict(dict)
    for row in rows:
        key = (row["dataset"], row["seed"], row["labels"], row["kind"])
        fits[key][row["head"]] = (float(row["accuracy"]), float(row["balanced_accuracy"]))
    kinds: defaultdict[str, list[tuple[str, int, dict[str, tuple[float, float]]]]] = defaultdict(list)
    for (name, seed, *_), heads in fits.items():
        base, _, number = name.rpartition("-")
        if name not in CONFIRMING and set(HEADS) <= heads.keys():
            kinds[base if number.isdigit() else name].append((name, int(seed), heads))
    yield "| | sets | seeds | fits | former head | default − former | linear probe − former |"
    yield "| :-- | --: | --: | --: | --: | --: | --: |"
    for kind, found in kinds.items():
        means = [
            clustered_difference(grouped([(name, seed, heads["former"][metric]) for name, seed, heads in found]))[0]
            for metric in (0, 1)
        ]
        cells = []
        for head in HEADS[1:]:
            gaps = (
                [(name, seed, heads[head][metric] - heads["former"][metric]) for name, seed, heads in found]
                for metric in (0, 1)
            )
            texts = [shown(each) for each in gaps]
            cells.append(f"{texts[0]} ({texts[1]})")
        seeds = sorted({name: len({seed for each, seed, _ in found if each == name}) for name, *_ in found}.items())
        counts = ", ".join(str(count) for _, count in seeds)
        former = f"{means[0]:.1f} ({means[1]:.1f})"
        yield f"| {kind} | {len(seeds)} | {counts} | {len(found)} | {former} | {' | '.join(cells)} |"


def parts(rows: Sequence[Part], part: str) -> Iterator[str]:
    """Yield the lines of a table of the trainings or choices of MAL, with one line per setting."""
    found: defaultdict[str, dict[tuple[str, int], float]] = defaultdict(dict)
    for name, seed, kind, setting, value in rows:
        if kind == part:
            found[setting][name, seed] = value
    names = list(dict.fromkeys(name for values in found.values() for name, _ in values))
    base, *_ = BASES[part]
    columns = [([name], base, f"{name}, {base}") for name in names]
    columns += [(names, other, f"all, {other}") for other in BASES[part]]
    yield f"| {part}: difference from | {' | '.join(title for *_, title in columns)} |"
    yield f"| :-- {'| --: ' * len(columns)}|"
    for setting, ours in found.items():
        cells = []
        for sets, other, _ in columns:
            theirs = found[other]
            gaps = [(*key, ours[key] - theirs[key]) for key in ours if key in theirs and key[0] in sets]
            is_whole = {name for name, *_ in gaps} == set(sets)
            cells.append("0" if setting == other else shown(gaps) if is_whole else "")
        yield f"| {setting} | {' | '.join(cells)} |"


def shown(gaps: Sequence[tuple[str, int, float]]) -> str:
    """Return the mean of the differences, each with its data set and seed, and its interval if there is one."""
    mean, interval = clustered_difference(grouped(gaps))
    return f"{mean:+.1f}" if interval is None else f"{mean:+.1f} [{interval.low:+.1f}, {interval.high:+.1f}]"


def grouped(values: Sequence[tuple[str, int, float]]) -> dict[str, dict[int, list[float]]]:
    """Return the values by data set and seed."""
    found: dict[str, dict[int, list[float]]] = {}
    for name, seed, value in values:
        found.setdefault(name, {}).setdefault(seed, []).append(value)
    return found


if __name__ == "__main__":
    main()
