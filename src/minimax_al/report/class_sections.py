"""Sections of a report about classes: balance of the labels, confusion, accuracy per class, wrong images."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimax_al.errors import ShapeError
from minimax_al.report.blocks import Bar, Bars, Block, Disclosure, Gallery, Image, Section, Table, TableCell, Text
from minimax_al.report.sections import run_name

_MOST_BARS = 160
_MOST_CLASSES = 30  # rows of a confusion matrix that a page can show
_MOST_PAIRS = 20


@dataclass(frozen=True)
class ClassBalance:
    """Number of labels per class in one round of a run.

    Attributes:
        strategy: Strategy name.
        seed: Seed of the run; None for the only run of a campaign.
        round: Round number.
        class_names: Class names, shape (K,).
        counts: Labelled images per class, shape (K,).
        groups: 0 head, 1 middle, 2 tail of the pool, shape (K,); empty where the pool is balanced or unknown.
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
        """Entropy of the class shares divided by its maximum log K: 1 for equal numbers of labels."""
        shares = np.array([count for count in self.counts if count > 0]) / max(self.labels, 1)
        if len(self.counts) < 2:
            return 1.0
        return float(-(shares * np.log(shares)).sum() / np.log(len(self.counts)))


def class_balance_section(balances: Sequence[ClassBalance]) -> Section:
    """Return the evenness of the classes per strategy, and bars per class and round.

    Args:
        balances: One entry per run and round.

    Raises:
        ShapeError: Counts, names and groups of an entry differ in number.
    """
    for balance in balances:
        if not len(balance.counts) == len(balance.class_names) == len(balance.groups or balance.counts):
            raise ShapeError(
                f"{run_name(balance.strategy, balance.seed)}, round {balance.round}: {len(balance.counts)} counts for"
                f" {len(balance.class_names)} class names and {len(balance.groups)} groups"
            )
    runs: dict[tuple[str, int | None], list[ClassBalance]] = defaultdict(list)
    for balance in balances:
        runs[balance.strategy, balance.seed].append(balance)
    folds = []
    for (strategy, seed), of_run in runs.items():
        top = max(max(balance.counts) for balance in of_run)
        rows = [_bars(balance, top) for balance in sorted(of_run, key=lambda balance: balance.round)]
        folds.append(Disclosure(run_name(strategy, seed), rows, f"{len(of_run[0].counts):,} classes"))
    key = ["Bars from left to right: head, middle and tail of the pool."] if balances[0].groups else []
    return Section("Class balance", [_evenness_table(balances), *([Text(key, quiet=True)] if key else []), *folds])


def _evenness_table(balances: Sequence[ClassBalance]) -> Table:
    labels = sorted({balance.labels for balance in balances})
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for balance in balances:
        found[balance.strategy][balance.labels].append(100 * balance.evenness)
    rows: list[list[str | TableCell]] = [
        [
            strategy,
            *(f"{np.mean(by_labels[n]):.1f}" if n in by_labels else TableCell("–", tone="muted") for n in labels),
        ]
        for strategy, by_labels in found.items()
    ]
    caption = (
        "Evenness of the labelled classes, %, by number of labels, mean over seeds: 100 for equal numbers of labels, 0"
        " where one class has all of them."
    )
    return Table(["labels", *(f"{n:,}" for n in labels)], rows, caption)


def _bars(balance: ClassBalance, top: int) -> Bars:
    groups = balance.groups or [0] * len(balance.counts)
    order = sorted(range(len(groups)), key=lambda k: groups[k])
    bars = [Bar(balance.class_names[k], balance.counts[k], groups[k]) for k in order]
    seen = sum(count > 0 for count in balance.counts)
    merged = -(-len(bars) // _MOST_BARS)
    wide = f", {merged} classes per bar (mean)" if merged > 1 else ""
    caption = (
        f"Round {balance.round}: {balance.labels:,} labels, {seen:,} of {len(bars):,} classes,"
        f" {min(balance.counts):,} to {max(balance.counts):,} per class{wide}"
    )
    return Bars(_merge(bars, merged) if merged > 1 else bars, caption, top)


def _merge(bars: Sequence[Bar], width: int) -> list[Bar]:
    """Merge neighbouring bars into one of their mean height."""
    chunks = [bars[i : i + width] for i in range(0, len(bars), width)]
    return [
        Bar(f"{chunk[0].label} … {chunk[-1].label}", sum(bar.value for bar in chunk) / len(chunk), chunk[0].group)
        for chunk in chunks
    ]


Pair = tuple[int, int]
"""Indices of a true class and of a predicted one."""


def confusion_section(
    counts_KK: ArrayLike,
    class_names: Sequence[str],
    *,
    unit: str = "images",
    examples: Mapping[Pair, Gallery] | None = None,
) -> Section:
    """Return the confusion matrix, and the pairs of classes that are confused most.

    Above 30 classes the section holds the pairs alone.

    Args:
        counts_KK: Counts, shape (K, K), row: true class, column: predicted class.
        class_names: Class names, shape (K,).
        unit: Counted things.
        examples: Galleries of confused images; the cells of the matrix link to them.

    Raises:
        ShapeError: The matrix is not square, or its size differs from the number of names.
    """
    counts = np.asarray(counts_KK)
    size = len(class_names)
    if counts.shape != (size, size):
        raise ShapeError(f"a confusion matrix of {size} classes has shape ({size}, {size}), not {counts.shape}")
    given = (examples or {}).items()
    shown = {pair: replace(gallery, anchor=f"confused-{pair[0]}-{pair[1]}") for pair, gallery in given}
    blocks: list[Block] = [_confused_pairs(counts, class_names, unit, shown)]
    if size <= _MOST_CLASSES:
        blocks.append(_confusion_table(counts, class_names, unit, shown))
    return Section("Confusions", [*blocks, *shown.values()])


def _anchor(shown: Mapping[Pair, Gallery], k: int, j: int) -> str:
    return shown[k, j].anchor if (k, j) in shown else ""


def _confusion_table(
    counts: NDArray[np.int64], class_names: Sequence[str], unit: str, shown: Mapping[Pair, Gallery]
) -> Table:
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = counts / totals
    rows: list[list[str | TableCell]] = []
    for k, name in enumerate(class_names):
        cells = [
            TableCell(
                f"{counts[k, j]:,}" if counts[k, j] else "",
                tone="best" if j == k else "",
                shade=float(shares[k, j]),
                link=_anchor(shown, k, j),
            )
            for j in range(len(class_names))
        ]
        rows.append([name, *cells])
    caption = f"Row: true class; column: predicted class; entries: {unit}. The diagonal is correct."
    caption += " A linked number shows its images." if shown else ""
    return Table(["", *class_names], rows, caption)


def _confused_pairs(
    counts: NDArray[np.int64], class_names: Sequence[str], unit: str, shown: Mapping[Pair, Gallery]
) -> Block:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    pairs = [divmod(int(flat), len(class_names)) for flat in order if wrong.flat[flat] > 0]
    if not pairs:
        return Text([f"No {unit} are confused."])
    rows: list[list[str | TableCell]] = []
    for k, j in pairs:
        number = TableCell(f"{wrong[k, j]:,}", link=_anchor(shown, k, j))
        rows.append([class_names[k], class_names[j], number, f"{100 * wrong[k, j] / counts[k].sum():.1f}"])
    return Table(
        ["true class", "predicted class", unit, "% of the class"], rows, "Most frequent confusions.", words=(0, 1)
    )


@dataclass(frozen=True)
class ClassScore:
    """How well a model recognises one class.

    Attributes:
        name: Class name.
        score: Accuracy or intersection over union in [0, 1]; None without test images of the class.
        interval: Ends of its 95% interval; None if unknown.
        tested: Number of test images of the class; None if unknown.
        labels: Number of labels of the class that the model was trained on; None if unknown.
    """

    name: str
    score: float | None
    interval: tuple[float, float] | None = None
    tested: int | None = None
    labels: int | None = None


def class_scores_section(scores: Sequence[ClassScore], measure: str = "accuracy") -> Section:
    """Return one row per class, lowest score first; classes that were not tested come last.

    Args:
        scores: One entry per class.
        measure: Name of the score.
    """
    ordered = sorted(scores, key=lambda entry: (entry.score is None, entry.score or 0.0))
    columns = ["class", f"{measure}, %"]
    columns += ["tested on"] if any(entry.tested is not None for entry in scores) else []
    columns += ["labels"] if any(entry.labels is not None for entry in scores) else []
    rows: list[list[str | TableCell]] = []
    for entry in ordered:
        row: list[str | TableCell] = [entry.name, _class_score(entry)]
        row += [_count(entry.tested)] if "tested on" in columns else []
        row += [_count(entry.labels)] if "labels" in columns else []
        rows.append(row)
    caption = "Lowest first." + (" Below: 95% interval." if any(entry.interval for entry in scores) else "")
    return Section("Per class", [Table(columns, rows, caption)])


def _class_score(entry: ClassScore) -> TableCell:
    if entry.score is None:
        return TableCell("not tested", tone="muted")
    detail = "" if entry.interval is None else f"{100 * entry.interval[0]:.0f} to {100 * entry.interval[1]:.0f}"
    return TableCell(f"{100 * entry.score:.1f}", detail)


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def mistakes_section(
    wrong: Sequence[Image], right: Sequence[Image] = (), *, wrong_count: int, right_count: int, wide: bool = False
) -> Section:
    """Return a gallery of test images: wrong ones first, correct ones behind a fold.

    Args:
        wrong: Thumbnails of wrong predictions, the most confident first.
        right: Thumbnails of correct predictions.
        wrong_count: Number of wrong predictions, including those without a thumbnail.
        right_count: Number of correct predictions, including those without a thumbnail.
        wide: Whether each thumbnail is a strip of several views.
    """
    blocks: list[Block] = []
    if wrong:
        caption = "Wrong predictions, the most confident first."
        blocks.append(Gallery(wrong, caption, wrong_count - len(wrong), wide))
    else:
        blocks.append(Text(["No prediction is wrong."]))
    if right:
        gallery = Gallery(right, "", right_count - len(right), wide)
        blocks.append(Disclosure("Correct predictions", [gallery], f"{right_count:,}"))
    return Section("Test images", blocks)
