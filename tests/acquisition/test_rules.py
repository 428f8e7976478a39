"""Every rule against its definition by brute force, with many ties."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimax_al.acquisition import (
    RULES,
    choose_by_rule,
    filter_then_entropy,
    intersection,
    logits_within_class,
    product,
    ranks,
    threshold,
    top,
)
from minimax_al.acquisition.rules import SHORT_NAMES
from minimax_al.errors import (
    BudgetError,
    ConfigurationError,
    NonFiniteScoreError,
    ShapeError,
    UnknownNameError,
)

few_values = st.integers(-2, 2)


@st.composite
def cases(draw):
    size = draw(st.integers(1, 12))
    logits = draw(st.lists(few_values, min_size=size, max_size=size))
    entropies = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    return logits, entropies, draw(st.integers(1, size))


def order(scores, *, largest=False):
    return sorted(range(len(scores)), key=lambda i: (-scores[i] if largest else scores[i], i))


def brute_intersection(logits, entropies, budget):
    by_D, by_H = order(logits), order(entropies, largest=True)
    rank_sum = {i: by_D.index(i) + by_H.index(i) for i in by_D}
    chosen = []
    for m in range(1, len(logits) + 1):
        joining = (set(by_D[:m]) & set(by_H[:m])) - set(chosen)
        chosen += sorted(joining, key=lambda i: (rank_sum[i], i))
        if len(chosen) >= budget:
            return chosen[:budget]
    raise AssertionError


def brute_threshold(logits, entropies, budget):
    kept = [i for i in order(entropies, largest=True) if logits[i] < 0]
    return (kept + [i for i in order(logits) if logits[i] >= 0])[:budget]


def brute_filter(logits, entropies, budget, factor=10):
    kept = set(order(logits)[: math.ceil(factor * budget)])
    return [i for i in order(entropies, largest=True) if i in kept][:budget]


def brute_product(logits, entropies, budget):
    # A float's sigmoid, taken as an exact fraction, gives equal products for equal scores.
    scores = [Fraction(1 / (1 + math.exp(d))) * h for d, h in zip(logits, entropies, strict=True)]
    return order(scores, largest=True)[:budget]


def brute_union(logits, entropies, budget):
    by_D, by_H = order(logits), order(entropies, largest=True)
    rank_sum = {i: by_D.index(i) + by_H.index(i) for i in by_D}
    chosen = []
    for m in range(1, len(logits) + 1):
        joining = (set(by_D[:m]) | set(by_H[:m])) - set(chosen)
        chosen += sorted(joining, key=lambda i: (rank_sum[i], i))
        if len(chosen) >= budget:
            return chosen[:budget]
    raise AssertionError


def brute_rank_sum(logits, entropies, budget):
    by_D, by_H = order(logits), order(entropies, largest=True)
    return sorted(by_D, key=lambda i: (by_D.index(i) + by_H.index(i), by_D.index(i)))[:budget]


BRUTE = {
    "union": brute_union,
    "rank_sum": brute_rank_sum,
    "intersection": brute_intersection,
    "threshold": brute_threshold,
    "filter_then_entropy": brute_filter,
    "product": brute_product,
    "highest_entropy": lambda _, entropies, budget: order(entropies, largest=True)[:budget],
    "least_labelled": lambda logits, _, budget: order(logits)[:budget],
}


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=80, deadline=None)
@given(case=cases())
def test_rules_equal_their_definitions(name, case):
    logits, entropies, budget = case
    chosen = choose_by_rule(name, torch.tensor(logits), np.array(entropies, dtype=np.float32), budget)
    assert chosen.tolist() == BRUTE[name](*case)
    assert chosen.dtype == torch.int64


def test_every_rule_has_a_definition_here_and_the_name_of_its_function():
    assert set(RULES) == set(BRUTE)
    assert all(rule.__name__ == name for name, rule in RULES.items())


@settings(max_examples=80, deadline=None)
@given(case=cases())
def test_ranks_within_a_class_are_shares_of_the_class(case):
    logits, classes, _ = case
    shares = logits_within_class(torch.tensor(logits), torch.tensor(classes)).sigmoid()
    for label in set(classes):
        own = [i for i in order(logits) if classes[i] == label]
        expected = [(rank + 0.5) / len(own) for rank in range(len(own))]
        assert shares[own].tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("short", SHORT_NAMES)
def test_short_names_choose_the_same(short):
    logits, entropies = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(choose_by_rule(short, logits, entropies, 9), RULES[SHORT_NAMES[short]](logits, entropies, 9))


def test_the_last_place_between_two_that_join_together_goes_to_the_smaller_sum_then_the_lower_index():
    # Ranks (D, H): (2, 1), (0, 2), (1, 0). At m = 3 samples 0 and 1 join.
    assert intersection(torch.tensor([3.0, 1.0, 2.0]), torch.tensor([2.0, 1.0, 3.0]), 2).tolist() == [2, 1]
    # Ranks (1, 0) and (0, 1): both join at m = 2 with equal sums.
    assert intersection(torch.tensor([3.0, 1.0]), torch.tensor([2.0, 1.0]), 1).tolist() == [0]


@pytest.mark.parametrize("name", RULES)
def test_rules_are_equivariant_under_permutation_without_ties(name):
    generator = torch.Generator().manual_seed(0)
    logits, entropies = torch.randn(200, generator=generator), torch.rand(200, generator=generator)
    permutation = torch.randperm(200, generator=generator)
    chosen = choose_by_rule(name, logits, entropies, 30)
    permuted = choose_by_rule(name, logits[permutation], entropies[permutation], 30)
    assert torch.equal(permutation[permuted], chosen)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_budget_of_the_whole_pool_takes_every_sample_once(name, dtype):
    logits, entropies = torch.randn(50).to(dtype), torch.rand(50).to(dtype)
    assert choose_by_rule(name, logits, entropies, 50).sort().values.tolist() == list(range(50))


@pytest.mark.parametrize("name", RULES)
def test_equal_scores_are_taken_by_index(name):
    assert choose_by_rule(name, torch.zeros(9), torch.ones(9), 4).tolist() == [0, 1, 2, 3]


def test_saturated_discriminators_still_rank():
    logits = torch.tensor([900.0, 800.0, 1000.0, 700.0])
    assert product(logits, torch.ones(4), 4).tolist() == [3, 1, 0, 2]
    assert torch.sigmoid(-logits).unique().numel() == 1


def test_products_without_entropy_come_last_and_by_index():
    assert product(torch.tensor([-5.0, 50.0, -9.0]), torch.tensor([0.0, 1e-30, 0.0]), 3).tolist() == [1, 0, 2]


def test_the_factor_of_the_filter():
    logits, entropies = torch.arange(10.0), torch.arange(10.0)
    assert filter_then_entropy(logits, entropies, 2, factor=1).tolist() == [1, 0]
    assert filter_then_entropy(logits, entropies, 2, factor=1.6).tolist() == [3, 2]
    assert choose_by_rule("filter", logits, entropies, 2, factor=3).tolist() == [5, 4]


def test_a_logit_of_zero_is_not_below_one_half():
    assert threshold(torch.tensor([0.0, -1e-30]), torch.tensor([1.0, 0.0]), 1).tolist() == [1]


@settings(max_examples=80, deadline=None)
@given(st.lists(few_values, min_size=1, max_size=30), st.data(), st.booleans())
def test_top_is_a_stable_sort_cut_short(scores, data, largest):
    budget = data.draw(st.integers(1, len(scores)))
    assert top(torch.tensor(scores), budget, largest=largest).tolist() == order(scores, largest=largest)[:budget]


@settings(max_examples=80, deadline=None)
@given(st.lists(few_values, max_size=30), st.booleans())
def test_ranks_invert_a_stable_sort(scores, largest):
    assert ranks(torch.tensor(scores, dtype=torch.float32), largest=largest).argsort().tolist() == order(
        scores, largest=largest
    )


def test_top_keeps_large_whole_numbers_apart():
    assert top(np.array([2**24, 2**24 + 1]), 1).tolist() == [1]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    ("budget", "match"),
    [
        (0, r"budget of 0 is outside 1 … 3"),
        (-1, r"budget of -1 is outside 1 … 3"),
        (4, r"budget of 4 is outside 1 … 3, the size of the pool"),
        (1.5, r"whole number, not 1\.5"),
        (True, "whole number, not True"),
        (None, "whole number, not None"),
    ],
)
def test_impossible_budgets(name, budget, match):
    with pytest.raises(BudgetError, match=match):
        choose_by_rule(name, torch.zeros(3), torch.zeros(3), budget)


@pytest.mark.parametrize("name", RULES)
def test_an_empty_pool_cannot_be_chosen_from(name):
    with pytest.raises(BudgetError, match="the pool is empty"):
        choose_by_rule(name, torch.zeros(0), torch.zeros(0), 1)


@pytest.mark.parametrize("name", sorted(set(RULES) - {"highest_entropy"}))
def test_non_finite_logits_raise(name):
    logits = torch.zeros(6)
    logits[4] = math.inf
    with pytest.raises(NonFiniteScoreError, match="labelledness logits are NaN or infinite for 1") as caught:
        choose_by_rule(name, logits, torch.zeros(6), 2)
    assert caught.value.positions == (4,)


@pytest.mark.parametrize("name", sorted(set(RULES) - {"least_labelled"}))
def test_non_finite_entropies_raise(name):
    entropies = np.zeros(6)
    entropies[2] = math.nan
    with pytest.raises(NonFiniteScoreError, match="entropies are NaN or infinite for 1 of 6") as caught:
        choose_by_rule(name, torch.zeros(6), entropies, 2)
    assert caught.value.positions == (2,)


@pytest.mark.parametrize("name", sorted(set(RULES) - {"highest_entropy", "least_labelled"}))
def test_two_pools_do_not_mix(name):
    with pytest.raises(ShapeError, match="labelledness logits are for 5 images, entropies for 6"):
        choose_by_rule(name, torch.zeros(5), torch.zeros(6), 2)


def test_a_column_of_logits_does_not_broadcast():
    with pytest.raises(ShapeError, match=r"labelledness logits must have the shape \(N,\), not \(5, 1\)"):
        intersection(torch.zeros(5, 1), torch.zeros(5), 2)


def test_rules_of_one_condition_need_no_other_scores():
    assert choose_by_rule("entropy", None, torch.tensor([0.0, 1.0]), 1).tolist() == [1]
    assert choose_by_rule("diversity", torch.tensor([0.0, 1.0]), None, 1).tolist() == [0]
    with pytest.raises(ShapeError, match=r"entropies must be .* not NoneType"):
        choose_by_rule("intersection", torch.zeros(2), None, 1)


def test_unknown_rules_and_settings():
    with pytest.raises(UnknownNameError, match="unknown rule 'intersect'; did you mean 'intersection'"):
        choose_by_rule("intersect", torch.zeros(2), torch.zeros(2), 1)
    with pytest.raises(ConfigurationError, match="rule 'product' does not have the setting 'factor'; it has none"):
        choose_by_rule("product", torch.zeros(2), torch.zeros(2), 1, factor=2)
    with pytest.raises(ConfigurationError, match="not have the setting 'k'; its only setting is 'factor'"):
        choose_by_rule("filter", torch.zeros(2), torch.zeros(2), 1, k=2)


@pytest.mark.parametrize("factor", [0.5, math.nan, math.inf])
def test_impossible_factors(factor):
    with pytest.raises(ConfigurationError, match=r"factor of the rule 'filter_then_entropy' is .* must be 1 or more"):
        filter_then_entropy(torch.zeros(2), torch.zeros(2), 1, factor=factor)


def test_negative_entropies_cannot_be_multiplied():
    with pytest.raises(ConfigurationError, match=r"entropies in the rule .*must be 0 or more; position 1 has -1\.0"):
        product(torch.zeros(2), torch.tensor([1.0, -1.0]), 1)
