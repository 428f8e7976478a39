"""Confidence intervals of means over seeds."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from minimax_al.errors import ShapeError

CONFIDENCE = 0.95
"""Coverage of every interval."""

MIN_SEEDS = 3
"""Smallest number of seeds from which a page calls one strategy better than another.

Two differences agree in sign half of the time by chance, and their spread has one degree of freedom.
"""


@dataclass(frozen=True)
class Interval:
    """A confidence interval; an infinite end is open."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether zero is outside the interval."""
        return self.low > 0 or self.high < 0


def mean_interval(values: ArrayLike, bounds: tuple[float, float] = (-math.inf, math.inf)) -> Interval | None:
    """Return Student's 95% interval of the mean over seeds.

    Student's distribution has no bounds, but a share is in [0, 1]. The interval is cut where no mean can be; its
    coverage stays the same.

    Args:
        values: One value per seed, shape (S,).
        bounds: Smallest and largest value that the mean can have.

    Returns:
        The interval; None with one seed, which shows no spread.

    Raises:
        ShapeError: `values` is empty or has more than one dimension.

    Example:
        >>> interval = mean_interval([1.0, 2.0, 3.0])
        >>> round(interval.low, 3), round(interval.high, 3)
        (-0.484, 4.484)
        >>> mean_interval([0.92, 0.94], bounds=(0.0, 1.0)).high
        1.0
    """
    values_S = np.asarray(values, np.float64)
    if values_S.ndim != 1 or not values_S.size:
        raise ShapeError(f"an interval of a mean needs one value per seed, but the shape is {values_S.shape}")
    if values_S.size == 1:
        return None
    half = stats.t.ppf((1 + CONFIDENCE) / 2, values_S.size - 1) * values_S.std(ddof=1) / np.sqrt(values_S.size)
    mean = values_S.mean()
    return Interval(max(float(mean - half), bounds[0]), min(float(mean + half), bounds[1]))


def differ(first: ArrayLike, second: ArrayLike) -> bool:
    """Return whether paired values differ beyond chance: enough seeds, and an interval without zero.

    Args:
        first: One value per seed, shape (S,).
        second: Values of the same seeds in the same order, shape (S,).
    """
    difference_S: NDArray[np.float64] = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    if difference_S.size < MIN_SEEDS:
        return False
    interval = mean_interval(difference_S)
    return interval is not None and interval.excludes_zero
