"""From scores to indices: the readings of Algorithm 2 of Minimax Active Learning.

Algorithm 2 asks for "the top b samples that meet both" conditions: the discriminator D says "unlabelled"
(low logit) and the classifier's entropy H is high. Each function here is one reading of that sentence. All of
them rank D's logits, since its probabilities saturate, and break ties by the lower index, so that equal input
gives equal picks on every device.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from minimax_al.acquisition.checks import Array, as_scores, check_budget, check_same_length
from minimax_al.errors import ConfigurationError, UnknownNameError

LABELLEDNESS = "labelledness logits"
ENTROPIES = "entropies"


def top(scores: Array, budget: int, *, largest: bool = True) -> Tensor:
    """The samples of the most extreme scores, by selection in O(N).

    Args:
        scores: shape (N,).
        budget: number of samples to choose.
        largest: whether large scores are wanted.

    Returns:
        Shape (budget,), int64: best score first, equal scores by index.

    Raises:
        BudgetError: a budget below 1 or above N.
        ShapeError: another shape.
        NonFiniteScoreError: a score is NaN or infinite.

    Example:
        >>> top(torch.tensor([1.0, 3.0, 2.0, 3.0]), 3)
        tensor([1, 3, 2])
    """
    values = as_scores(scores)
    return top_unchecked(values, check_budget(budget, len(values)), largest=largest)


def top_unchecked(scores: Tensor, budget: int, *, largest: bool = True) -> Tensor:
    """`top` for callers that have checked their scores, which may be whole numbers or infinite."""
    # topk finds the value of the last place in linear time, but may give any of those that share it.
    last = scores.topk(budget, largest=largest, sorted=False).values
    last = last.amin() if largest else last.amax()
    better = (scores > last if largest else scores < last).nonzero().flatten()
    level = (scores == last).nonzero().flatten()[: budget - len(better)]
    chosen = torch.cat([better, level])
    return chosen[scores[chosen].argsort(descending=largest, stable=True)]


def ranks(scores: Array, *, largest: bool = False) -> Tensor:
    """The place of every sample in the order of scores, counted from 0; equal scores by index.

    Args:
        scores: shape (N,).
        largest: whether the largest score has place 0.

    Returns:
        Shape (N,), int64, a permutation of 0 … N − 1.

    Raises:
        ShapeError: another shape.
        NonFiniteScoreError: a score is NaN or infinite.
    """
    order = as_scores(scores).argsort(descending=largest, stable=True)
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order), device=order.device)
    return places


def intersection(labelledness_logits: Array, entropies: Array, budget: int) -> Tensor:
    """The first b samples that are in both lists, as both lists grow (paper preset).

    With the smallest m for which the m lowest logits and the m highest entropies share b samples: those
    samples. They are the b smallest of max(rank_D, rank_H). At the last m two samples may join where one
    place is left; the smaller sum of ranks goes first, then the lower index. O(N log N) time, O(N) memory.

    Args:
        labelledness_logits: shape (N,), D's logits; low = unlike the labelled samples.
        entropies: shape (N,).
        budget: number of samples to choose.

    Returns:
        Shape (budget,), int64, in the order in which the samples join.

    Raises:
        BudgetError: a budget below 1 or above N.
        ShapeError: other shapes, or two lengths.
        NonFiniteScoreError: a score is NaN or infinite.

    Example:
        >>> intersection(torch.tensor([-3.0, -2.0, -1.0]), torch.tensor([0.1, 0.9, 0.8]), 2)
        tensor([1, 0])
    """
    logits_N, entropies_N, budget = _both(labelledness_logits, entropies, budget)
    rank_D, rank_H = ranks(logits_N), ranks(entropies_N, largest=True)
    joins_at = torch.maximum(rank_D, rank_H)
    # One whole number that compares as the pair (joins_at, sum of ranks); exact up to N = 2^31.
    return top_unchecked(joins_at * (2 * len(rank_D)) + rank_D + rank_H, budget, largest=False)


def threshold(labelledness_logits: Array, entropies: Array, budget: int) -> Tensor:
    """The highest entropies among the samples with D < 0.5; where these are too few, then the lowest D.

    Args:
        labelledness_logits: shape (N,), D's logits; D < 0.5 is a logit below 0.
        entropies: shape (N,).
        budget: number of samples to choose.

    Returns:
        Shape (budget,), int64: the kept ones by entropy, then the fill by logit.

    Raises:
        BudgetError: a budget below 1 or above N.
        ShapeError: other shapes, or two lengths.
        NonFiniteScoreError: a score is NaN or infinite.
    """
    logits_N, entropies_N, budget = _both(labelledness_logits, entropies, budget)
    kept = (logits_N < 0).nonzero().flatten()
    if len(kept) >= budget:
        return kept[top_unchecked(entropies_N[kept], budget)]
    others = (logits_N >= 0).nonzero().flatten()
    fill = others[top_unchecked(logits_N[others], budget - len(kept), largest=False)]
    return torch.cat([kept[entropies_N[kept].argsort(descending=True, stable=True)], fill])


def filter_then_entropy(labelledness_logits: Array, entropies: Array, budget: int, factor: float = 10) -> Tensor:
    """The highest entropies among the k·b lowest D.

    Args:
        labelledness_logits: shape (N,), D's logits; low = unlike the labelled samples.
        entropies: shape (N,).
        budget: number of samples to choose.
        factor: k ≥ 1; k·b is rounded up and ends at N.

    Returns:
        Shape (budget,), int64, by entropy.

    Raises:
        ConfigurationError: a factor below 1.
        BudgetError: a budget below 1 or above N.
        ShapeError: other shapes, or two lengths.
        NonFiniteScoreError: a score is NaN or infinite.
    """
    if not 1 <= factor < math.inf:
        raise ConfigurationError(f"the factor of the rule 'filter' is {factor!r}; it must be 1 or more")
    logits_N, entropies_N, budget = _both(labelledness_logits, entropies, budget)
    size = min(len(logits_N), math.ceil(factor * budget))
    kept = top_unchecked(logits_N, size, largest=False).sort().values
    return kept[top_unchecked(entropies_N[kept], budget)]


def product(labelledness_logits: Array, entropies: Array, budget: int) -> Tensor:
    """The largest (1 − D) · H.

    Compared as log(1 − D) + log H in float64, so that a D that rounds to 1 still ranks. H = 0 comes last.

    Args:
        labelledness_logits: shape (N,), D's logits; 1 − D = sigmoid(−logit).
        entropies: shape (N,), 0 or more.
        budget: number of samples to choose.

    Returns:
        Shape (budget,), int64, largest product first.

    Raises:
        ConfigurationError: an entropy below 0.
        BudgetError: a budget below 1 or above N.
        ShapeError: other shapes, or two lengths.
        NonFiniteScoreError: a score is NaN or infinite.
    """
    logits_N, entropies_N, budget = _both(labelledness_logits, entropies, budget)
    negative = (entropies_N < 0).nonzero().flatten()
    if len(negative):
        place = int(negative[0])
        raise ConfigurationError(
            f"the rule 'product' needs entropies of 0 or more; at position {place} stands {float(entropies_N[place])!r}"
        )
    return top_unchecked(F.logsigmoid(-logits_N.double()) + entropies_N.double().log(), budget)


def highest_entropy(labelledness_logits: Array | None, entropies: Array, budget: int) -> Tensor:  # noqa: ARG001 - one signature for all rules
    """The highest entropies; D is not asked (the paper's ablation "entropy only").

    Args:
        labelledness_logits: not used; may be None.
        entropies: shape (N,).
        budget: number of samples to choose.

    Returns:
        Shape (budget,), int64, highest entropy first.

    Raises:
        BudgetError: a budget below 1 or above N.
        ShapeError: another shape.
        NonFiniteScoreError: a score is NaN or infinite.
    """
    return top(as_scores(entropies, ENTROPIES), budget)


def least_labelled(labelledness_logits: Array, entropies: Array | None, budget: int) -> Tensor:  # noqa: ARG001 - one signature for all rules
    """The lowest D; entropy is not asked (the paper's ablation "diversity only").

    Args:
        labelledness_logits: shape (N,), D's logits; low = unlike the labelled samples.
        entropies: not used; may be None.
        budget: number of samples to choose.

    Returns:
        Shape (budget,), int64, lowest logit first.

    Raises:
        BudgetError: a budget below 1 or above N.
        ShapeError: another shape.
        NonFiniteScoreError: a score is NaN or infinite.
    """
    return top(as_scores(labelledness_logits, LABELLEDNESS), budget, largest=False)


RULES: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "intersection": intersection,
        "threshold": threshold,
        "filter": filter_then_entropy,
        "product": product,
        "entropy": highest_entropy,
        "diversity": least_labelled,
    }
)
"""The readings of Algorithm 2 by name; each takes (labelledness_logits, entropies, budget)."""


def choose_by_rule(
    name: str, labelledness_logits: Array | None, entropies: Array | None, budget: int, **settings: float
) -> Tensor:
    """Choose by the rule of that name.

    Args:
        name: one of `RULES`.
        labelledness_logits: shape (N,), D's logits. None where the rule does not ask D ("entropy").
        entropies: shape (N,). None where the rule does not use them ("diversity").
        budget: number of samples to choose.
        settings: of the rule: `factor` of "filter".

    Returns:
        Shape (budget,), int64, in the rule's order.

    Raises:
        UnknownNameError: there is no such rule.
        ConfigurationError: the rule has no such setting.
        BudgetError: a budget below 1 or above N.
        ShapeError: other shapes, two lengths, or None where the rule needs scores.
        NonFiniteScoreError: a score is NaN or infinite.
    """
    if name not in RULES:
        raise UnknownNameError("rule", name, RULES)
    unknown = sorted(settings.keys() - ({"factor"} if name == "filter" else set()))
    if unknown:
        only = "its only setting is 'factor'" if name == "filter" else "it has none"
        raise ConfigurationError(f"the rule {name!r} has no setting {unknown[0]!r}; {only}")
    return RULES[name](labelledness_logits, entropies, budget, **settings)


def _both(labelledness_logits: Array, entropies: Array, budget: int) -> tuple[Tensor, Tensor, int]:
    logits_N = as_scores(labelledness_logits, LABELLEDNESS)
    entropies_N = as_scores(entropies, ENTROPIES).to(logits_N.device)
    check_same_length(logits_N, entropies_N, (LABELLEDNESS, ENTROPIES))
    return logits_N, entropies_N, check_budget(budget, len(logits_N))
