"""Power law of a learning curve: accuracy(n) = a − b·n^(−c), fitted to the measurements, with its uncertainty.

A power law is the usual shape (Cortes et al. 1993; Hestness et al. 2017). The points are weighted by their binomial
variance; for every c of a grid, a and b follow from weighted least squares. Uncertainty comes from a parametric
bootstrap: the held-out images are drawn again under the fitted curve, and the curve is fitted anew. An mIoU of masks is
treated as a share of the images: its true variance is smaller, so its intervals are rather too wide.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_POINTS = 4
"""Fewest points of a fit: the curve has three parameters, and one more point is needed to judge it."""

_EXPONENTS = np.geomspace(0.05, 2.0, 80)
_RESAMPLES = 500

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PowerLaw:
    """Fitted curve.

    Attributes:
        a: Accuracy in the limit of many labels.
        b: Scale of the difference to that limit.
        c: Exponent of its decrease.
        resampled: Values of a, b, c in the bootstrap, shape (R, 3).
    """

    a: float
    b: float
    c: float
    resampled: Floats

    def at(self, labels: int) -> float:
        """Return the expected accuracy with a number of labels."""
        return self.a - self.b * math.exp(-self.c * math.log(labels))

    def gain(self, labels: int, more: int, level: float = 0.9) -> tuple[float, float, float]:
        """Return (expected, low, high) of the increase in accuracy by `more` labels, at the confidence level."""
        _, b, c = self.resampled.T
        gains = b * (float(labels) ** -c - float(labels + more) ** -c)
        low, high = np.quantile(gains, [(1 - level) / 2, (1 + level) / 2])
        return self.at(labels + more) - self.at(labels), float(low), float(high)


def fit_power_law(
    labels: Sequence[int], accuracies: Sequence[float], held_out: Sequence[int], *, seed: int
) -> PowerLaw:
    """Fit the curve to at least four measurements.

    Args:
        labels: Numbers of labels trained on, shape (P,).
        accuracies: Shares of correct held-out images, shape (P,).
        held_out: Numbers of held-out images, shape (P,).
        seed: Seed of the bootstrap.

    Example:
        >>> n = [50, 100, 200, 400, 800]
        >>> curve = fit_power_law(n, [0.9 - 2 * x**-0.5 for x in n], [10_000] * 5, seed=0)
        >>> round(curve.a, 2), round(curve.c, 2)
        (0.9, 0.49)
    """
    n, y, m = (np.asarray(values, dtype=np.float64) for values in (labels, accuracies, held_out))
    smoothed = (y * m + 2) / (m + 4)  # 0 and 1 get a variance, too (Agresti and Coull)
    weights = m / (smoothed * (1 - smoothed))
    a, b, c = _fit(n, y[None], weights)[0]
    expected = np.clip(a - b * n**-c, 0, 1)
    again = np.random.default_rng(seed).binomial(m.astype(np.int64), expected, (_RESAMPLES, len(n))) / m
    return PowerLaw(float(a), float(b), float(c), _fit(n, again, weights))


def _fit(n: Floats, y_RP: Floats, weights: Floats) -> Floats:
    """Return a, b, c of each row of measurements, shape (R, 3), with 0 <= a <= 1 and b >= 0."""
    best = np.full(len(y_RP), np.inf)
    found = np.zeros((len(y_RP), 3))
    total = weights.sum()
    for c in _EXPONENTS:
        x = -(n**-c)
        x_mean, y_mean = (weights @ x) / total, (y_RP @ weights) / total
        b = ((y_RP - y_mean[:, None]) @ (weights * (x - x_mean))) / (weights @ (x - x_mean) ** 2)
        a = y_mean - b * x_mean
        # If the unconstrained optimum is infeasible, the constrained one is on the violated border.
        too_high = a > 1
        b = np.where(too_high, ((y_RP - 1) @ (weights * x)) / (weights @ x**2), b)
        a = np.where(too_high, 1.0, a)
        falls = b < 0
        a, b = np.where(falls, y_mean, a), np.where(falls, 0.0, b)
        loss = ((y_RP - a[:, None] - b[:, None] * x) ** 2) @ weights
        better = loss < best
        best = np.where(better, loss, best)
        found[better] = np.stack([a, b, np.full_like(a, c)], axis=1)[better]
    return found
