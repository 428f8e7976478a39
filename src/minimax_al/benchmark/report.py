"""The report of a results folder: one page, tidy records, a plot, and tables to paste into a paper."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from minimax_al.benchmark.comparison import paired_comparison
from minimax_al.benchmark.folder import read_provenance
from minimax_al.benchmark.gains import BASELINE, CONTROL, MAL, gain_split, labels_saved
from minimax_al.benchmark.grid import cells_of
from minimax_al.benchmark.paper import paper_claims, paper_points
from minimax_al.benchmark.picks import picked_rounds
from minimax_al.benchmark.protocol import Protocol
from minimax_al.benchmark.records import Results, read_results
from minimax_al.benchmark.results import RoundResult
from minimax_al.benchmark.sections import (
    areas_section,
    comparison_section,
    gain_split_section,
    head_middle_tail_section,
    labels_saved_section,
)
from minimax_al.benchmark.statistics import HeadMiddleTail, frequency_groups, head_middle_tail
from minimax_al.durable import write_durably
from minimax_al.report import (
    ClassBalance,
    Code,
    Curve,
    Disclosure,
    PublishedPoints,
    ReportPage,
    Section,
    Table,
    Text,
    class_balance_section,
    curves_section,
    figures_section,
    picks_section,
    plot_curves,
    provenance_section,
    set_aside_section,
    timing_section,
    to_latex,
    to_markdown,
    write_page,
    write_records,
)

RESAMPLING_SEED = 0


def write_report(out: Path, data: Path | None = None) -> Path:
    """Write `report.html`, `curves.csv`, `curve.svg`, `table.md` and `table.tex` into a results folder.

    Where the data set is not at hand, all but the picked images is there.

    Args:
        out: the folder.
        data: where the data lie, in place of where the benchmark read them.

    Returns:
        The page.

    Raises:
        ResultsError: it is no results folder, or nothing in it is finished.
        DataError: the data are not where `data` says.
    """
    results = read_results(out, data)
    curves = results.curves(results.headline)
    published = _published(results.protocol)
    write_records(out / "curves.csv", results.records)
    write_durably(out / "curve.svg", plot_curves(curves, published).encode())
    write_durably(out / "table.md", to_markdown(curves).encode())
    write_durably(out / "table.tex", to_latex(curves).encode())
    write_page(out / "report.html", _page(results, curves, published))
    return out / "report.html"


def _published(protocol: Protocol) -> tuple[PublishedPoints, ...]:
    """The paper's points, where the protocol is the one that they belong to."""
    return paper_points(protocol.name, protocol.recipe.encoder) if protocol.is_preset else ()


def _page(results: Results, curves: list[Curve], published: tuple[PublishedPoints, ...]) -> ReportPage:
    protocol = results.protocol
    return ReportPage(
        title=f"Active learning on {protocol.name}",
        summary=list(_summary(results, curves)),
        sections=[
            curves_section(curves, published),
            figures_section(curves),
            *_further_metrics(results),
            *_statistics(results, curves),
            *_class_sections(results),
            _picks(results),
            timing_section(results.records, protocol.name),
            _failed_section(results),
            set_aside_section(results.facts.set_aside),
            provenance_section(_provenance(results)),
        ],
        eyebrow="benchmark",
    )


def _summary(results: Results, curves: list[Curve]) -> Iterator[str]:
    protocol = results.protocol
    missing = len(cells_of(protocol)) * protocol.points - sum(map(len, results.rounds.values()))
    yield (
        f"{len(curves)} strategies, {protocol.seeds} seeds, from {protocol.start} labels in steps of {protocol.step}; "
        f"{results.facts.train:,} training and {results.facts.test:,} test images."
    )
    if protocol.validation:
        yield (
            f"Measured on {protocol.validation:,} images that were taken out of the training set; the test set was "
            "not looked at."
        )
    if missing:
        yield (
            f"Not finished: {missing} rounds are still to run. Figures are of the rounds there are, comparisons of "
            "the seeds that all strategies have finished."
        )
    last = [(float(curve.mean[-1]), curve.strategy) for curve in curves if curve.labels[-1] == curves[0].labels[-1]]
    yield (
        "At "
        f"{int(curves[0].labels[-1]):,} labels: "
        + ", ".join(f"{strategy} {value:.1%}" for value, strategy in sorted(last, reverse=True))
        + "."
    )
    if protocol.is_preset:
        yield from paper_claims(protocol.name)


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


def _statistics(results: Results, curves: list[Curve]) -> Iterator[Section]:
    """Comparisons, on the seeds that all compared strategies have finished."""
    generator, metric = np.random.default_rng(RESAMPLING_SEED), results.headline
    yield areas_section(curves, generator)
    seeds = results.finished_seeds
    names = [name for name in results.strategies if seeds and name in results.finished_strategies]
    if len(names) < 2 or results.protocol.points < 2:
        return
    records = [record for record in results.records if record.seed in seeds and record.strategy in names]
    if BASELINE in names:
        others = [name for name in names if name != BASELINE]
        yield labels_saved_section(
            [labels_saved(records, name, BASELINE, generator=generator, metric=metric) for name in others]
        )
    yield comparison_section(paired_comparison(records, names, metric))
    if {MAL, CONTROL, BASELINE} <= set(names):
        yield gain_split_section(gain_split(records, generator=generator, metric=metric))


def _class_sections(results: Results) -> Iterator[Section]:
    """Head, middle and tail where the pool is uneven; then how even the labels are."""
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
    """What was picked; a sentence where the images are not to be had."""
    if results.dataset is None:
        return Section("Picked images", [Text([f"Not shown: {results.absence}"], quiet=True)])
    note = "Below each image: its class, what the model took it for before labelling, its scores; rank 1 is first."
    if results.facts.task == "segmentation":
        note = "From left to right: image, truth, prediction before labelling, entropy (white: all classes alike)."
    return picks_section(picked_rounds(results.dataset, results.protocol, results.out, results.rounds), note)


def _failed_section(results: Results) -> Section | None:
    """Return the failed runs with their reasons; None if there are none."""
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
