"""Agreement between annotators: Cohen's kappa and Krippendorff's alpha, each with a bootstrap interval."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

FEWEST_IMAGES = 10
"""Fewest images for a coefficient: with fewer, a single image changes it too much to be reported."""

_RESAMPLES = 2000
_LEVEL = 0.95

Unit = Mapping[str, str]
"""Labels of one image: class by author, at least two."""

T = TypeVar("T")


@dataclass(frozen=True)
class Coefficient:
    """Coefficient of agreement: 1 for perfect agreement, 0 for that of chance.

    Attributes:
        value: Value of the coefficient.
        low: Lower end of its 95 % interval, a bootstrap over images.
        high: Upper end of that interval.
        images: Number of images.
    """

    value: float
    low: float
    high: float
    images: int


@dataclass(frozen=True)
class Agreement:
    """Agreement of a campaign's annotators on images that they labelled independently.

    Attributes:
        images: Number of these images.
        same: Number of those with equal labels.
        alpha: Krippendorff's alpha of all annotators; None with fewer than `FEWEST_IMAGES` images.
        kappas: Cohen's kappa of each two annotators with at least `FEWEST_IMAGES` common images, by their names.
    """

    images: int
    same: int
    alpha: Coefficient | None
    kappas: Mapping[tuple[str, str], Coefficient]


def measure_agreement(units: Sequence[Unit], seed: int = 0) -> Agreement:
    """Return the agreement of annotators.

    Args:
        units: Labels of each image by author; images with one author count for nothing.
        seed: Seed of the bootstrap.

    Example:
        >>> measure_agreement([{"ann": "cat", "bob": "cat"}, {"ann": "cat", "bob": "dog"}] * 20).alpha.images
        40
    """
    units = [unit for unit in units if len(unit) > 1]
    authors = sorted({author for unit in units for author in unit})
    kappas = {}
    for one, other in combinations(authors, 2):
        pairs = [(unit[one], unit[other]) for unit in units if one in unit and other in unit]
        if (found := _with_interval(cohen_kappa, pairs, seed)) is not None:
            kappas[one, other] = found
    same = sum(len(set(unit.values())) == 1 for unit in units)
    return Agreement(len(units), same, _with_interval(krippendorff_alpha, units, seed), kappas)


def cohen_kappa(pairs: Sequence[tuple[str, str]]) -> float:
    """Return Cohen's kappa of two annotators, 1960: (observed − expected) / (1 − expected) agreement.

    Args:
        pairs: Labels of both annotators for each image.

    Returns:
        The coefficient; NaN where both use one and the same class alone, so that chance agrees always.

    Example:
        >>> cohen_kappa([("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15)
        0.4
    """
    names = sorted({name for pair in pairs for name in pair})
    table = np.zeros((len(names), len(names)))
    for one, other in pairs:
        table[names.index(one), names.index(other)] += 1
    shares = table / table.sum()
    observed = np.trace(shares)
    expected = float(shares.sum(axis=1) @ shares.sum(axis=0))
    return float("nan") if expected == 1 else round(float((observed - expected) / (1 - expected)), 12)


def krippendorff_alpha(units: Sequence[Unit]) -> float:
    """Return Krippendorff's alpha for nominal labels, of any number of annotators with gaps.

    With o_ck the coincidences of the classes c and k, n_c their sums and n the sum of these, alpha is
    1 − (n − 1) Σ_{c≠k} o_ck / Σ_{c≠k} n_c n_k (Krippendorff, Content Analysis, 2004, p. 228).

    Args:
        units: Labels of each image by author, at least two.

    Returns:
        The coefficient; NaN where all labels are of one class.
    """
    names = sorted({name for unit in units for name in unit.values()})
    coincidences = np.zeros((len(names), len(names)))
    for unit in units:
        counts = np.bincount([names.index(name) for name in unit.values()], minlength=len(names)).astype(float)
        # Every ordered pair of labels of an image counts 1 / (number of its labels − 1).
        coincidences += (np.outer(counts, counts) - np.diag(counts)) / (counts.sum() - 1)
    sums = coincidences.sum(axis=0)
    total = sums.sum()
    expected = total * total - float(sums @ sums)
    if expected == 0:
        return float("nan")
    return float(1 - (total - 1) * (total - np.trace(coincidences)) / expected)


def _with_interval(measure: Callable[[Sequence[T]], float], units: Sequence[T], seed: int) -> Coefficient | None:
    """Return a coefficient with its bootstrap interval over images; None if it is not known."""
    if len(units) < FEWEST_IMAGES or np.isnan(value := measure(units)):
        return None
    kinds, counts = _grouped(units)
    generator = np.random.default_rng(seed)
    drawn: list[float] = []
    for _ in range(_RESAMPLES):
        times: NDArray[np.int64] = generator.multinomial(len(units), counts / counts.sum())
        drawn.append(measure([unit for unit, count in zip(kinds, times.tolist(), strict=True) for _ in range(count)]))
    low, high = np.nanquantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Coefficient(value, float(low), float(high), len(units))


def _grouped(units: Sequence[T]) -> tuple[list[T], NDArray[np.float64]]:
    """Return the different units and how often each occurs: a resample of these is one of the units."""
    found: dict[object, list[T]] = {}
    for unit in units:
        key = tuple(sorted(unit.items())) if isinstance(unit, Mapping) else unit
        found.setdefault(key, []).append(unit)
    return [same[0] for same in found.values()], np.array([len(same) for same in found.values()], dtype=np.float64)
