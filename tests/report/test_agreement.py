"""Agreement between annotators, checked with values of the literature and of scikit-learn."""

import random

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from minimax_al.report.agreement import (
    _alpha,
    _count_coincidences,
    cohen_kappa,
    krippendorff_alpha,
    measure_agreement,
)

# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C: four coders, twelve units, gaps.
CODERS = {
    "a": "123321412...",
    "b": "1233224125.3",
    "c": ".3332342251.",
    "d": "1233244125" + "1.",
}


def units(coders):
    found = [{name: column for name, column in zip(coders, row, strict=True) if column != "."}
             for row in zip(*coders.values(), strict=True)]  # fmt: skip
    return [unit for unit in found if len(unit) > 1]


def test_alpha_is_that_of_krippendorffs_example():
    assert krippendorff_alpha(units(CODERS)) == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize(
    ("one", "other", "alpha"),
    [
        ("0100000010", "1110010000", 0.095),
        ("aabbdcccedda", "babbbccceddd", 0.692),
    ],  # examples A and B of that paper
)
def test_alpha_is_that_of_krippendorffs_examples_of_two_coders(one, other, alpha):
    pairs = [{"a": x, "b": y} for x, y in zip(one, other, strict=True)]
    assert krippendorff_alpha(pairs) == pytest.approx(alpha, abs=5e-4)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_kappa_is_that_of_scikit_learn(classes):
    dice = random.Random(classes)
    for _ in range(10):
        first = [str(dice.randrange(classes)) for _ in range(50)]
        second = [name if dice.random() < 0.6 else str(dice.randrange(classes)) for name in first]
        assert cohen_kappa(list(zip(first, second, strict=True))) == pytest.approx(cohen_kappa_score(first, second))


def test_agreement_by_chance_is_zero_and_perfect_agreement_is_one():
    dice = random.Random(0)
    chance = [{"a": dice.choice("xy"), "b": dice.choice("xy"), "c": dice.choice("xy")} for _ in range(4000)]
    assert krippendorff_alpha(chance) == pytest.approx(0, abs=0.04)
    perfect = measure_agreement([{"a": name, "b": name} for name in "xyxyxyxyxyxy"])
    assert (perfect.images, perfect.same) == (12, 12)
    assert perfect.alpha.value == perfect.alpha.low == perfect.alpha.high == 1
    assert perfect.kappas["a", "b"].value == 1


def test_nothing_is_reported_of_fewer_than_ten_images():
    few = measure_agreement([{"a": "x", "b": "y"}, {"a": "x", "b": "x"}] * 4 + [{"a": "x", "b": "y"}])
    assert (few.images, few.same, few.alpha, few.kappas) == (9, 4, None, {})


def test_one_class_alone_has_no_coefficient():
    found = measure_agreement([{"a": "x", "b": "x"}] * 20)
    assert (found.same, found.alpha, found.kappas) == (20, None, {})


def test_the_interval_covers_the_true_kappa():
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(40):
        first = generator.integers(2, size=60)
        same = generator.random(60) < 0.8  # of two balanced classes: kappa 0.6
        pairs = [{"a": str(x), "b": str(x if keep else 1 - x)} for x, keep in zip(first, same, strict=True)]
        kappa = measure_agreement(pairs, seed=trial).kappas["a", "b"]
        assert kappa.low <= kappa.value <= kappa.high
        covered += kappa.low <= 0.6 <= kappa.high
    assert covered >= 34


def test_alpha_of_resampled_images_is_that_of_the_repeated_images():
    dice = random.Random(1)
    kinds = [{name: dice.choice("xyz") for name in dice.sample("abcd", dice.choice([2, 3, 4]))} for _ in range(20)]
    times = np.array([dice.randrange(4) for _ in kinds])
    repeated = [kind for kind, count in zip(kinds, times.tolist(), strict=True) for _ in range(count)]
    assert _alpha(_count_coincidences(kinds).table(times)) == pytest.approx(krippendorff_alpha(repeated))
