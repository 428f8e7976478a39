"""Paired tests of strategies over seeds, corrected for the number of pairs.

With n seeds the signed-rank test cannot give a p below 2^(1-n), and Holm's correction multiplies the smallest p by the
number of pairs. Where that can never reach alpha, the test would call everything a tie, so the paired t-test, which
assumes normal differences, replaces it. The result names the test and the reason.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from minimax_al.benchmark.statistics.statistics import Floats, area_under_curve, paired_curves
from minimax_al.errors import NonFiniteScoreError, ResultsError, ShapeError
from minimax_al.report.curves import LESS_IS_BETTER, Record
from minimax_al.report.intervals import MIN_SEEDS

ALPHA = 0.05
"""Family-wise level of the Holm-corrected tests."""

_ENUMERATED = 13
"""Largest number of differences whose 2^n sign patterns are all enumerated where ranks are tied."""


def signed_rank_p(differences: ArrayLike) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test, with mid-ranks for ties and without zeros.

    The p is exact, except for more than 13 differences with ties, where it comes from 9,999 sign patterns.

    Args:
        differences: Paired differences, shape (n,).

    Returns:
        The p value; 1.0 if all differences are zero.

    Raises:
        NonFiniteScoreError: A difference is not finite.

    Example:
        >>> signed_rank_p([0.1, 0.2, 0.3, 0.4, 0.5])  # all of one sign: 2 of 32 patterns
        0.0625
    """
    kept_n = _finite(differences)
    kept_n = kept_n[kept_n != 0]
    if not kept_n.size:
        return 1.0
    if np.unique(np.abs(kept_n)).size == kept_n.size:
        return float(stats.wilcoxon(kept_n, method="exact").pvalue)
    patterns = 2**kept_n.size if kept_n.size <= _ENUMERATED else 9999
    method = stats.PermutationMethod(n_resamples=patterns, rng=np.random.default_rng(0))
    return float(stats.wilcoxon(kept_n, method=method).pvalue)


def paired_t_p(differences: ArrayLike) -> float:
    """Return the two-sided p of the paired t-test.

    If all differences equal one number other than zero, the test has no scale; the sign test's 2^(1-n), which assumes
    less, replaces it.

    Args:
        differences: Paired differences, shape (n,), n of 2 or more.

    Returns:
        The p value; 1.0 if all differences are zero.

    Raises:
        ShapeError: Fewer than two differences.
        NonFiniteScoreError: A difference is not finite.
    """
    differences_n = _finite(differences)
    if differences_n.size < 2:
        raise ShapeError(f"a paired t-test needs two seeds or more, but got {differences_n.size}")
    mean, spread = differences_n.mean(), differences_n.std(ddof=1)
    if spread <= 1e-12 * abs(mean):
        return 1.0 if mean == 0 else float(2.0 ** (1 - differences_n.size))
    return float(stats.ttest_1samp(differences_n, 0.0).pvalue)


def _finite(differences: ArrayLike) -> Floats:
    values_n = np.asarray(differences, np.float64)
    if not np.isfinite(values_n).all():
        raise NonFiniteScoreError(
            f"paired differences are not finite: {values_n.tolist()!r}; look for NaN among the recorded values",
            tuple(np.flatnonzero(~np.isfinite(values_n)).tolist()),
        )
    return values_n


def holm(p_values: ArrayLike) -> Floats:
    """Return p values adjusted by Holm's step-down correction, which bounds the family-wise error.

    Args:
        p_values: Raw p values, shape (m,).

    Returns:
        Adjusted p values, shape (m,), in the same order, at most 1.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    p_m = np.asarray(p_values, np.float64)
    order = np.argsort(p_m, kind="stable")
    adjusted_m = np.empty_like(p_m)
    adjusted_m[order] = np.minimum(np.maximum.accumulate(p_m[order] * np.arange(p_m.size, 0, -1)), 1.0)
    return adjusted_m


@dataclass(frozen=True, eq=False)
class Comparison:
    """Areas under the curve of all pairs of strategies; entry [i, j] is about strategy i against strategy j.

    Attributes:
        strategies: The A strategies.
        metric: Compared metric.
        difference: Mean over seeds of i minus j, shape (A, A), in the metric's unit.
        p: Holm-adjusted p values, shape (A, A); NaN on the diagonal and for pairs with fewer than `MIN_SEEDS` seeds.
        outcome: 1 where i wins, -1 where it loses, 0 for a tie, shape (A, A).
        seeds: Number of seeds that the pair shares, shape (A, A).
        test: "wilcoxon" or "t"; None if no pair could be tested.
        smallest_p: Smallest adjusted p that the test can give with these seeds and pairs; 0.0 for the t-test.
        notes: Sentences about the choice of the test and omitted seeds.
    """

    strategies: tuple[str, ...]
    metric: str
    difference: Floats
    p: Floats
    outcome: NDArray[np.int64]
    seeds: NDArray[np.int64]
    test: Literal["wilcoxon", "t"] | None
    smallest_p: float | None
    notes: tuple[str, ...]

    def tally(self, strategy: str) -> tuple[int, int, int]:
        """Return wins, ties and losses of one strategy against all others."""
        row = np.delete(self.outcome[self.strategies.index(strategy)], self.strategies.index(strategy))
        return int((row > 0).sum()), int((row == 0).sum()), int((row < 0).sum())


def paired_comparison(records: Iterable[Record], strategies: Sequence[str], metric: str = "accuracy") -> Comparison:
    """Compare the areas under the curves of all pairs of strategies, over the seeds that each pair shares.

    The test is Wilcoxon's where it can reach `ALPHA` with these numbers of seeds and pairs, else the t-test. The choice
    depends on these numbers alone, never on the values.

    Args:
        records: Records of the strategies on one data set.
        strategies: Strategy names, two or more.
        metric: Metric name; for those in `LESS_IS_BETTER` the smaller value wins.

    Returns:
        The matrices, the test and its limits.

    Raises:
        ResultsError: Fewer than two strategies, or a pair that `paired_curves` refuses.
        ShapeError: A pair shares a single number of labels.
    """
    if len(strategies) < 2:
        raise ResultsError(f"a comparison needs two strategies, but there are {len(strategies)}")
    records = list(records)
    pairs = list(itertools.combinations(range(len(strategies)), 2))
    curves = [paired_curves(records, (strategies[i], strategies[j]), metric) for i, j in pairs]
    areas = [area_under_curve(pair.labels, pair.values) for pair in curves]
    differences = [first_S - second_S for first_S, second_S in areas]
    test, smallest_p, reason = _choose_test([len(d) for d in differences])
    means_m, p_m = np.array([d.mean() for d in differences]), _adjusted(differences, test)
    better = -1 if metric in LESS_IS_BETTER else 1
    # NaN is not below alpha, so an untested pair is a tie.
    outcome_m = np.where(p_m < ALPHA, better * np.sign(means_m), 0)
    size = len(strategies)
    return Comparison(
        strategies=tuple(strategies),
        metric=metric,
        difference=_matrix(pairs, means_m, size, 0.0, mirrored=-1),
        p=_matrix(pairs, p_m, size, np.nan, mirrored=1),
        outcome=_matrix(pairs, outcome_m, size, 0, mirrored=-1).astype(np.int64),
        seeds=_matrix(pairs, np.array([len(d) for d in differences]), size, 0, mirrored=1).astype(np.int64),
        test=test,
        smallest_p=smallest_p,
        notes=(reason, *dict.fromkeys(note for pair in curves for note in pair.notes)),
    )


def _choose_test(seeds: Sequence[int]) -> tuple[Literal["wilcoxon", "t"] | None, float | None, str]:
    """Return the test, the smallest adjusted p that it can give, and a sentence with the reason."""
    tested = [n for n in seeds if n >= MIN_SEEDS]
    if not tested:
        return (
            None,
            None,
            f"No pair shares {MIN_SEEDS} seeds: nothing is tested, and every pair is a tie. Run more seeds.",
        )
    n, m = min(tested), len(tested)
    floor = min(1.0, m * 2.0 ** (1 - n))
    pairs = f"{m} {'pair' if m == 1 else 'pairs'}"
    limit = (
        f"the smallest adjusted p that the Wilcoxon signed-rank test can give with {n} seeds and {pairs} is {floor:.2g}"
    )
    if floor < ALPHA:
        return "wilcoxon", floor, f"Exact Wilcoxon signed-rank test, Holm-corrected; {limit}."
    why = f"because {limit}, not below alpha = {ALPHA:g}"
    caution = "; few seeds cannot confirm that, so take the p values as a guide" if n < 10 else ""
    return "t", 0.0, f"Paired t-test, Holm-corrected, {why}. The t-test assumes normal differences{caution}."


def _adjusted(differences: Sequence[Floats], test: Literal["wilcoxon", "t"] | None) -> Floats:
    """Return the Holm-adjusted p values of the pairs, shape (m,); NaN for a pair with too few seeds."""
    p_m = np.full(len(differences), np.nan)
    for pair, differences_S in enumerate(differences):
        if len(differences_S) >= MIN_SEEDS:
            p_m[pair] = signed_rank_p(differences_S) if test == "wilcoxon" else paired_t_p(differences_S)
    tested = ~np.isnan(p_m)
    p_m[tested] = holm(p_m[tested])
    return p_m


def _matrix(
    pairs: Sequence[tuple[int, int]], values_m: Floats, strategies: int, diagonal: float, *, mirrored: int
) -> Floats:
    """Return a matrix, shape (A, A), from one value per pair; values below the diagonal are times `mirrored`."""
    matrix = np.full((strategies, strategies), diagonal, np.float64)
    rows, columns = np.array(pairs).T
    matrix[rows, columns], matrix[columns, rows] = values_m, mirrored * values_m
    return matrix
