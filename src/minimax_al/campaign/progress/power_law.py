"""The learning curve of a campaign: accuracy(n) = a − b·n^(−c), fitted to what was measured, with its uncertainty.

A power law is the usual shape (Cortes et al. 1993; Hestness et al. 2017). The points are weighted by their binomial
variance; for every c of a grid, a and b follow from weighted least squares. Uncertainty comes from a parametric
bootstrap: the held-out images are drawn again under the fitted curve, and everything is fitted anew. An mIoU of masks
is taken as if it were a share of the images: its true variance is smaller, so that its intervals are rather too wide.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_POINTS = 4
"""The curve has three parameters: with fewer points nothing is left to judge it by."""

_EXPONENTS = np.geomspace(0.05, 2.0, 80)
_RESAMPLES = 500

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PowerLaw:
    """A fitted curve.

    Attributes:
        a: accuracy with endlessly many labels.
        b: scale of what is missing to that.
        c: how fast it shrinks.
        resampled: (R, 3) a, b, c of the bootstrap.
    """

    a: float
    b: float
    c: float
    resampled: Floats

    def at(self, labels: int) -> float:
        """Accuracy expected with so many labels."""
        return self.a - self.b * math.exp(-self.c * math.log(labels))

    def gain(self, labels: int, more: int, level: float = 0.9) -> tuple[float, float, float]:
        """What `more` labels are expected to add to the accuracy: (expected, low, high) at the confidence level."""
        _, b, c = self.resampled.T
        gains = b * (float(labels) ** -c - float(labels + more) ** -c)
        low, high = np.quantile(gains, [(1 - level) / 2, (1 + level) / 2])
        return self.at(labels + more) - self.at(labels), float(low), float(high)


def fit_power_law(
    labels: Sequence[int], accuracies: Sequence[float], held_out: Sequence[int], *, seed: int
) -> PowerLaw:
    """Fits the curve to at least four measurements.

    Args:
        labels: (P,) labels trained on.
        accuracies: (P,) fractions of the held-out images that were right.
        held_out: (P,) how many images these were.
        seed: of the bootstrap.

    Example:
        >>> n = [50, 100, 200, 400, 800]
        >>> curve = fit_power_law(n, [0.9 - 2 * x**-0.5 for x in n], [10_000] * 5, seed=0)
        >>> round(curve.a, 2), round(curve.c, 2)
        (0.9, 0.49)
    """
    n, y, m = (np.asarray(values, dtype=np.float64) for values in (labels, accuracies, held_out))
    smoothed = (y * m + 2) / (m + 4)  # so that 0 and 1 have a variance, too (Agresti and Coull)
    weights = m / (smoothed * (1 - smoothed))
    a, b, c = _fit(n, y[None], weights)[0]
    expected = np.clip(a - b * n**-c, 0, 1)
    again = np.random.default_rng(seed).binomial(m.astype(np.int64), expected, (_RESAMPLES, len(n))) / m
    return PowerLaw(float(a), float(b), float(c), _fit(n, again, weights))


def _fit(n: Floats, y_RP: Floats, weights: Floats) -> Floats:
    """(R, 3) a, b, c of each row of measurements, 0 <= a <= 1 and b >= 0."""
    best = np.full(len(y_RP), np.inf)
    found = np.zeros((len(y_RP), 3))
    total = weights.sum()
    for c in _EXPONENTS:
        x = -(n**-c)
        x_mean, y_mean = (weights @ x) / total, (y_RP @ weights) / total
        b = ((y_RP - y_mean[:, None]) @ (weights * (x - x_mean))) / (weights @ (x - x_mean) ** 2)
        a = y_mean - b * x_mean
        # Where the free optimum lies outside, the best is on the border that it crossed.
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
