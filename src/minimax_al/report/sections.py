"""Sections of a report made of records and images; benchmark and campaign both use them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minimax_al.report.blocks import (
    Block,
    Code,
    Disclosure,
    Facts,
    Figure,
    Gallery,
    Image,
    Section,
    Table,
    Text,
)
from minimax_al.report.curves import Curve, Record, metric_label
from minimax_al.report.intervals import MIN_SEEDS
from minimax_al.report.plots import PublishedPoints, plot_curves, plot_each_curve
from minimax_al.report.tables import figures_table, to_latex, to_markdown

_CROWDED = 6  # more curves than this hide one another
_MOST_FILES = 200


def curves_section(
    curves: Sequence[Curve], published: Sequence[PublishedPoints] = (), *, title: str = "Learning curves"
) -> Section:
    """Return the learning curves; with many strategies also one small plot each.

    Args:
        curves: Curves of one metric. A single run with `intervals` gets their band.
        published: Numbers of a publication, as open marks; their caveats are printed below.
        title: Heading of the section.
    """
    crowded = len(curves) > _CROWDED
    what = metric_label(curves[0].metric).split(",")[0]
    names = ", ".join(curve.strategy for curve in curves)
    wide, narrow = (plot_curves(curves, published, spread=not crowded, narrow=small) for small in (False, True))
    alternative = f"{what} over the number of labels for {names}"
    blocks: list[Block] = [Figure(wide, alternative, _legend(curves), narrow)]
    if crowded:
        wide, narrow = (plot_each_curve(curves, narrow=small) for small in (False, True))
        caption = "One plot per strategy: mean, ± one standard deviation, single seeds; all other means faint behind."
        blocks.append(Figure(wide, f"{what} over the number of labels, one plot per strategy", caption, narrow))
    remarks = [
        f"{curve.strategy}: the curve omits {', '.join(f'{n:,}' for n in curve.left_out)} labels, which not every seed"
        " has."
        for curve in curves
        if curve.left_out
    ]
    remarks += dict.fromkeys(
        " ".join(filter(None, [f"Open marks: {points.source}." if points.source else "", points.caveat]))
        for points in published
    )
    return Section(title, [*blocks, Text(list(filter(None, remarks)), quiet=True)])


def _legend(curves: Sequence[Curve]) -> str:
    """Return a caption that explains lines and bands."""
    counts = sorted({len(curve.seeds) for curve in curves})
    if all(curve.intervals is not None for curve in curves):
        return "Band: 95% interval."
    if counts == [1]:
        return "" if len(curves) == 1 else "One seed: the curves have no spread."
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    if len(curves) > _CROWDED:
        return f"Mean over {seeds} seeds."
    return f"Lines: mean over {seeds} seeds; bands: ± one standard deviation; faint lines: single seeds."


def figures_section(curves: Sequence[Curve], *, title: str = "Figures", paste: bool = True) -> Section:
    """Return the curves as a table.

    Args:
        curves: Curves of one metric.
        title: Heading of the section.
        paste: Whether Markdown and LaTeX versions to copy follow.
    """
    caption = f"{_sentence(metric_label(curves[0].metric))}, by number of labels.{_reading(curves)}"
    blocks: list[Block] = [figures_table(curves, caption=caption)]
    if paste:
        texts = [Code(to_markdown(curves)), Code(to_latex(curves))]
        blocks.append(Disclosure("Table to copy", texts, "Markdown and LaTeX"))
    return Section(title, blocks)


def _reading(curves: Sequence[Curve]) -> str:
    """Return what spread and bold type mean in a table of figures."""
    spread = "" if all(curve.std is None for curve in curves) else " Mean ± standard deviation over seeds."
    if len(curves) < 2:
        return spread
    if min(len(curve.seeds) for curve in curves) < MIN_SEEDS:
        return f"{spread} No figure is bold: fewer than {MIN_SEEDS} seeds do not separate strategies."
    return f"{spread} Bold: the best mean and all that the seeds do not separate from it (paired 95% interval)."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class PickedRound:
    """Images that a strategy picked in one round.

    Attributes:
        strategy: Strategy name.
        seed: Seed of the run; None for the only run of a campaign.
        round: Round number.
        labels: Size of the labelled pool after these picks.
        images: Thumbnails in pick order, with scores as their values.
        omitted: Number of picks without a thumbnail.
        wide: Whether each thumbnail is a strip of several views.
    """

    strategy: str
    seed: int | None
    round: int
    labels: int
    images: Sequence[Image]
    omitted: int = 0
    wide: bool = False


def picks_section(rounds: Iterable[PickedRound], note: str = "") -> Section:
    """Return the images picked in every round, one fold per run; the first is open.

    Args:
        rounds: Rounds of any number of runs.
        note: Explanation of the scores below the images.
    """
    runs: dict[tuple[str, int | None], list[PickedRound]] = defaultdict(list)
    for picked in rounds:
        runs[picked.strategy, picked.seed].append(picked)
    folds: list[Disclosure] = []
    for (strategy, seed), of_run in runs.items():
        galleries = [
            Gallery(
                picked.images,
                f"Round {picked.round}: {len(picked.images) + picked.omitted:,} picked, {picked.labels:,} labels",
                picked.omitted,
                picked.wide,
            )
            for picked in sorted(of_run, key=lambda picked: picked.round)
        ]
        count = f"{len(galleries)} round{'s' * (len(galleries) != 1)}"
        folds.append(Disclosure(run_name(strategy, seed), galleries, count, open=not folds))
    return Section("Picked images", [*([Text([note], quiet=True)] if note else []), *folds])


def run_name(strategy: str, seed: int | None) -> str:
    """Return the heading of a run."""
    return strategy if seed is None else f"{strategy}, seed {seed}"


def timing_section(records: Iterable[Record], dataset: str) -> Section | None:
    """Return time and work per strategy: seconds, optimisation steps, images seen in training.

    Args:
        records: Records with `train_seconds`, `query_seconds`, `train_steps`, `train_images`; others are ignored.
        dataset: Data set name.

    Returns:
        The section; None where nothing is recorded.
    """
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    seeds: dict[str, set[int]] = defaultdict(set)
    for record in records:
        if record.dataset == dataset and record.metric in (*_SECONDS, *_WORK):
            found[record.strategy][record.metric].append(record.value)
            seeds[record.strategy].add(record.seed)
    if not found:
        return None
    counted = any(metric in by_metric for by_metric in found.values() for metric in _WORK)
    rows = []
    for strategy, by_metric in found.items():
        each = [_mean(by_metric[metric], 2) for metric in _SECONDS]
        total = sum(sum(by_metric[metric]) for metric in _SECONDS) / len(seeds[strategy])
        work = [_mean(by_metric[metric], 0) for metric in _WORK] if counted else []
        rows.append([strategy, *each, f"{total:,.1f}", *work])
    columns = ["", "training, s", "query, s", "all rounds, s", *(("steps", "images seen") if counted else ())]
    caption = "Per round, mean over rounds and seeds: wall-clock seconds"
    caption += ", optimisation steps and images seen in training (each view counts)." if counted else "."
    blocks: list[Block] = [Table(columns, rows, caption)]
    if counted and len({row[4] for row in rows}) > 1:
        blocks.append(Text([_UNEQUAL_WORK], quiet=True))
    return Section("Time and work", blocks)


_SECONDS = ("train_seconds", "query_seconds")
_WORK = ("train_steps", "train_images")
_UNEQUAL_WORK = (
    "The strategies do not train equally long, so a higher accuracy may come from more steps. The strategy"
    " random-equal-work separates the two: random picks under Algorithm 1's steps with λ = 0."
)


def _mean(values: Sequence[float], decimals: int) -> str:
    return f"{np.mean(values):,.{decimals}f}" if values else "–"


def set_aside_section(files: Sequence[tuple[str, str]]) -> Section | None:
    """Return the list of unusable files.

    Args:
        files: Pairs of path and reason.

    Returns:
        The section; None for an empty list.
    """
    if not files:
        return None
    count = f"{len(files):,} file{'s' * (len(files) != 1)} could not be used and were left out."
    blocks: list[Block] = [Text([count]), Table(["file", "why"], files[:_MOST_FILES], words=(0, 1))]
    if len(files) > _MOST_FILES:
        blocks.append(Text([f"and {len(files) - _MOST_FILES:,} more"], quiet=True))
    return Section("Files set aside", blocks)


def provenance_section(facts: Mapping[str, object]) -> Section:
    """Return the origin of the report: command, versions, machine, configuration.

    Args:
        facts: Names and values; a mapping as value is folded, with one line per entry.
    """
    plain = [(name, str(value)) for name, value in facts.items() if not isinstance(value, Mapping)]
    folds = [
        Disclosure(name, [Facts([(str(key), str(entry)) for key, entry in value.items()])])
        for name, value in facts.items()
        if isinstance(value, Mapping)
    ]
    return Section("Provenance", [*([Facts(plain)] if plain else []), *folds])
