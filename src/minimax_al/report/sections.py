"""Sections of a report that need nothing but records, images and counts.

Benchmark and campaign both use them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minimax_al.errors import ShapeError
from minimax_al.report.blocks import (
    Bar,
    Bars,
    Block,
    Cell,
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
from minimax_al.report.plots import PublishedPoints, plot_curves, plot_each_curve
from minimax_al.report.tables import figures_table, to_latex, to_markdown

_CROWDED = 6  # more curves than this hide one another
_MOST_BARS = 160
_MOST_FILES = 200


def curves_section(curves: Sequence[Curve], published: Sequence[PublishedPoints] = ()) -> Section:
    """The learning curves; with many strategies, one small plot each as well.

    Args:
        curves: the curves, all of one metric.
        published: a publication's numbers, as open marks; their caveats are printed below.

    Returns:
        The section.
    """
    crowded = len(curves) > _CROWDED
    what = metric_label(curves[0].metric).split(",")[0]
    names = ", ".join(curve.strategy for curve in curves)
    plot = plot_curves(curves, published, spread=not crowded)
    blocks: list[Block] = [Figure(plot, f"{what} over the number of labels for {names}", _legend(curves))]
    if crowded:
        each = f"{what} over the number of labels, one plot a strategy"
        blocks.append(
            Figure(
                plot_each_curve(curves),
                each,
                "Each strategy in turn: mean, ± one standard deviation, single seeds; all others faint behind.",
            )
        )
    remarks = [
        f"{curve.strategy}: not every seed has {', '.join(f'{n:,}' for n in curve.left_out)} labels, so the curve"
        " leaves these out."
        for curve in curves
        if curve.left_out
    ]
    remarks += dict.fromkeys(
        " ".join(filter(None, [f"Open marks: {points.source}." if points.source else "", points.caveat]))
        for points in published
    )
    return Section("Learning curves", [*blocks, Text(list(filter(None, remarks)), quiet=True)])


def _legend(curves: Sequence[Curve]) -> str:
    counts = sorted({len(curve.seeds) for curve in curves})
    if counts == [1]:
        return "One seed: there is no spread to show."
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    if len(curves) > _CROWDED:
        return f"Mean over {seeds} seeds."
    return f"Lines: mean over {seeds} seeds; bands: ± one standard deviation; faint lines: single seeds."


def figures_section(curves: Sequence[Curve], *, title: str = "Figures") -> Section:
    """The curves as a table, and the same table to paste into a paper.

    Args:
        curves: the curves, all of one metric.
        title: the section's heading.

    Returns:
        The section.
    """
    spread = "" if all(curve.std is None for curve in curves) else " Mean ± standard deviation over seeds."
    caption = f"{_sentence(metric_label(curves[0].metric))}, by number of labels.{spread} Bold: the best mean."
    paste = [Code(to_markdown(curves)), Code(to_latex(curves))]
    return Section(
        title, [figures_table(curves, caption=caption), Disclosure("For a paper", paste, "Markdown and LaTeX")]
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class PickedRound:
    """What a strategy picked in one round.

    Attributes:
        strategy: the strategy.
        seed: the run's seed; None where there is one run only (a campaign).
        round: the round.
        labels: size of the labelled pool after these picks.
        images: thumbnails in the order of picking, with scores as their values.
        omitted: how many picks have no thumbnail here.
        wide: each thumbnail is a strip of several views.
    """

    strategy: str
    seed: int | None
    round: int
    labels: int
    images: Sequence[Image]
    omitted: int = 0
    wide: bool = False


def picks_section(rounds: Iterable[PickedRound], note: str = "") -> Section:
    """The images picked in every round, one fold a run; the first is open.

    Args:
        rounds: the rounds of any number of runs.
        note: what the scores below the images mean.

    Returns:
        The section.
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
        rounds_said = f"{len(galleries)} round{'s' * (len(galleries) != 1)}"
        folds.append(Disclosure(_run(strategy, seed), galleries, rounds_said, open=not folds))
    return Section("Picked images", [*([Text([note], quiet=True)] if note else []), *folds])


def _run(strategy: str, seed: int | None) -> str:
    return strategy if seed is None else f"{strategy}, seed {seed}"


@dataclass(frozen=True)
class ClassBalance:
    """How many labels each class has in one round of a run.

    Attributes:
        strategy: the strategy.
        seed: the run's seed; None where there is one run only.
        round: the round.
        class_names: (K,) names.
        counts: (K,) labelled images of each class.
        groups: (K,) 0 head, 1 middle, 2 tail of the pool; empty where the pool is balanced or unknown.
    """

    strategy: str
    seed: int | None
    round: int
    class_names: Sequence[str]
    counts: Sequence[int]
    groups: Sequence[int] = ()

    @property
    def labels(self) -> int:
        """Size of the labelled pool."""
        return sum(self.counts)

    @property
    def evenness(self) -> float:
        """Entropy of the class shares over its maximum log K: 1 where all classes have as many labels."""
        shares = np.array([count for count in self.counts if count > 0]) / max(self.labels, 1)
        if len(self.counts) < 2:
            return 1.0
        return float(-(shares * np.log(shares)).sum() / np.log(len(self.counts)))


def class_balance_section(balances: Sequence[ClassBalance]) -> Section:
    """Evenness of the classes by strategy, and bars of every class and round, one fold a run.

    Args:
        balances: one entry a run and round.

    Returns:
        The section.

    Raises:
        ShapeError: counts, names and groups of an entry differ in number.
    """
    for balance in balances:
        if not len(balance.counts) == len(balance.class_names) == len(balance.groups or balance.counts):
            raise ShapeError(
                f"{_run(balance.strategy, balance.seed)}, round {balance.round}: {len(balance.counts)} counts for"
                f" {len(balance.class_names)} class names and {len(balance.groups)} groups"
            )
    runs: dict[tuple[str, int | None], list[ClassBalance]] = defaultdict(list)
    for balance in balances:
        runs[balance.strategy, balance.seed].append(balance)
    folds = []
    for (strategy, seed), of_run in runs.items():
        top = max(max(balance.counts) for balance in of_run)
        rows = [_bars(balance, top) for balance in sorted(of_run, key=lambda balance: balance.round)]
        folds.append(Disclosure(_run(strategy, seed), rows, f"{len(of_run[0].counts):,} classes"))
    key = ["Bars from left to right: head, middle and tail of the pool."] if balances[0].groups else []
    return Section("Class balance", [_evenness_table(balances), *([Text(key, quiet=True)] if key else []), *folds])


def _evenness_table(balances: Sequence[ClassBalance]) -> Table:
    labels = sorted({balance.labels for balance in balances})
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for balance in balances:
        found[balance.strategy][balance.labels].append(100 * balance.evenness)
    rows: list[list[str | Cell]] = [
        [strategy, *(f"{np.mean(by_labels[n]):.1f}" if n in by_labels else Cell("–", tone="muted") for n in labels)]
        for strategy, by_labels in found.items()
    ]
    caption = (
        "Evenness of the labelled classes, %, by number of labels, mean over seeds: 100 where every class has as many"
        " labels, 0 where one class has all."
    )
    return Table(["labels", *(f"{n:,}" for n in labels)], rows, caption)


def _bars(balance: ClassBalance, top: int) -> Bars:
    groups = balance.groups or [0] * len(balance.counts)
    order = sorted(range(len(groups)), key=lambda k: groups[k])
    bars = [Bar(balance.class_names[k], balance.counts[k], groups[k]) for k in order]
    seen = sum(count > 0 for count in balance.counts)
    merged = -(-len(bars) // _MOST_BARS)
    wide = f", {merged} classes a bar (mean)" if merged > 1 else ""
    caption = (
        f"Round {balance.round}: {balance.labels:,} labels, {seen:,} of {len(bars):,} classes,"
        f" {min(balance.counts):,} to {max(balance.counts):,} a class{wide}"
    )
    return Bars(_merge(bars, merged) if merged > 1 else bars, caption, top)


def _merge(bars: Sequence[Bar], width: int) -> list[Bar]:
    """Neighbouring bars as one, of their mean."""
    chunks = [bars[i : i + width] for i in range(0, len(bars), width)]
    return [
        Bar(f"{chunk[0].label} … {chunk[-1].label}", sum(bar.value for bar in chunk) / len(chunk), chunk[0].group)
        for chunk in chunks
    ]


def timing_section(records: Iterable[Record], dataset: str) -> Section | None:
    """Seconds of training and of querying, mean and total per run.

    Args:
        records: records with `train_seconds` and `query_seconds`; others are ignored.
        dataset: which data set.

    Returns:
        The section; None where no time is recorded.
    """
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    seeds: dict[str, set[int]] = defaultdict(set)
    for record in records:
        if record.dataset == dataset and record.metric in ("train_seconds", "query_seconds"):
            times[record.strategy][record.metric].append(record.value)
            seeds[record.strategy].add(record.seed)
    if not times:
        return None
    rows = []
    for strategy, by_metric in times.items():
        each = [_seconds(by_metric[metric]) for metric in ("train_seconds", "query_seconds")]
        total = sum(map(sum, by_metric.values())) / len(seeds[strategy])
        rows.append([strategy, *each, f"{total:,.1f}"])
    columns = ["seconds", "training, a round", "query, a round", "all rounds"]
    return Section("Time", [Table(columns, rows, "Wall-clock seconds, mean over rounds and seeds.")])


def _seconds(values: Sequence[float]) -> str:
    return f"{np.mean(values):,.2f}" if values else "–"


def set_aside_section(files: Sequence[tuple[str, str]]) -> Section | None:
    """Files that could not be used.

    Args:
        files: pairs of a path and the reason.

    Returns:
        The section; None where there are no such files.
    """
    if not files:
        return None
    count = f"{len(files):,} file{'s' * (len(files) != 1)} could not be used and took no part."
    blocks: list[Block] = [Text([count]), Table(["file", "why"], files[:_MOST_FILES], words=(0, 1))]
    if len(files) > _MOST_FILES:
        blocks.append(Text([f"and {len(files) - _MOST_FILES:,} more"], quiet=True))
    return Section("Files set aside", blocks)


def provenance_section(facts: Mapping[str, object]) -> Section:
    """What made this report: command, versions, machine, configuration.

    Args:
        facts: names and values; a mapping as value is shown folded, one line an entry.

    Returns:
        The section.
    """
    plain = [(name, str(value)) for name, value in facts.items() if not isinstance(value, Mapping)]
    folds = [
        Disclosure(name, [Facts([(str(key), str(entry)) for key, entry in value.items()])])
        for name, value in facts.items()
        if isinstance(value, Mapping)
    ]
    return Section("Provenance", [*([Facts(plain)] if plain else []), *folds])
