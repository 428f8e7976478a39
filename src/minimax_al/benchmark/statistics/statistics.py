"""Statistics of learning curves: areas, labels to reach an accuracy, resampled intervals, paired curves.

Strategies are compared pair by pair on common seeds: one seed gives both the same initial pool and the same random
draws, so a difference within a seed comes from the strategies alone. A figure that does not exist (the interval of one
seed, the number of labels for an accuracy that was not reached) is None, with a note where it needs one.

"Accuracy" below means any metric of which more is better. `benchmark.comparison` tests differences;
`benchmark.gains` measures what one strategy gains on another.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minimax_al.errors import NonFiniteScoreError, ResultsError, ShapeError
from minimax_al.report.curves import Record, learning_curves
from minimax_al.report.intervals import CONFIDENCE, Interval

Floats = NDArray[np.float64]

HEAD_ABOVE, TAIL_BELOW = 100, 20
"""Bounds of the number of images of a head and of a tail class: "many" and "few shot" (Liu et al. 2019)."""


def area_under_curve(labels: ArrayLike, values: ArrayLike) -> Floats:
    """Return the area under a learning curve divided by its range of labels: a mean accuracy.

    Args:
        labels: Numbers of labels, shape (P,), strictly ascending.
        values: Accuracies, shape (..., P).

    Returns:
        Areas by trapezoids, shape (...), in the unit of `values`.

    Raises:
        ShapeError: Fewer than two points, labels out of order, or different lengths.

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
        raise ShapeError(f"numbers of labels must ascend strictly, but are {labels_P.tolist()!r}")
    return labels_P, values_P


def labels_to_reach(labels_P: Floats, values_BP: Floats, accuracy_B: Floats) -> Floats:
    """Return the number of labels that each curve needs to reach an accuracy.

    The number is read from the monotone envelope (best accuracy so far), linear between points. For a curve that starts
    above the accuracy it is the first number of labels, an upper bound.

    Args:
        labels_P: Numbers of labels, shape (P,), strictly ascending.
        values_BP: Accuracies of the curves, shape (B, P).
        accuracy_B: Accuracy that each curve has to reach, shape (B,), in the unit of the values.

    Returns:
        Numbers of labels, shape (B,); infinite where a curve never reaches the accuracy.

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


def percentiles(results_B: Floats) -> Interval:
    """Return the middle 95% of bootstrap results, without interpolation, since results may be infinite."""
    ordered = np.sort(results_B)
    if np.isnan(ordered[-1]):
        raise NonFiniteScoreError("a bootstrap met NaN; look for NaN among the recorded values")
    cut = int(np.floor((1 - CONFIDENCE) / 2 * len(ordered)))
    return Interval(float(ordered[cut]), float(ordered[-1 - cut]))


@dataclass(frozen=True, eq=False)
class PairedCurves:
    """Curves of several strategies on their common seeds and numbers of labels.

    Attributes:
        strategies: The A strategies, in the given order.
        seeds: The S common seeds.
        labels: Common numbers of labels, shape (P,).
        values: Accuracies, shape (A, S, P).
        notes: Sentences about omitted seeds and numbers of labels.
    """

    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    labels: Floats
    values: Floats
    notes: tuple[str, ...]


def paired_curves(records: Iterable[Record], strategies: Sequence[str], metric: str = "accuracy") -> PairedCurves:
    """Align strategies on their common seeds and numbers of labels.

    Args:
        records: Records of one data set, of any strategies and metrics.
        strategies: Strategy names.
        metric: Metric name.

    Returns:
        The aligned curves, with notes on omitted seeds and numbers of labels.

    Raises:
        ResultsError: A strategy has no such records, the strategies share no seed or no number of labels, or the
            records belong to several data sets.
    """
    records = list(records)
    dataset = _only_dataset(records)
    curves = learning_curves(records, dataset, metric, strategies)
    seeds = set.intersection(*(set(curve.seeds) for curve in curves))
    if not seeds:
        raise ResultsError(f"{', '.join(strategies)} share no seed on {dataset!r}; run them with the same seeds")
    # Again on the common seeds: a seed of one strategy alone must not cost the others their points.
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
    return (f"Omitted, because not every strategy has them: {what} {listed}.",) if missing else ()


def _only_dataset(records: Iterable[Record]) -> str:
    names = sorted({record.dataset for record in records})
    if len(names) != 1:
        raise ResultsError(f"the records belong to {len(names)} data sets ({', '.join(names)}); give those of one")
    return names[0]


@dataclass(frozen=True)
class HeadMiddleTail:
    """Mean accuracy of frequent, middling and rare classes; None for a group without classes.

    Attributes:
        head, middle, tail: Mean accuracy over the classes of the group.
        classes: Number of classes in each of the three groups.
    """

    head: float | None
    middle: float | None
    tail: float | None
    classes: tuple[int, int, int]


def frequency_groups(class_counts: ArrayLike) -> NDArray[np.int64]:
    """Group classes by their number of images: 0 head (above 100), 1 middle, 2 tail (below 20).

    Args:
        class_counts: Images per class, shape (K,).

    Returns:
        Groups, shape (K,), int64.
    """
    counts_K = np.asarray(class_counts)
    return np.select([counts_K > HEAD_ABOVE, counts_K < TAIL_BELOW], [0, 2], 1).astype(np.int64)


def head_middle_tail(per_class_accuracy: ArrayLike, class_counts: ArrayLike) -> HeadMiddleTail:
    """Return the mean accuracy over frequent, medium and rare classes.

    Args:
        per_class_accuracy: Test accuracy per class, shape (K,).
        class_counts: Images per class in the training pool, shape (K,).

    Raises:
        ShapeError: The two shapes differ.
        NonFiniteScoreError: An accuracy is not finite; omit classes without test images.
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
