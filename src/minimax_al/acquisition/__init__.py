"""Choosing: tensors or NumPy arrays in, scores or indices out; pure functions without network or file."""

from minimax_al.acquisition.badge import badge
from minimax_al.acquisition.batchbald import batchbald
from minimax_al.acquisition.coreset import k_center_greedy
from minimax_al.acquisition.rules import (
    RULES,
    choose_by_rule,
    filter_then_entropy,
    highest_entropy,
    intersection,
    least_labelled,
    product,
    ranks,
    threshold,
    top,
)
from minimax_al.acquisition.scores import (
    BaldAccumulator,
    bald,
    entropy,
    least_confidence,
    margin,
    pixel_entropy,
    variation_ratio,
)
from minimax_al.acquisition.sharded import k_center_greedy_sharded
from minimax_al.acquisition.typiclust import typicality

__all__ = [
    "RULES",
    "BaldAccumulator",
    "badge",
    "bald",
    "batchbald",
    "choose_by_rule",
    "entropy",
    "filter_then_entropy",
    "highest_entropy",
    "intersection",
    "k_center_greedy",
    "k_center_greedy_sharded",
    "least_confidence",
    "least_labelled",
    "margin",
    "pixel_entropy",
    "product",
    "ranks",
    "threshold",
    "top",
    "typicality",
    "variation_ratio",
]
