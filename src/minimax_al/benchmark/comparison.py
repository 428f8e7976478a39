"""Which strategies beat which, beyond chance: paired tests over seeds, corrected for their number.

With n seeds the signed-rank test cannot give a p below 2^(1-n), and Holm's correction multiplies the smallest
p by the number of pairs. Where that could never reach alpha, the test would call everything a tie whatever
the data, so the paired t-test, which assumes normal differences, stands in; the result says which was used
and why.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from minimax_al.benchmark.statistics import Floats, area_under_curve, paired_curves
from minimax_al.errors import NonFiniteScoreError, ResultsError, ShapeError
from minimax_al.report.curves import LESS_IS_BETTER, Record

ALPHA = 0.05
"""Family-wise level of the Holm-corrected tests."""


def signed_rank_p(differences: ArrayLike) -> float:
    """Exact two-sided p of Wilcoxon's signed-rank test, with ties (mid-ranks) and zeros (dropped).

    Args:
        differences: (n,) paired differences.

    Returns:
        The share of the 2^n sign patterns at least as lopsided as the one seen; 1.0 where all differences are
        zero.

    Raises:
        NonFiniteScoreError: a difference is not finite.

    Example:
        >>> signed_rank_p([0.1, 0.2, 0.3, 0.4, 0.5])  # all one way: 2 of 32 patterns
        0.0625
    """
    kept_n = _finite(differences)
    kept_n = kept_n[kept_n != 0]
    if not kept_n.size:
        return 1.0
    # Mid-ranks are multiples of one half: doubled, they are whole, and the number of patterns for each rank
    # sum is the coefficient of a product of (1 + x^rank).
    ranks_n = np.rint(2 * stats.rankdata(np.abs(kept_n))).astype(np.int64)
    patterns = np.ones(1)
    for rank in ranks_n:
        patterns = np.pad(patterns, (0, rank)) + np.pad(patterns, (rank, 0))
    sums = np.arange(patterns.size)
    centre = ranks_n.sum() / 2
    seen = abs(ranks_n[kept_n > 0].sum() - centre)
    return float(patterns[np.abs(sums - centre) >= seen].sum() / patterns.sum())


def paired_t_p(differences: ArrayLike) -> float:
    """Two-sided p of the paired t-test.

    Where every difference is the same number other than zero the test has no scale; the sign test's 2^(1-n),
    which assumes less, stands in.

    Args:
        differences: (n,) paired differences, n of 2 or more.

    Returns:
        The p value; 1.0 where all differences are zero.

    Raises:
        ShapeError: fewer than two differences.
        NonFiniteScoreError: a difference is not finite.
    """
    differences_n = _finite(differences)
    if differences_n.size < 2:
        raise ShapeError(f"a paired t-test needs two seeds or more, but got {differences_n.size}")
    mean, spread = differences_n.mean(), differences_n.std(ddof=1)
    if spread <= 1e-12 * abs(mean):
        return 1.0 if mean == 0 else float(2.0 ** (1 - differences_n.size))
    t = mean / (spread / np.sqrt(differences_n.size))
    return float(2 * stats.t.sf(abs(t), differences_n.size - 1))


def _finite(differences: ArrayLike) -> Floats:
    values_n = np.asarray(differences, np.float64)
    if not np.isfinite(values_n).all():
        raise NonFiniteScoreError(
            f"paired differences are not finite: {values_n.tolist()!r}; look for NaN among the recorded values",
            tuple(np.flatnonzero(~np.isfinite(values_n)).tolist()),
        )
    return values_n


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down correction: adjusted p values that keep the family-wise error under alpha.

    Args:
        p_values: (m,) raw p values.

    Returns:
        (m,) adjusted p values, in the same order, at most 1.

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
        strategies: the A strategies.
        metric: what was compared.
        difference: (A, A) mean over seeds of i minus j, in the metric's unit.
        p: (A, A) Holm-adjusted p values; NaN on the diagonal and where a pair shares one seed only.
        outcome: (A, A) 1 where i wins, -1 where it loses, 0 for a tie.
        seeds: (A, A) number of seeds that the pair shares.
        test: "wilcoxon" or "t"; None where no pair could be tested.
        smallest_p: the smallest adjusted p that the test can give with these seeds and pairs; 0.0 for the
            t-test.
        notes: what the reader must know (why this test, what was left out).
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
        """Wins, ties and losses of one strategy against all others."""
        row = np.delete(self.outcome[self.strategies.index(strategy)], self.strategies.index(strategy))
        return int((row > 0).sum()), int((row == 0).sum()), int((row < 0).sum())


def paired_comparison(records: Iterable[Record], strategies: Sequence[str], metric: str = "accuracy") -> Comparison:
    """Compares the areas under the curves of all pairs of strategies, over the seeds that each pair shares.

    The test is Wilcoxon's where it could reach `ALPHA` with so many seeds and pairs, else the t-test. The choice
    rests on these numbers alone, never on the values.

    Args:
        records: records of the strategies, on one data set.
        strategies: which strategies, two or more.
        metric: which metric; for those in `LESS_IS_BETTER` the smaller value wins.

    Returns:
        The matrices, the test and its limits.

    Raises:
        ResultsError: fewer than two strategies, or as `paired_curves` for a pair.
        ShapeError: a pair shares one number of labels only.
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
    # NaN is not below alpha: a pair that could not be tested is a tie.
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
    """The test, the smallest adjusted p that it can give, and a sentence that says why."""
    tested = [n for n in seeds if n > 1]
    if not tested:
        return None, None, "One seed a pair: nothing can be tested, so every pair is a tie. Run more seeds."
    n, m = min(tested), len(tested)
    floor = min(1.0, m * 2.0 ** (1 - n))
    pairs = f"{m} {'pair' if m == 1 else 'pairs'}"
    limit = (
        f"the smallest adjusted p that the Wilcoxon signed-rank test can give with {n} seeds and {pairs} is {floor:.2g}"
    )
    if floor < ALPHA:
        return "wilcoxon", floor, f"Exact Wilcoxon signed-rank test, Holm-corrected; {limit}."
    why = f"because {limit}, not below alpha = {ALPHA:g}"
    caution = "; with so few seeds that cannot be checked, so take the p values as a guide" if n < 10 else ""
    return "t", 0.0, f"Paired t-test, Holm-corrected, {why}. The t-test assumes normal differences{caution}."


def _adjusted(differences: Sequence[Floats], test: Literal["wilcoxon", "t"] | None) -> Floats:
    """(m,) Holm-adjusted p values of the pairs; NaN for a pair with one seed."""
    p_m = np.full(len(differences), np.nan)
    for pair, differences_S in enumerate(differences):
        if len(differences_S) > 1:
            p_m[pair] = signed_rank_p(differences_S) if test == "wilcoxon" else paired_t_p(differences_S)
    tested = ~np.isnan(p_m)
    p_m[tested] = holm(p_m[tested])
    return p_m


def _matrix(
    pairs: Sequence[tuple[int, int]], values_m: Floats, strategies: int, diagonal: float, *, mirrored: int
) -> Floats:
    """(A, A) from one value a pair; below the diagonal stand the values times `mirrored`, 1 or -1."""
    matrix = np.full((strategies, strategies), diagonal, np.float64)
    rows, columns = np.array(pairs).T
    matrix[rows, columns], matrix[columns, rows] = values_m, mirrored * values_m
    return matrix
