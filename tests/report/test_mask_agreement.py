"""Agreement on pixels against scikit-learn's formulas on the pixels themselves."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, jaccard_score

from minimax_al.report.agreement import krippendorff_alpha
from minimax_al.report.mask_agreement import MaskPair, PixelTable, measure_mask_agreement

CLASSES = ("sky", "road", "car")
VOID = 255


def draw(generator, share_void=0.1):
    mask = generator.integers(0, 3, (9, 11)).astype(np.uint8)
    mask[generator.random(mask.shape) < share_void] = VOID
    return mask


def noisy(mask, generator, share=0.3):
    other = mask.copy()
    wrong = generator.random(mask.shape) < share
    other[wrong] = generator.choice(np.array([0, 1, 2, VOID], np.uint8), wrong.sum())
    return other


@pytest.fixture(scope="module")
def drawn():
    """Twelve pairs of masks by ann and bob, who takes the first place in some."""
    generator = np.random.default_rng(4)
    pairs = []
    for number in range(12):
        one = draw(generator)
        other = noisy(one, generator)
        names = ("ann", "bob") if number % 3 else ("bob", "ann")
        pairs.append((*names, one, other))
    return pairs


def measured(drawn, **options):
    pairs = [MaskPair(one, other, PixelTable.of(*masks)) for one, other, *masks in drawn]
    return measure_mask_agreement(pairs, CLASSES, **options)


def pixels(drawn, author):
    """All pixels that both annotators drew, as this one labelled them."""
    found = []
    for one, _, first, second in drawn:
        both = (first != VOID) & (second != VOID)
        found.append((first if one == author else second)[both])
    return np.concatenate(found)


def test_coefficients_are_those_of_the_pixels(drawn):
    agreement = measured(drawn)
    ann, bob = pixels(drawn, "ann"), pixels(drawn, "bob")
    assert agreement.kappas["ann", "bob"].value == pytest.approx(cohen_kappa_score(ann, bob))
    units = [{"ann": str(one), "bob": str(other)} for one, other in zip(ann, bob, strict=True)]
    assert agreement.alpha.value == pytest.approx(krippendorff_alpha(units))
    assert agreement.same == pytest.approx((ann == bob).mean())
    expected = jaccard_score(ann, bob, labels=[0, 1, 2], average=None)
    assert [one.iou for one in agreement.classes] == pytest.approx(expected)


def test_intervals_are_over_images_and_hold_the_value(drawn):
    agreement = measured(drawn)
    for found in (agreement.alpha, *agreement.kappas.values()):
        assert found.low < found.value < found.high
    assert all(one.low < one.iou < one.high for one in agreement.classes)
    assert measured(drawn) == agreement
    # The same pixels in images that are all alike: nothing is left to resample.
    alike = measured([drawn[1]] * 12)
    assert alike.alpha.high - alike.alpha.low < 1e-9


def test_fewer_than_ten_images_have_no_interval(drawn):
    agreement = measured(drawn[:9])
    assert agreement.alpha is None
    assert agreement.kappas == {}
    assert {(one.low, one.high, one.images) for one in agreement.classes} == {(None, None, 9)}


def test_equal_masks_agree_perfectly(drawn):
    equal = measured([(one, other, first, first) for one, other, first, _ in drawn])
    assert (equal.same, equal.alpha.value, equal.alpha.low) == (1, 1, 1)
    assert [(one.iou, one.low) for one in equal.classes] == [(1, 1)] * 3


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0, 0, 1, VOID], [0, 0, 1, VOID], 1),
        ([0, 0, 1, VOID], [0, 1, 1, VOID], 2 / 3),
        ([0, 0, VOID, VOID], [0, 0, 2, 2], 1 / 2),  # an object that one left out
        ([0, VOID], [VOID, 0], 0),
        ([VOID, VOID], [VOID, VOID], 1),
    ],
)
def test_agreement_of_two_masks_is_of_the_pixels_that_somebody_drew(first, second, expected):
    table = PixelTable.of(np.array([first], np.uint8), np.array([second], np.uint8))
    assert table.agreement == pytest.approx(expected)


def test_a_renumbered_table_is_that_of_renumbered_masks(drawn):
    numbers = np.full(256, VOID, np.uint8)
    numbers[:3] = [1, 1, 0]  # a merge and a new order
    _, _, first, second = drawn[0]
    expected = PixelTable.of(numbers[first], numbers[second])
    found = PixelTable.of(first, second).renumbered(numbers)
    assert found.agreement == expected.agreement
    for table in (found, expected):
        assert measure_mask_agreement([MaskPair("ann", "bob", table)], CLASSES) == measure_mask_agreement(
            [MaskPair("ann", "bob", expected)], CLASSES
        )
