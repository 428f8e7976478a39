"""Report of a results folder: one page, tidy records, figures and tables."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from minimax_al.benchmark.folders.folder import read_provenance
from minimax_al.benchmark.folders.round_files import RoundResult
from minimax_al.benchmark.protocol import Protocol, load_protocol
from minimax_al.benchmark.reports.sections import (
    areas_section,
    comparison_section,
    gain_split_section,
    head_middle_tail_section,
    labels_saved_section,
)
from minimax_al.benchmark.results.paper import differences_to_paper, paper_claims, paper_points
from minimax_al.benchmark.results.picks import picked_rounds
from minimax_al.benchmark.results.results import Results, read_results
from minimax_al.benchmark.runs.grid import Cell, cells_of
from minimax_al.benchmark.statistics.comparison import Comparison, paired_comparison
from minimax_al.benchmark.statistics.gains import BASELINE, CONTROL, MAL, gain_split, labels_saved
from minimax_al.benchmark.statistics.statistics import HeadMiddleTail, frequency_groups, head_middle_tail
from minimax_al.benchmark.statistics.verdict import verdict
from minimax_al.durable import write_durably
from minimax_al.report import (
    ClassBalance,
    Code,
    Curve,
    Disclosure,
    PublishedPoints,
    Record,
    ReportPage,
    Section,
    Table,
    Text,
    class_balance_section,
    curve_files,
    curves_section,
    figures_section,
    picks_section,
    provenance_section,
    set_aside_section,
    timing_section,
    to_latex,
    to_markdown,
    write_figure,
    write_page,
    write_records,
    write_tables,
)

RESAMPLING_SEED = 0

TABLES = "tables"
"""Folder of the tables of the page, as CSV and LaTeX."""

_MOST_DIFFERENCES = 5


def write_report(out: Path, data: Path | None = None) -> Path:
    """Write the report of a results folder next to its results.

    The files are `report.html`, `curves.csv` (all records), `curve.svg`, `curve.pdf`, `curve.png`, `table.md`,
    `table.tex`, and the page's tables as CSV and LaTeX in `tables/`. Where the data set is not available, the page
    has everything except the picked images.

    Args:
        out: Results folder.
        data: Path of the data, if it has moved.

    Returns:
        Path of the page.

    Raises:
        ResultsError: The folder is not a results folder, has no finished round, or `data` is another data set.
        DataError: The data is not at `data`.
    """
    results = read_results(out, data)
    curves = results.curves(results.headline)
    published = _published(results.protocol)
    page = _page(results, curves, published)
    write_records(out / "curves.csv", results.records)
    write_figure(out, "curve", curve_files(curves, published))
    write_durably(out / "table.md", to_markdown(curves).encode())
    write_durably(out / "table.tex", to_latex(curves).encode())
    write_tables(out / TABLES, page)
    write_page(out / "report.html", page)
    return out / "report.html"


def _published(protocol: Protocol) -> tuple[PublishedPoints, ...]:
    """Return the paper's points, if the protocol has the paper's data, labels and recipe."""
    return paper_points(protocol.name, protocol.recipe.encoder) if differences_to_paper(protocol) == [] else ()


def _page(results: Results, curves: list[Curve], published: tuple[PublishedPoints, ...]) -> ReportPage:
    protocol = results.protocol
    records, names = _comparable(results)
    comparison = paired_comparison(records, names, results.headline) if names else None
    return ReportPage(
        title=f"Active learning on {protocol.name}",
        summary=[*(verdict(records, comparison) if comparison else []), *_summary(results, curves)],
        sections=[
            curves_section(curves, published),
            figures_section(curves),
            areas_section(curves),
            *_comparisons(records, names, comparison, results.headline),
            *_further_metrics(results),
            *_class_sections(results),
            _picks(results),
            timing_section(results.records, protocol.name),
            _failed_section(results),
            set_aside_section(results.facts.set_aside),
            provenance_section(_provenance(results)),
        ],
        eyebrow="Benchmark",
    )


def _comparable(results: Results) -> tuple[list[Record], list[str]]:
    """Return the strategies that can be compared, and their records on the seeds that all have finished."""
    seeds = results.finished_seeds
    names = [name for name in results.strategies if seeds and name in results.finished_strategies]
    if len(names) < 2 or results.protocol.points < 2:
        return [], []
    return [record for record in results.records if record.seed in seeds and record.strategy in names], names


def _summary(results: Results, curves: list[Curve]) -> Iterator[str]:
    protocol = results.protocol
    missing = len(cells_of(protocol)) * protocol.points - sum(map(len, results.rounds.values()))
    last = [(float(curve.mean[-1]), curve.strategy) for curve in curves if curve.labels[-1] == curves[0].labels[-1]]
    reached = ", ".join(f"{strategy} {value:.1%}" for value, strategy in sorted(last, reverse=True))
    yield f"At {int(curves[0].labels[-1]):,} labels: {reached}."
    yield (
        f"{len(curves)} {_plural(len(curves), 'strategy', 'strategies')}, {protocol.seeds} "
        f"{_plural(protocol.seeds, 'seed', 'seeds')}, from {protocol.start} labels in steps of {protocol.step}; "
        f"{results.facts.train:,} training and {results.facts.test:,} test images."
    )
    if protocol.validation:
        yield (
            f"Measured on {protocol.validation:,} images that were taken from the training set; the test set was "
            "not used."
        )
    if missing:
        yield (
            f"Not finished: {missing} rounds are left to run. Figures are of the finished rounds, comparisons of the "
            "seeds that all strategies have finished."
        )
    if results.failures:
        yield f"{len(results.failures)} of {len(cells_of(protocol))} runs failed; their reasons are below."
    if len(_conditions(results)) > 1:
        yield f"Computed under {len(_conditions(results))} different conditions (device, precision, threads or CPU)."
    yield from _about_the_paper(protocol)


def _about_the_paper(protocol: Protocol) -> Iterator[str]:
    """Yield the paper's claims, or the settings that make its numbers incomparable."""
    differing = differences_to_paper(protocol)
    if differing:
        more = f" and {len(differing) - _MOST_DIFFERENCES} more" if len(differing) > _MOST_DIFFERENCES else ""
        yield (
            "The paper's numbers are not drawn, because this recipe differs from the paper's: "
            f"{', '.join(differing[:_MOST_DIFFERENCES]).replace(' now)', ' here)')}{more}."
        )
        return
    claims = paper_claims(protocol.name) if protocol.is_preset else ()
    if claims and (differing == [] or load_protocol(protocol.name, "paper").recipe == protocol.recipe):
        yield from claims


def _plural(count: int, one: str, several: str) -> str:
    return one if count == 1 else several


def _conditions(results: Results) -> set[str]:
    rounds = (result for of_cell in results.rounds.values() for result in of_cell)
    return {repr(sorted(result.conditions.items())) for result in rounds if result.conditions}


def _further_metrics(results: Results) -> Iterator[Section]:
    titles = {
        "classifier_accuracy": "The classifier C∘F",
        "classifier_miou": "The classifier C∘F",
        "balanced_accuracy": "Balanced accuracy",
        "pixel_accuracy": "Pixel accuracy",
        "calibration_error": "Calibration error",
    }
    for metric, title in titles.items():
        if curves := results.curves(metric):
            yield figures_section(curves, title=title)


def _comparisons(
    records: list[Record], names: list[str], comparison: Comparison | None, metric: str
) -> Iterator[Section]:
    """Yield comparisons on the seeds that all compared strategies have finished."""
    if comparison is None:
        return
    yield comparison_section(comparison)
    generator = np.random.default_rng(RESAMPLING_SEED)
    for reference in (BASELINE, CONTROL):
        others = [name for name in names if name != reference]
        if reference in names and others:
            saved = [labels_saved(records, name, reference, generator=generator, metric=metric) for name in others]
            yield labels_saved_section(saved)
    if {MAL, CONTROL, BASELINE} <= set(names):
        yield gain_split_section(gain_split(records, metric=metric))


def _class_sections(results: Results) -> Iterator[Section]:
    """Yield head, middle and tail where the pool is uneven, then the balance of the labels."""
    if results.facts.task == "segmentation":
        return
    totals = results.facts.totals
    uneven = any(max(counts) > 2 * max(1, min(counts)) for counts in totals.values())
    if uneven:
        last = max(rounds[-1].labels for rounds in results.rounds.values())
        found: dict[str, list[HeadMiddleTail]] = {}
        for cell, rounds in results.rounds.items():
            if rounds[-1].labels == last:
                found.setdefault(cell.strategy, []).append(_by_frequency(rounds[-1], totals[cell.seed]))
        yield head_middle_tail_section(found, last)
    yield class_balance_section(
        [
            ClassBalance(
                cell.strategy,
                cell.seed,
                result.round,
                results.facts.class_names,
                result.class_counts,
                frequency_groups(totals[cell.seed]).tolist() if uneven else (),
            )
            for cell, rounds in results.rounds.items()
            for result in rounds
        ]
    )


def _by_frequency(result: RoundResult, counts: list[int]) -> HeadMiddleTail:
    pairs = [(value, count) for value, count in zip(result.per_class, counts, strict=True) if value is not None]
    return head_middle_tail([value for value, _ in pairs], [count for _, count in pairs])


def _picks(results: Results) -> Section:
    """Return the picked images, or a sentence where they are not available."""
    if results.dataset is None:
        return Section("Picked images", [Text([f"Not shown: {results.absence}"], quiet=True)])
    if results.dataset.sample == "features":
        return Section("Picked images", [Text(["Not shown: the data set has feature vectors alone."], quiet=True)])
    note = "Below each image: its class, the predicted class before labelling, its scores; rank 1 is first."
    if results.facts.task == "segmentation":
        note = "From left to right: image, truth, prediction before labelling, entropy (white: all classes alike)."
    rounds = _best_first(results)
    return picks_section(picked_rounds(results.dataset, results.protocol, results.out, rounds), note)


def _best_first(results: Results) -> dict[Cell, list[RoundResult]]:
    """Return the rounds of each cell, those of the strategy with the highest last mean first: the page opens on it."""
    last = {curve.strategy: float(curve.mean[-1]) for curve in results.curves(results.headline)}
    cells = sorted(results.rounds, key=lambda cell: (-last.get(cell.strategy, float("-inf")), cell.seed))
    return {cell: results.rounds[cell] for cell in cells}


def _failed_section(results: Results) -> Section | None:
    """Return the failed runs with their reasons, or None if every run succeeded."""
    if not results.failures:
        return None
    rows = [[f"{cell.strategy}, seed {cell.seed}", failure.reason] for cell, failure in results.failures.items()]
    tracebacks = [Code(failure.traceback) for failure in results.failures.values() if failure.traceback]
    folded = [Disclosure("Tracebacks", tracebacks)] if tracebacks else []
    return Section("Failed runs", [Table(["run", "reason"], rows, words=(0, 1)), *folded])


def _provenance(results: Results) -> dict[str, object]:
    calls = read_provenance(results.out)
    named = {"run": calls[0]} if len(calls) == 1 else {f"call {number}": call for number, call in enumerate(calls, 1)}
    return {**named, "protocol": results.protocol.model_dump(mode="json")}
