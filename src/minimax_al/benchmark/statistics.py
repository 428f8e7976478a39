"""What a set of learning curves says, and how sure one can be of it.

Strategies are compared pair by pair on the seeds that both have run: one seed gives both the same initial
pool and the same order of random draws, so the difference within a seed is what the strategies differ in.
Intervals are percentile bootstraps over seeds. Where a figure cannot be had (no interval from one seed, no
number of labels for an accuracy that was not reached) the result holds None or a note, never a guess.

Accuracy below stands for any metric of which more is better. Whether a difference is more than chance is for
`benchmark.comparison`; what one strategy gains on another for `benchmark.gains`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimax_al.errors import NonFiniteScoreError, ResultsError, ShapeError
from minimax_al.report.curves import Record, learning_curves

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
"""Coverage of the intervals."""
RESAMPLES = 10_000
"""Of a bootstrap of means."""
HEAD_ABOVE, TAIL_BELOW = 100, 20
"""Images of a class that is in the head, and in the tail: the field's "many" and "few shot" (Liu et al. 2019)."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval; an infinite end is open (the bootstrap ran past what was measured)."""

    low: float
    high: float


def area_under_curve(labels: ArrayLike, values: ArrayLike) -> Floats:
    """Area under a learning curve by trapezoids, divided by the range of labels: a mean accuracy.

    Args:
        labels: (P,) numbers of labels, strictly ascending.
        values: (..., P) accuracies.

    Returns:
        (...) areas, in the unit of `values`.

    Raises:
        ShapeError: fewer than two points, labels out of order, or lengths that differ.

    Example:
        >>> float(area_under_curve([100, 200, 300], [0.25, 0.75, 0.75]))
        0.625
    """
    labels_P, values_P = _checked_points(labels, values)
    if labels_P.size < 2:
        raise ShapeError(f"the area under a curve of {labels_P.size} point(s) is not defined; give two or more")
    heights = (values_P[..., 1:] + values_P[..., :-1]) / 2
    return np.asarray((heights * np.diff(labels_P)).sum(axis=-1) / (labels_P[-1] - labels_P[0]))


def _checked_points(labels: ArrayLike, values: ArrayLike) -> tuple[Floats, Floats]:
    labels_P, values_P = np.asarray(labels, np.float64), np.asarray(values, np.float64)
    if labels_P.ndim != 1 or values_P.shape[-1:] != labels_P.shape:
        raise ShapeError(
            f"labels of shape {labels_P.shape} do not match values of shape {values_P.shape}; both end in the"
            " number of points"
        )
    if (np.diff(labels_P) <= 0).any():
        raise ShapeError(f"numbers of labels must ascend strictly, but they are {labels_P.tolist()!r}")
    return labels_P, values_P


def labels_to_reach(labels_P: Floats, values_BP: Floats, accuracy_B: Floats) -> Floats:
    """How many labels each curve needs to reach an accuracy.

    Read off the monotone envelope (the best so far), linear between points. A curve that starts above the
    accuracy gives its first number of labels: the true one is that or fewer.

    Args:
        labels_P: (P,) numbers of labels, strictly ascending.
        values_BP: (B, P) accuracies of the curves.
        accuracy_B: (B,) the accuracy that each shall reach, in the unit of the values.

    Returns:
        (B,) numbers of labels; infinite where a curve never reaches the accuracy.

    Example:
        >>> labels_to_reach(np.array([100.0, 200.0]), np.array([[0.2, 0.4]]), np.array([0.3]))
        array([150.])
    """
    best_BP = np.maximum.accumulate(values_BP, axis=1)
    reached_BP = best_BP >= accuracy_B[:, None]
    after_B = reached_BP.argmax(axis=1)  # the first point at or above
    before_B = np.maximum(after_B - 1, 0)
    rows = np.arange(len(best_BP))
    rise_B = best_BP[rows, after_B] - best_BP[rows, before_B]
    climb_B = np.divide(accuracy_B - best_BP[rows, before_B], rise_B, out=np.zeros_like(rise_B), where=rise_B > 0)
    between_B = labels_P[before_B] + climb_B * (labels_P[after_B] - labels_P[before_B])
    return np.where(reached_BP.any(axis=1), np.where(after_B == 0, labels_P[0], between_B), np.inf)


def bootstrap_interval(values: ArrayLike, generator: np.random.Generator) -> Interval | None:
    """95% percentile bootstrap interval of the mean over seeds.

    Below about twenty seeds such an interval is too narrow: for normal values it covers 84% from five seeds and
    91% from ten. Read it as the least that the uncertainty can be.

    Args:
        values: (S,) one value a seed.
        generator: the source of the resamples.

    Returns:
        The interval; None with one seed, from which no spread can be told.

    Raises:
        ShapeError: there is no value, or more than one a seed.
        NonFiniteScoreError: a value is NaN.
    """
    values_S = np.asarray(values, np.float64)
    if values_S.ndim != 1 or not len(values_S):
        raise ShapeError(f"a bootstrap needs one value a seed, but got the shape {values_S.shape}")
    if len(values_S) == 1:
        return None
    return percentiles(values_S[generator.integers(len(values_S), size=(RESAMPLES, len(values_S)))].mean(axis=1))


def percentiles(results_B: Floats) -> Interval:
    """The middle 95% of the results; never a value between two, since either may be infinite."""
    ordered = np.sort(results_B)
    if np.isnan(ordered[-1]):
        raise NonFiniteScoreError("a bootstrap met NaN; look for NaN among the recorded values")
    cut = int(np.floor((1 - CONFIDENCE) / 2 * len(ordered)))
    return Interval(float(ordered[cut]), float(ordered[-1 - cut]))


@dataclass(frozen=True, eq=False)
class PairedCurves:
    """Curves of several strategies on the seeds and the numbers of labels that all of them have.

    Attributes:
        strategies: the A strategies, in the order asked for.
        seeds: the S common seeds.
        labels: (P,) the common numbers of labels.
        values: (A, S, P).
        notes: sentences about what was left out to align them.
    """

    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    labels: Floats
    values: Floats
    notes: tuple[str, ...]


def paired_curves(records: Iterable[Record], strategies: Sequence[str], metric: str = "accuracy") -> PairedCurves:
    """Aligns strategies on the seeds and the numbers of labels that all of them have.

    Args:
        records: records of any strategies and metrics on one data set.
        strategies: which strategies.
        metric: which metric.

    Returns:
        The aligned curves, with notes on what was left out.

    Raises:
        ResultsError: a strategy has no such records, the strategies share no seed or no number of labels, or the
            records are of several data sets.
    """
    records = list(records)
    dataset = _only_dataset(records)
    curves = learning_curves(records, dataset, metric, strategies)
    seeds = set.intersection(*(set(curve.seeds) for curve in curves))
    if not seeds:
        raise ResultsError(f"{', '.join(strategies)} share no seed on {dataset!r}; run them with the same seeds")
    # Anew on the common seeds alone: a seed that only one strategy has must not cost the others their points.
    curves = learning_curves([r for r in records if r.seed in seeds], dataset, metric, strategies)
    labels = sorted(set.intersection(*(set(curve.labels.tolist()) for curve in curves)))
    if not labels:
        raise ResultsError(f"{', '.join(strategies)} share no number of labels on {dataset!r}; run one protocol")
    all_seeds = {r.seed for r in records if r.strategy in strategies and r.metric == metric}
    all_labels = set().union(*(set(curve.labels.tolist()) | set(curve.left_out) for curve in curves))
    return PairedCurves(
        strategies=tuple(strategies),
        seeds=tuple(sorted(seeds)),
        labels=np.array(labels, np.float64),
        values=np.stack([curve.per_seed[:, np.isin(curve.labels, labels)] for curve in curves]),
        notes=_left_out("seeds", all_seeds - seeds) + _left_out("numbers of labels", all_labels - set(labels)),
    )


def _left_out(what: str, missing: set[int]) -> tuple[str, ...]:
    listed = ", ".join(map(str, sorted(missing)))
    return (f"Left out, because not every strategy has them: {what} {listed}.",) if missing else ()


def _only_dataset(records: Iterable[Record]) -> str:
    names = sorted({record.dataset for record in records})
    if len(names) != 1:
        raise ResultsError(f"the records are of {len(names)} data sets ({', '.join(names)}); give those of one")
    return names[0]


@dataclass(frozen=True)
class HeadMiddleTail:
    """Mean accuracy of frequent, middling and rare classes; None for a group without classes.

    Attributes:
        head, middle, tail: mean accuracy over the classes of the group.
        classes: how many classes the three groups have.
    """

    head: float | None
    middle: float | None
    tail: float | None
    classes: tuple[int, int, int]


def frequency_groups(class_counts: ArrayLike) -> NDArray[np.int64]:
    """Groups classes by how many images they have: 0 head (above 100), 1 middle, 2 tail (below 20).

    Args:
        class_counts: (K,) images of each class.

    Returns:
        (K,) groups.
    """
    counts_K = np.asarray(class_counts)
    return np.select([counts_K > HEAD_ABOVE, counts_K < TAIL_BELOW], [0, 2], 1).astype(np.int64)


def head_middle_tail(per_class_accuracy: ArrayLike, class_counts: ArrayLike) -> HeadMiddleTail:
    """Mean accuracy over the frequent, the middling and the rare classes.

    Args:
        per_class_accuracy: (K,) accuracy of each class on the test set.
        class_counts: (K,) images of each class in the training pool.

    Returns:
        The three means.

    Raises:
        ShapeError: the two have different shapes.
        NonFiniteScoreError: an accuracy is not finite (a class without test images has none: leave it out).
    """
    accuracy_K, counts_K = np.asarray(per_class_accuracy, np.float64), np.asarray(class_counts)
    if accuracy_K.ndim != 1 or accuracy_K.shape != counts_K.shape:
        raise ShapeError(
            f"accuracies of shape {accuracy_K.shape} do not match class counts of shape {counts_K.shape}; both are (K,)"
        )
    if not np.isfinite(accuracy_K).all():
        positions = tuple(np.flatnonzero(~np.isfinite(accuracy_K)).tolist())
        raise NonFiniteScoreError(
            f"accuracy is not finite for the classes {positions[:5]}; leave out classes without test images",
            positions,
        )
    groups_K = frequency_groups(counts_K)
    members = [accuracy_K[groups_K == group] for group in range(3)]
    head, middle, tail = (float(group.mean()) if group.size else None for group in members)
    return HeadMiddleTail(head, middle, tail, (members[0].size, members[1].size, members[2].size))
