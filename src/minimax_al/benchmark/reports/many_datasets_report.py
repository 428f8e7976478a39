"""Report that compares strategies over several results folders: one page, figures and tables."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from minimax_al.benchmark.reports.report import RESAMPLING_SEED, TABLES
from minimax_al.benchmark.reports.sections import few_seeds, range_text
from minimax_al.benchmark.results.results import Results, read_results
from minimax_al.benchmark.runs.full_labels import read_full_labels
from minimax_al.benchmark.statistics.comparison import ALPHA
from minimax_al.benchmark.statistics.many_datasets import (
    SHARES,
    DatasetResults,
    LabelsNeeded,
    ManyComparison,
    compare_many,
    groups_within,
    labels_needed,
    reference_accuracy,
)
from minimax_al.durable import write_durably
from minimax_al.errors import ResultsError
from minimax_al.report import (
    Figure,
    ReportPage,
    Section,
    Table,
    TableCell,
    Text,
    curves_section,
    plot_ranks,
    rank_files,
    write_figure,
    write_page,
    write_records,
    write_tables,
)
from minimax_al.report.blocks import Block


def write_comparison(folders: Sequence[Path], out: Path) -> Path:
    """Write the report that compares strategies over several benchmarks.

    The files are `compare.html`, `ranks.svg`, `ranks.pdf`, `ranks.png`, `curves.csv` (records of the headline metric),
    `table.md`, and the page's tables as CSV and LaTeX in `tables/`.

    Args:
        folders: Results folders, one per data set.
        out: Folder of the report; it is created.

    Returns:
        Path of the page.

    Raises:
        ResultsError: A folder is not a results folder, or the data sets share fewer than two finished strategies.
    """
    if not folders:
        raise ResultsError("no results folder is given: name one or more, for example mal bench compare runs/*")
    results = [read_results(folder) for folder in folders]
    names = _names(results)
    entries = [_entry(result, name) for result, name in zip(results, names, strict=True)]
    comparison = compare_many(entries)
    page = ReportPage(
        title=f"{len(comparison.strategies)} strategies on {len(entries)} data set{'s' * (len(entries) != 1)}",
        summary=list(_summary(comparison)),
        sections=[
            _ranks_section(comparison),
            _wins_section(comparison),
            _areas_section(comparison, names),
            *_needed_sections(comparison, entries),
            *(
                curves_section(result.curves(result.headline), title=f"Learning curves: {name}")
                for result, name in zip(results, names, strict=True)
            ),
        ],
        eyebrow="Benchmark",
    )
    write_records(out / "curves.csv", [record for entry in entries for record in entry.records])
    write_figure(out, "ranks", rank_files(*_diagram(comparison)))
    write_durably(out / "table.md", _markdown(comparison).encode())
    write_tables(out / TABLES, page)
    write_page(out / "compare.html", page)
    return out / "compare.html"


def _names(results: Sequence[Results]) -> list[str]:
    """Return the protocols' names, with the folder's name where several share one."""
    plain = [result.protocol.name for result in results]
    return [
        name if plain.count(name) == 1 else f"{name} ({result.out.name})"
        for name, result in zip(plain, results, strict=True)
    ]


def _entry(results: Results, name: str) -> DatasetResults:
    """Return the records of the seeds that all finished strategies of a data set share."""
    metric, seeds, done = results.headline, results.finished_seeds, results.finished_strategies
    if not seeds or results.protocol.points < 2:
        raise ResultsError(
            f"folder {str(results.out)!r} has no seed that all its strategies have finished: run the benchmark first"
        )
    records = [
        record._replace(dataset=name)
        for record in results.records
        if record.metric == metric and record.seed in seeds and record.strategy in done
    ]
    return DatasetResults(name, records, metric, read_full_labels(results.protocol, results.out, metric))


def _summary(comparison: ManyComparison) -> Iterator[str]:
    ranks = comparison.average_ranks
    order = np.argsort(ranks, kind="stable")
    best = comparison.strategies[order[0]]
    datasets = len(comparison.curves)
    yield f"Best average rank over {datasets} data set{'s' * (datasets != 1)}: {best}, {ranks[order[0]]:.2f}."
    beaten = [comparison.strategies[k] for k in order[1:] if comparison.p[order[0], k] < ALPHA]
    if beaten:
        yield f"It is better than {', '.join(beaten)} beyond chance (signed-rank test over data sets, Holm)."
    if np.isfinite(comparison.friedman_p):
        verdict = "differ" if comparison.friedman_p < ALPHA else "are not separated"
        yield f"Taken together the strategies {verdict} (Friedman's test, p {_p(comparison.friedman_p)})."
    yield from comparison.notes


def _diagram(comparison: ManyComparison) -> tuple[list[str], list[float], float, list[tuple[int, int]]]:
    difference = comparison.critical_difference
    groups = groups_within(comparison.average_ranks, difference) if np.isfinite(difference) else []
    return list(comparison.strategies), comparison.average_ranks.tolist(), difference, groups


def _markdown(comparison: ManyComparison) -> str:
    """Return average ranks and mean areas as a Markdown table, the best first."""
    lines = ["| | average rank | mean area, % |", "| :-- | --: | --: |"]
    for k in np.argsort(comparison.average_ranks, kind="stable"):
        area = f"{100 * comparison.areas[:, k].mean():.1f}"
        lines.append(f"| {comparison.strategies[k]} | {comparison.average_ranks[k]:.2f} | {area} |")
    return "\n".join(lines) + "\n"


def _ranks_section(comparison: ManyComparison) -> Section:
    diagram = _diagram(comparison)
    caption = "Average rank by area under the learning curve, 1 is best."
    if np.isfinite(comparison.critical_difference):
        caption += " Bars join strategies that Nemenyi's critical difference (CD, level 0.05) does not separate."
    wide, narrow = (plot_ranks(*diagram, narrow=small) for small in (False, True))
    order = np.argsort(comparison.average_ranks, kind="stable")
    rows = [
        [
            comparison.strategies[k],
            f"{comparison.average_ranks[k]:.2f}",
            *(f"{rank:g}" for rank in comparison.ranks[:, k]),
        ]
        for k in order
    ]
    table = Table(["", "average", *comparison.curves], rows, "Ranks by data set.")
    return Section("Average ranks", [Figure(wide, "Critical-difference diagram", caption, narrow), table])


def _wins_section(comparison: ManyComparison) -> Section:
    datasets = len(comparison.curves)
    rows: list[list[str | TableCell]] = []
    for i, strategy in enumerate(comparison.strategies):
        cells = [_win(comparison, i, j, datasets) for j in range(len(comparison.strategies))]
        rows.append([strategy, *cells])
    caption = (
        f"Number of data sets, of {datasets}, on which the row is better than the column; a tie counts one half. Below:"
        " p of Wilcoxon's signed-rank test over data sets, adjusted by Holm's method. Coloured where it is under"
        f" {ALPHA:g}."
    )
    return Section("Wins", [Table(["", *comparison.strategies], rows, caption)])


def _win(comparison: ManyComparison, row: int, column: int, datasets: int) -> TableCell:
    if row == column:
        return TableCell("", tone="muted")
    p, wins = comparison.p[row, column], comparison.wins[row, column]
    if p >= ALPHA:
        return TableCell(f"{wins:g}", f"p {_p(p)}")
    return TableCell(f"{wins:g}", f"p {_p(p)}", "win" if wins > datasets / 2 else "loss")


def _areas_section(comparison: ManyComparison, names: Sequence[str]) -> Section:
    def cell(name: str, mean: float, strategy: str) -> TableCell:
        return TableCell(f"{100 * mean:.1f}", range_text(comparison.intervals[name, strategy], 100, 1))

    rows: list[list[str | TableCell]] = []
    for strategy, areas_D in zip(comparison.strategies, comparison.areas.T, strict=True):
        cells = [cell(name, area, strategy) for name, area in zip(names, areas_D, strict=True)]
        rows.append([strategy, *cells, f"{100 * areas_D.mean():.1f}"])
    caption = (
        "Mean accuracy (masks: mean IoU) over the learning curve, %, by trapezoids. Below: 95% t interval over seeds,"
        " within 0 and 100%."
    )
    fewest = min(len(curves.seeds) for curves in comparison.curves.values())
    blocks: list[Block] = [Table(["", *names, "mean"], rows, caption), Text(few_seeds(fewest), quiet=True)]
    return Section("Area under the curve", blocks)


def _needed_sections(comparison: ManyComparison, entries: Sequence[DatasetResults]) -> Iterator[Section]:
    generator = np.random.default_rng(RESAMPLING_SEED)
    references = [reference_accuracy(entry, comparison.curves[entry.name]) for entry in entries]
    heads: list[str | TableCell] = [
        TableCell(entry.name, f"{100 * accuracy:.1f}%")
        for entry, (accuracy, _) in zip(entries, references, strict=True)
    ]
    unknown = [entry.name for entry, (_, is_full) in zip(entries, references, strict=True) if not is_full]
    for share in SHARES:
        needed = [
            labels_needed(comparison.curves[entry.name], share * accuracy, generator)
            for entry, (accuracy, _) in zip(entries, references, strict=True)
        ]
        rows: list[list[str | TableCell]] = [
            [strategy, *(_labels(of_one[k]) for of_one in needed)] for k, strategy in enumerate(comparison.strategies)
        ]
        caption = (
            f"Number of labels for {100 * share:g}% of the accuracy in the heading, that of a model trained on all"
            " labels. Below: 95% interval, bootstrap over seeds."
        )
        remarks = [_without_reference(unknown)] if unknown else []
        yield Section(
            f"Labels for {100 * share:g}% of the full-label accuracy",
            [Table(["", *heads], rows, caption), Text(remarks, quiet=True)],
        )


def _without_reference(names: Sequence[str]) -> str:
    return (
        f"No model was trained on all labels of {', '.join(names)}, so the heading is the highest mean accuracy that a"
        " strategy reached there; `mal bench run … --full-labels` trains one."
    )


def _labels(needed: LabelsNeeded) -> TableCell:
    if needed.labels is None:
        return TableCell("not reached", range_text(needed.interval, 1, 0), "muted")
    return TableCell(("≤ " if needed.at_most else "") + f"{needed.labels:,.0f}", range_text(needed.interval, 1, 0))


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}".replace("0.", ".", 1)
