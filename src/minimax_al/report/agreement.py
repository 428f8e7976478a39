"""Agreement between annotators: Cohen's kappa and Krippendorff's alpha, each with a bootstrap interval."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

FEWEST_IMAGES = 10
"""Fewest images for a coefficient: with fewer, a single image changes it too much to be reported."""

RESAMPLES = 2000
"""Resamples of a bootstrap over images."""

ENDS = (0.025, 0.975)
"""Shares of the resamples below the ends of an interval."""

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
        if (found := _with_interval(_count_pairs, _kappa, pairs, seed)) is not None:
            kappas[one, other] = found
    same = sum(len(set(unit.values())) == 1 for unit in units)
    return Agreement(len(units), same, _with_interval(_count_coincidences, _alpha, units, seed), kappas)


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
    return _kappa(_count_pairs(pairs).table())


def krippendorff_alpha(units: Sequence[Unit]) -> float:
    """Return Krippendorff's alpha for nominal labels, of any number of annotators with gaps.

    With o_ck the coincidences of the classes c and k, n_c their sums and n the sum of these, alpha is
    1 − (n − 1) Σ_{c≠k} o_ck / Σ_{c≠k} n_c n_k (Krippendorff, Content Analysis, 2004, p. 228).

    Args:
        units: Labels of each image by author, at least two.

    Returns:
        The coefficient; NaN where all labels are of one class.
    """
    return _alpha(_count_coincidences(units).table())


class _ClassPairs(NamedTuple):
    """Pairs of classes in the labels of images; a coefficient needs their table alone.

    Attributes:
        cells: Cell of each pair in the table, row by row, shape (E,).
        weights: Weight of each pair, shape (E,).
        units: Position of the image that has the pair, shape (E,).
        classes: Number of classes.
    """

    cells: NDArray[np.int64]
    weights: NDArray[np.float64]
    units: NDArray[np.int64]
    classes: int

    def table(self, times: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Return the sum of the weights of each pair, with each image counted `times`, by default once."""
        weights = self.weights if times is None else self.weights * times[self.units]
        sums: NDArray[np.float64] = np.bincount(self.cells, weights, self.classes**2).astype(np.float64)
        return sums.reshape(self.classes, self.classes)


def _count_pairs(pairs: Sequence[tuple[str, str]]) -> _ClassPairs:
    index = {name: position for position, name in enumerate(sorted({name for pair in pairs for name in pair}))}
    cells = np.array([index[one] * len(index) + index[other] for one, other in pairs], dtype=np.int64)
    return _ClassPairs(cells, np.ones(len(pairs)), np.arange(len(pairs)), len(index))


def _count_coincidences(units: Sequence[Unit]) -> _ClassPairs:
    names = sorted({name for unit in units for name in unit.values()})
    index = {name: position for position, name in enumerate(names)}
    found = [
        # Every ordered pair of labels of an image counts 1 / (number of its labels − 1).
        (index[one] * len(index) + index[other], 1 / (len(unit) - 1), position)
        for position, unit in enumerate(units)
        for one, other in permutations(unit.values(), 2)
    ]
    cells, weights, positions = zip(*found, strict=True)
    return _ClassPairs(np.array(cells), np.array(weights), np.array(positions), len(index))


def _kappa(table: NDArray[np.float64]) -> float:
    shares = table / table.sum()
    observed = np.trace(shares)
    expected = float(shares.sum(axis=1) @ shares.sum(axis=0))
    return float("nan") if expected == 1 else round(float((observed - expected) / (1 - expected)), 12)


def _alpha(coincidences: NDArray[np.float64]) -> float:
    sums = coincidences.sum(axis=0)
    total = sums.sum()
    expected = total * total - float(sums @ sums)
    if expected == 0:
        return float("nan")
    return float(1 - (total - 1) * (total - np.trace(coincidences)) / expected)


def _with_interval(
    count: Callable[[Sequence[T]], _ClassPairs],
    coefficient: Callable[[NDArray[np.float64]], float],
    units: Sequence[T],
    seed: int,
) -> Coefficient | None:
    """Return a coefficient with its bootstrap interval over images; None if it is not known."""
    if len(units) < FEWEST_IMAGES or np.isnan(value := coefficient(count(units).table())):
        return None
    kinds, counts = _grouped(units)
    pairs = count(kinds)  # a resample has the same pairs, each as often as its image was drawn
    generator = np.random.default_rng(seed)
    drawn = [
        coefficient(pairs.table(generator.multinomial(len(units), counts / counts.sum()))) for _ in range(RESAMPLES)
    ]
    low, high = np.nanquantile(drawn, ENDS)
    return Coefficient(value, float(low), float(high), len(units))


def _grouped(units: Sequence[T]) -> tuple[list[T], NDArray[np.float64]]:
    """Return the different units and how often each occurs: a resample of these is one of the units."""
    found: dict[object, list[T]] = {}
    for unit in units:
        key = tuple(sorted(unit.items())) if isinstance(unit, Mapping) else unit
        found.setdefault(key, []).append(unit)
    return [same[0] for same in found.values()], np.array([len(same) for same in found.values()], dtype=np.float64)
