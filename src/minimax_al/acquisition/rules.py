"""From scores to indices: the readings of Algorithm 2 of Minimax Active Learning.

Algorithm 2 chooses "the top b samples that meet both" conditions: the discriminator D predicts "unlabelled" (low
logit) and the classifier's entropy H is high. Each function here is one reading of that sentence. All of them rank
D's logits, since its probabilities saturate, and break ties by the lower index, so that equal input gives equal picks
on every device.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from minimax_al.acquisition.checks import Array, as_scores, check_budget, check_same_length, refuse_negative
from minimax_al.errors import ConfigurationError, UnknownNameError

LABELLEDNESS = "labelledness logits"
ENTROPIES = "entropies"


def top(scores: Array, budget: int, *, largest: bool = True) -> Tensor:
    """Return the images of the most extreme scores, by selection in O(N).

    Args:
        scores: Scores, shape (N,), any real dtype.
        budget: Number of images to choose, b.
        largest: Whether the largest scores are chosen, or the smallest.

    Returns:
        Shape (b,), int64: best score first, equal scores by index.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ShapeError: The scores do not have the shape (N,).
        NonFiniteScoreError: A score is NaN or infinite.

    Example:
        >>> top(torch.tensor([1.0, 3.0, 2.0, 3.0]), 3)
        tensor([1, 3, 2])
    """
    values = as_scores(scores)
    return top_unchecked(values, check_budget(budget, len(values)), largest=largest)


def top_unchecked(scores: Tensor, budget: int, *, largest: bool = True) -> Tensor:
    """Return `top` for callers that have checked their scores, which may be whole numbers or infinite."""
    # topk finds the last value that is chosen in linear time, but returns any of the images that share it.
    last = scores.topk(budget, largest=largest, sorted=False).values
    last = last.amin() if largest else last.amax()
    better = (scores > last if largest else scores < last).nonzero().flatten()
    level = (scores == last).nonzero().flatten()[: budget - len(better)]
    chosen = torch.cat([better, level])
    return chosen[scores[chosen].argsort(descending=largest, stable=True)]


def ranks(scores: Array, *, largest: bool = False) -> Tensor:
    """Return the rank of every image in the order of scores, from 0; equal scores by index.

    Args:
        scores: Scores, shape (N,), any real dtype.
        largest: Whether the largest score has rank 0.

    Returns:
        Shape (N,), int64, a permutation of 0 … N − 1.

    Raises:
        ShapeError: The scores do not have the shape (N,).
        NonFiniteScoreError: A score is NaN or infinite.
    """
    order = as_scores(scores).argsort(descending=largest, stable=True)
    found = torch.empty_like(order)
    found[order] = torch.arange(len(order), device=order.device)
    return found


def intersection(labelledness_logits: Array, entropies: Array, budget: int) -> Tensor:
    """Return the first b images that are in both lists, as both lists grow (paper preset).

    These are the images that the m lowest logits and the m highest entropies share, for the smallest m with b shared
    images: the b smallest of max(rank_D, rank_H). Two images can join at the last m where only one is needed; then the
    smaller sum of ranks goes first, then the lower index. O(N log N) time, O(N) memory.

    Args:
        labelledness_logits: Logits of D, shape (N,); low = unlike the labelled images.
        entropies: Entropies of the predictions in nats, shape (N,).
        budget: Number of images to choose, b.

    Returns:
        Shape (b,), int64, in the order in which the images join.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ShapeError: The scores do not have the shape (N,) with one N.
        NonFiniteScoreError: A score is NaN or infinite.

    Example:
        >>> intersection(torch.tensor([-3.0, -2.0, -1.0]), torch.tensor([0.1, 0.9, 0.8]), 2)
        tensor([1, 0])
    """
    logits_N, entropies_N, budget = _both(labelledness_logits, entropies, budget)
    rank_D, rank_H = ranks(logits_N), ranks(entropies_N, largest=True)
    return _first_to_join(torch.maximum(rank_D, rank_H), rank_D + rank_H, budget)


def threshold(labelledness_logits: Array, entropies: Array, budget: int) -> Tensor:
    """Return the highest entropies among the images with D < 0.5, filled up with the lowest D.

    Args:
        labelledness_logits: Logits of D, shape (N,); D < 0.5 is a logit below 0.
        entropies: Entropies of the predictions in nats, shape (N,).
        budget: Number of images to choose, b.

    Returns:
        Shape (b,), int64: images with D < 0.5 by entropy, then the fill by logit.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ShapeError: The scores do not have the shape (N,) with one N.
        NonFiniteScoreError: A score is NaN or infinite.
    """
    logits_N, entropies_N, budget = _both(labelledness_logits, entropies, budget)
    kept = (logits_N < 0).nonzero().flatten()
    if len(kept) >= budget:
        return kept[top_unchecked(entropies_N[kept], budget)]
    others = (logits_N >= 0).nonzero().flatten()
    fill = others[top_unchecked(logits_N[others], budget - len(kept), largest=False)]
    return torch.cat([kept[entropies_N[kept].argsort(descending=True, stable=True)], fill])


def filter_then_entropy(labelledness_logits: Array, entropies: Array, budget: int, factor: float = 10) -> Tensor:
    """Return the highest entropies among the k·b lowest D.

    Args:
        labelledness_logits: Logits of D, shape (N,); low = unlike the labelled images.
        entropies: Entropies of the predictions in nats, shape (N,).
        budget: Number of images to choose, b.
        factor: Factor k, 1 or more; k·b is rounded up and capped at N.

    Returns:
        Shape (b,), int64, highest entropy first.

    Raises:
        ConfigurationError: The factor is below 1.
        BudgetError: The budget is below 1 or above N.
        ShapeError: The scores do not have the shape (N,) with one N.
        NonFiniteScoreError: A score is NaN or infinite.
    """
    if not 1 <= factor < math.inf:
        raise ConfigurationError(f"the factor of the rule 'filter_then_entropy' is {factor!r}; it must be 1 or more")
    logits_N, entropies_N, budget = _both(labelledness_logits, entropies, budget)
    size = min(len(logits_N), math.ceil(factor * budget))
    kept = top_unchecked(logits_N, size, largest=False).sort().values
    return kept[top_unchecked(entropies_N[kept], budget)]


def product(labelledness_logits: Array, entropies: Array, budget: int) -> Tensor:
    """Return the images of the largest (1 − D) · H.

    Ordered by log(1 − D) + log H in float64, so that values of D that round to 1 still differ. H = 0 comes last.

    Args:
        labelledness_logits: Logits of D, shape (N,); 1 − D = sigmoid(−logit).
        entropies: Entropies of the predictions in nats, shape (N,), 0 or more.
        budget: Number of images to choose, b.

    Returns:
        Shape (b,), int64, largest product first.

    Raises:
        ConfigurationError: An entropy is below 0.
        BudgetError: The budget is below 1 or above N.
        ShapeError: The scores do not have the shape (N,) with one N.
        NonFiniteScoreError: A score is NaN or infinite.
    """
    logits_N, entropies_N, budget = _both(labelledness_logits, entropies, budget)
    refuse_negative(entropies_N, "entropies in the rule 'product'")
    return top_unchecked(F.logsigmoid(-logits_N.double()) + entropies_N.double().log(), budget)


def union(labelledness_logits: Array, entropies: Array, budget: int) -> Tensor:
    """Return the first b images that are in one of both lists, as both lists grow.

    These are the b smallest of min(rank_D, rank_H): the b/2 lowest logits and the b/2 highest entropies where these
    differ. Two images can join at the last m where only one is needed; then the smaller sum of ranks goes first, then
    the lower index.

    Args:
        labelledness_logits: Logits of D, shape (N,); low = unlike the labelled images.
        entropies: Entropies of the predictions in nats, shape (N,).
        budget: Number of images to choose, b.

    Returns:
        Shape (b,), int64, in the order in which the images join.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ShapeError: The scores do not have the shape (N,) with one N.
        NonFiniteScoreError: A score is NaN or infinite.

    Example:
        >>> union(torch.tensor([-3.0, -2.0, -1.0]), torch.tensor([0.1, 0.2, 0.8]), 2)
        tensor([0, 2])
    """
    logits_N, entropies_N, budget = _both(labelledness_logits, entropies, budget)
    rank_D, rank_H = ranks(logits_N), ranks(entropies_N, largest=True)
    return _first_to_join(torch.minimum(rank_D, rank_H), rank_D + rank_H, budget)


def _first_to_join(joins_at: Tensor, rank_sums: Tensor, budget: int) -> Tensor:
    """Return the images that join two growing lists first, then those of smaller sums of ranks, then lower indices."""
    # One whole number that orders like the pair (joins_at, rank_sums), since sums are below 2N; exact up to N = 2³¹.
    return top_unchecked(joins_at * (2 * len(joins_at)) + rank_sums, budget, largest=False)


def rank_sum(labelledness_logits: Array, entropies: Array, budget: int) -> Tensor:
    """Return the images of the smallest rank_D + rank_H, equal sums by rank_D.

    Args:
        labelledness_logits: Logits of D, shape (N,); low = unlike the labelled images.
        entropies: Entropies of the predictions in nats, shape (N,).
        budget: Number of images to choose, b.

    Returns:
        Shape (b,), int64, smallest sum first.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ShapeError: The scores do not have the shape (N,) with one N.
        NonFiniteScoreError: A score is NaN or infinite.
    """
    logits_N, entropies_N, budget = _both(labelledness_logits, entropies, budget)
    rank_D, rank_H = ranks(logits_N), ranks(entropies_N, largest=True)
    return top_unchecked((rank_D + rank_H) * len(rank_D) + rank_D, budget, largest=False)


def logits_within_class(labelledness_logits: Array, predicted: Array) -> Tensor:
    """Return D's logits replaced by those of each image's rank within its predicted class.

    In a class of n images, rank r from 0 becomes the probability (r + 1/2) / n. So every class has images that look
    unlabelled, also one that D finds labelled as a whole.

    Args:
        labelledness_logits: Logits of D, shape (N,).
        predicted: Predicted class of each image, shape (N,) whole numbers.

    Returns:
        Shape (N,), float64: logits of these probabilities.

    Raises:
        ShapeError: The scores and classes do not have the shape (N,) with one N.
        NonFiniteScoreError: A score is NaN or infinite.

    Example:
        >>> logits_within_class(torch.tensor([5.0, 7.0, 1.0]), torch.tensor([0, 0, 1])).sigmoid()
        tensor([0.2500, 0.7500, 0.5000], dtype=torch.float64)
    """
    logits_N = as_scores(labelledness_logits, LABELLEDNESS)
    classes_N = as_scores(predicted, "predicted classes").long().to(logits_N.device)
    check_same_length(logits_N, classes_N, (LABELLEDNESS, "predicted classes"))
    _, classes_N, sizes = classes_N.unique(return_inverse=True, return_counts=True)
    # By logit, then stably by class: each class is one run, in ascending order.
    order = logits_N.argsort(stable=True)
    order = order[classes_N[order].argsort(stable=True)]
    begins = sizes.cumsum(dim=0) - sizes
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device) - begins[classes_N[order]]
    shares: Tensor = (rank.double() + 0.5) / sizes[classes_N]
    return shares.logit()


def highest_entropy(labelledness_logits: Array | None, entropies: Array, budget: int) -> Tensor:  # noqa: ARG001 - one signature for all rules
    """Return the highest entropies, without D (the paper's ablation "entropy only").

    Args:
        labelledness_logits: Not used; may be None.
        entropies: Entropies of the predictions in nats, shape (N,).
        budget: Number of images to choose, b.

    Returns:
        Shape (b,), int64, highest entropy first.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ShapeError: The scores do not have the shape (N,).
        NonFiniteScoreError: A score is NaN or infinite.
    """
    return top(as_scores(entropies, ENTROPIES), budget)


def least_labelled(labelledness_logits: Array, entropies: Array | None, budget: int) -> Tensor:  # noqa: ARG001 - one signature for all rules
    """Return the lowest D, without entropy (the paper's ablation "diversity only").

    Args:
        labelledness_logits: Logits of D, shape (N,); low = unlike the labelled images.
        entropies: Not used; may be None.
        budget: Number of images to choose, b.

    Returns:
        Shape (b,), int64, lowest logit first.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ShapeError: The scores do not have the shape (N,).
        NonFiniteScoreError: A score is NaN or infinite.
    """
    return top(as_scores(labelledness_logits, LABELLEDNESS), budget, largest=False)


RULES: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        rule.__name__: rule
        for rule in (
            intersection,
            threshold,
            filter_then_entropy,
            product,
            union,
            rank_sum,
            highest_entropy,
            least_labelled,
        )
    }
)
"""Readings of Algorithm 2 by the name of their function; arguments (labelledness_logits, entropies, budget)."""
SHORT_NAMES: Mapping[str, str] = MappingProxyType(
    {"filter": "filter_then_entropy", "entropy": "highest_entropy", "diversity": "least_labelled"}
)
"""Names of rules in the settings of strategies, where they differ from the function's."""


def choose_by_rule(
    name: str, labelledness_logits: Array | None, entropies: Array | None, budget: int, **settings: float
) -> Tensor:
    """Choose by the rule of this name.

    Args:
        name: One of `RULES`, or its short name.
        labelledness_logits: Logits of D, shape (N,). None where the rule does not use D ("highest_entropy").
        entropies: Entropies of the predictions, shape (N,). None where the rule does not use them ("least_labelled").
        budget: Number of images to choose, b.
        settings: Settings of the rule: `factor` of "filter_then_entropy".

    Returns:
        Shape (b,), int64, in the rule's order.

    Raises:
        UnknownNameError: The rule does not exist.
        ConfigurationError: The rule does not have this setting.
        BudgetError: The budget is below 1 or above N.
        ShapeError: The scores do not have the shape (N,) with one N, or are None where the rule needs them.
        NonFiniteScoreError: A score is NaN or infinite.
    """
    rule = SHORT_NAMES.get(name, name)
    if rule not in RULES:
        raise UnknownNameError("rule", name, (*RULES, *SHORT_NAMES))
    has_factor = rule == filter_then_entropy.__name__
    unknown = sorted(settings.keys() - ({"factor"} if has_factor else set()))
    if unknown:
        only = "its only setting is 'factor'" if has_factor else "it has none"
        raise ConfigurationError(f"the rule {name!r} does not have the setting {unknown[0]!r}; {only}")
    return RULES[rule](labelledness_logits, entropies, budget, **settings)


def _both(labelledness_logits: Array, entropies: Array, budget: int) -> tuple[Tensor, Tensor, int]:
    logits_N = as_scores(labelledness_logits, LABELLEDNESS)
    entropies_N = as_scores(entropies, ENTROPIES).to(logits_N.device)
    check_same_length(logits_N, entropies_N, (LABELLEDNESS, ENTROPIES))
    return logits_N, entropies_N, check_budget(budget, len(logits_N))
