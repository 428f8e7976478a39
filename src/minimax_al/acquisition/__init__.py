"""Choosing: scores or features in, indices out; pure functions without network or file."""

from minimax_al.acquisition.alfa_mix import alfa_mix, smallest_mixing
from minimax_al.acquisition.badge import badge
from minimax_al.acquisition.bait import bait
from minimax_al.acquisition.batchbald import batchbald
from minimax_al.acquisition.centroids import centroids
from minimax_al.acquisition.cluster_margin import cluster_margin
from minimax_al.acquisition.coreset import k_center_greedy
from minimax_al.acquisition.dropquery import dropquery
from minimax_al.acquisition.galaxy import galaxy
from minimax_al.acquisition.heads import LogitsOf, scores_of
from minimax_al.acquisition.herding import maxherding, uherding
from minimax_al.acquisition.k_means import Clustering, k_means
from minimax_al.acquisition.power import power_sample
from minimax_al.acquisition.probcover import covering_radius, probcover
from minimax_al.acquisition.rows import FeatureMatrix, Rows
from minimax_al.acquisition.rules import (
    RULES,
    choose_by_rule,
    filter_then_entropy,
    highest_entropy,
    intersection,
    least_labelled,
    logits_within_class,
    product,
    rank_sum,
    ranks,
    threshold,
    top,
    union,
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
    "Clustering",
    "FeatureMatrix",
    "LogitsOf",
    "Rows",
    "alfa_mix",
    "badge",
    "bait",
    "bald",
    "batchbald",
    "centroids",
    "choose_by_rule",
    "cluster_margin",
    "covering_radius",
    "dropquery",
    "entropy",
    "filter_then_entropy",
    "galaxy",
    "highest_entropy",
    "intersection",
    "k_center_greedy",
    "k_center_greedy_sharded",
    "k_means",
    "least_confidence",
    "least_labelled",
    "logits_within_class",
    "margin",
    "maxherding",
    "pixel_entropy",
    "power_sample",
    "probcover",
    "product",
    "rank_sum",
    "ranks",
    "scores_of",
    "smallest_mixing",
    "threshold",
    "top",
    "typicality",
    "uherding",
    "union",
    "variation_ratio",
]
