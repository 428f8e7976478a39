"""Agreement between annotators who drew masks of the same images: IoU per class, Cohen's kappa, Krippendorff's alpha.

Void is the answer "no class": coefficients are of the pixels to which both gave a class, as training and measurement
leave void out. Whether two masks are a conflict is decided by the pixels that at least one annotator drew, since an
object that one left out is a difference.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from minimax_al.report.agreement import ENDS, FEWEST_IMAGES, RESAMPLES, Coefficient
from minimax_al.vocabulary import IGNORED

_NUMBERS = IGNORED + 1
_BLOCK = 100  # resamples that memory holds at once

Integers = NDArray[np.int64]


class PixelTable(NamedTuple):
    """Pixels of one image by their classes in two masks; one row per pair of classes that occurs.

    Attributes:
        first: Class number in the first mask, 255 = void, shape (E,).
        second: The same in the second mask, shape (E,).
        counts: Number of pixels with this pair, shape (E,).
    """

    first: Integers
    second: Integers
    counts: Integers

    @classmethod
    def of(cls, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Self:
        """Count the pairs of two masks.

        Args:
            first: Class numbers, shape (H, W), dtype uint8; 255 = void.
            second: Class numbers of the same image.

        Example:
            >>> table = PixelTable.of(np.array([[0, 1, 255]], np.uint8), np.array([[0, 0, 1]], np.uint8))
            >>> [column.tolist() for column in table], round(table.agreement, 2)
            ([[0, 1, 255], [0, 0, 1], [1, 1, 1]], 0.33)
        """
        codes = first.ravel().astype(np.uint16) * _NUMBERS + second.ravel()
        pairs = np.bincount(codes, minlength=_NUMBERS**2)
        found = np.flatnonzero(pairs)
        return cls(found // _NUMBERS, found % _NUMBERS, pairs[found])

    @property
    def agreement(self) -> float:
        """Share of the pixels that at least one annotator drew to which both gave the same class; 1 without any."""
        drawn = int(self.counts[(self.first != IGNORED) | (self.second != IGNORED)].sum())
        same = int(self.counts[(self.first == self.second) & (self.first != IGNORED)].sum())
        return same / drawn if drawn else 1.0

    def agrees(self, least: float) -> bool:
        """Return whether at least this share of the drawn pixels has the same class in both masks."""
        return self.agreement >= least

    def renumbered(self, numbers: NDArray[np.uint8]) -> Self:
        """Return the table after a change of the class numbers.

        Args:
            numbers: New number of each old one, shape (256,).
        """
        return type(self)(numbers[self.first].astype(np.int64), numbers[self.second].astype(np.int64), self.counts)


class MaskPair(NamedTuple):
    """Masks of one image that two annotators drew independently.

    Attributes:
        first: Name of the first annotator.
        second: Name of the second annotator.
        table: Pixels by both classes.
    """

    first: str
    second: str
    table: PixelTable


@dataclass(frozen=True)
class ClassOverlap:
    """Overlap of one class in the masks of two annotators, where both gave the pixels a class.

    Attributes:
        name: Name of the class.
        iou: Intersection over union of the class in both masks, over the pixels of all images to which both annotators
            gave a class: pixels that either left void are in neither intersection nor union.
        low: Lower end of its 95 % interval, a bootstrap over images; None with fewer than `FEWEST_IMAGES` images.
        high: Upper end of that interval.
        images: Number of images in which at least one annotator drew the class on such pixels.
    """

    name: str
    iou: float
    low: float | None
    high: float | None
    images: int


@dataclass(frozen=True)
class MaskAgreement:
    """Agreement of annotators on the pixels of images that they drew independently.

    Attributes:
        images: Number of these images.
        same: Share of the pixels with a class in both masks that have the same one; None without such pixels.
        alpha: Krippendorff's alpha of all annotators; None with fewer than `FEWEST_IMAGES` images.
        kappas: Cohen's kappa of each two annotators with at least `FEWEST_IMAGES` common images, by their names.
        classes: Overlap of each class on the pixels to which both annotators gave a class.
    """

    images: int
    same: float | None
    alpha: Coefficient | None
    kappas: Mapping[tuple[str, str], Coefficient]
    classes: tuple[ClassOverlap, ...]


def measure_mask_agreement(pairs: Sequence[MaskPair], names: Sequence[str], seed: int = 0) -> MaskAgreement:
    """Return the agreement of annotators on pixels.

    Args:
        pairs: Masks of the images that two annotators drew.
        names: Names of the classes, in the order of their numbers.
        seed: Seed of the bootstrap over images.
    """
    sums = _Sums.of(pairs, len(names))
    authors = sorted({author for pair in pairs for author in (pair.first, pair.second)})
    kappas = {}
    for one, other in combinations(authors, 2):
        common = [_ordered(pair) for pair in pairs if {pair.first, pair.second} == {one, other}]
        if (found := _coefficient(_kappa, _Sums.of(common, len(names)), seed)) is not None:
            kappas[one, other] = found
    total = sums.first.sum()
    same = float(sums.both.sum() / total) if total else None
    alpha = _coefficient(_alpha, sums, seed)
    return MaskAgreement(len(pairs), same, alpha, kappas, tuple(_overlaps(sums, names, seed)))


class _Sums(NamedTuple):
    """Pixels of each image and class to which both annotators gave a class; all coefficients follow from them.

    Attributes:
        first: Pixels of the class in the first mask, shape (N, K).
        second: Pixels of the class in the second mask, shape (N, K).
        both: Pixels of the class in both masks, shape (N, K).
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    both: NDArray[np.float64]

    @classmethod
    def of(cls, pairs: Sequence[MaskPair], classes: int) -> Self:
        sums = np.zeros((3, len(pairs), classes))
        for row, (_, _, table) in enumerate(pairs):
            is_drawn = (table.first < classes) & (table.second < classes)
            first, second, counts = (column[is_drawn] for column in table)
            same = first == second
            sums[0, row] = np.bincount(first, counts, classes)
            sums[1, row] = np.bincount(second, counts, classes)
            sums[2, row] = np.bincount(first[same], counts[same], classes)
        return cls(*sums)

    def weighted(self, times: NDArray[np.float64]) -> Self:
        """Return the sums over images, each image counted `times`; shape (R, N) gives (R, K)."""
        return type(self)(*(times @ part for part in self))


def _ordered(pair: MaskPair) -> MaskPair:
    """Return a pair with its annotators in the order of their names, so that kappa has one annotator per margin."""
    first, second, table = pair
    if first <= second:
        return pair
    return MaskPair(second, first, PixelTable(table.second, table.first, table.counts))


def _resampled(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], images: int, seed: int
) -> NDArray[np.float64]:
    """Return a statistic of each resample of the bootstrap, shape (R,); memory is that of a block of resamples.

    Args:
        statistic: Function of how often each image was drawn, shape (B, N), that returns shape (B,).
        images: Number of images.
        seed: Seed of the resamples.
    """
    generator, shares = np.random.default_rng(seed), np.full(images, 1 / images)
    blocks = range(0, RESAMPLES, _BLOCK)
    drawn = (generator.multinomial(images, shares, min(_BLOCK, RESAMPLES - start)) for start in blocks)
    return np.concatenate([statistic(times.astype(np.float64)) for times in drawn])


def _coefficient(formula: Callable[[_Sums], NDArray[np.float64]], sums: _Sums, seed: int) -> Coefficient | None:
    """Return a coefficient with its bootstrap interval over images; None if it is not known."""
    images = len(sums.first)
    if images < FEWEST_IMAGES:
        return None
    value = float(formula(sums.weighted(np.ones((1, images))))[0])
    if np.isnan(value):
        return None
    low, high = np.nanquantile(_resampled(lambda times: formula(sums.weighted(times)), images, seed), ENDS)
    return Coefficient(value, float(low), float(high), images)


def _kappa(sums: _Sums) -> NDArray[np.float64]:
    """Return Cohen's kappa of each row: (observed − expected) / (1 − expected) agreement; NaN where it is undefined."""
    total = sums.first.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = sums.both.sum(axis=1) / total
        expected = (sums.first * sums.second).sum(axis=1) / total**2
        found: NDArray[np.float64] = np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)
    return found


def _alpha(sums: _Sums) -> NDArray[np.float64]:
    """Return Krippendorff's alpha of each row, for nominal labels and two masks per image."""
    # Each pixel has two labels: n = 2 × pixels, n_c is the sum of both margins, and o_cc is twice the common pixels.
    margins = sums.first + sums.second
    total = margins.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = total**2 - (margins**2).sum(axis=1)
        differing = total - 2 * sums.both.sum(axis=1)
        found: NDArray[np.float64] = np.where(expected > 0, 1 - (total - 1) * differing / expected, np.nan)
    return found


def _share(common: NDArray[np.float64], union: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the IoU of each resample, shape (B,)."""
    shares: NDArray[np.float64] = (times @ common) / (times @ union)
    return shares


def _overlaps(sums: _Sums, names: Sequence[str], seed: int) -> list[ClassOverlap]:
    found = []
    for number, name in enumerate(names):
        one, other, both = (part[:, number] for part in sums)
        is_drawn = one + other > 0
        images = int(is_drawn.sum())
        if images == 0:
            continue
        either = one + other - both
        ends: tuple[float | None, float | None] = (None, None)
        if images >= FEWEST_IMAGES:
            common, union = both[is_drawn], either[is_drawn]
            shares = _resampled(partial(_share, common, union), images, seed)
            ends = (float(np.quantile(shares, ENDS[0])), float(np.quantile(shares, ENDS[1])))
        found.append(ClassOverlap(name, float(both.sum() / either.sum()), *ends, images))
    return found
