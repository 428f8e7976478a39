"""The linear probe on frozen features: L2-regularised multinomial logistic regression, solved to convergence.

Features are scaled to a root mean square length of 1, so that the same few strengths suit every encoder; the scale is
folded into the weights. In scikit-learn's convention the probe minimises C · Σ cross-entropy + ½ ‖V‖², with a bias that
is not penalised. C is chosen by stratified cross-validation.
"""

import torch
from torch import Tensor

from minimax_al.networks import MISSING_LOGIT, LinearLogits
from minimax_al.training.head_settings import HeadSettings
from minimax_al.training.heads.cross_validation import choose
from minimax_al.training.heads.prototypes import QUICK, Labels
from minimax_al.training.heads.softmax_regression import SoftmaxRegression, span


def fit_probe(labels: Labels, settings: HeadSettings, generator: torch.Generator) -> LinearLogits:
    """Fit a linear probe to labelled features.

    Args:
        labels: Labels, in float64 for the exact optimum.
        settings: Strengths and folds.
        generator: CPU generator of the folds.

    Returns:
        Linear layer of K classes; those without a label have weight 0 and a bias of `MISSING_LOGIT`.
    """
    scale = float(labels.features.square().sum(dim=1).mean().sqrt().clamp_min(1e-12))
    # The optimum is in the span of the features, where the problem has L instead of d columns.
    basis = span(labels.features)
    features = labels.features if basis is None else labels.features @ basis
    scaled = Labels(features / scale, labels.targets, labels.classes, labels.weights)
    strength = _chosen(scaled, settings, generator)
    weight, bias = _problem(scaled, strength).solve()
    weight = weight if basis is None else weight @ basis.T
    layer = LinearLogits(weight.shape[1], labels.classes)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.fill_(MISSING_LOGIT)
        layer.weight[labels.present] = (weight / scale).to(layer.weight.dtype)
        layer.bias[labels.present] = bias.to(layer.bias.dtype)
    return layer


def _chosen(labels: Labels, settings: HeadSettings, generator: torch.Generator) -> float:
    """Return the strength of the smallest cross-validated loss."""
    quick = Labels(labels.features.float(), labels.targets, labels.classes, labels.weights.float())

    def logits_of(strength: float, train: Tensor, held: Tensor) -> Tensor:
        part = quick.at(train)
        weight, bias = _problem(part, strength).solve(iterations=30, tolerance=QUICK["tolerance"])
        logits = quick.features.new_full((len(held), labels.classes), MISSING_LOGIT)
        logits[:, part.present] = quick.features[held] @ weight.T + bias
        return logits

    return choose(settings.strengths, logits_of, labels.targets, settings.folds, generator)


def _problem(labels: Labels, strength: float) -> SoftmaxRegression:
    # C Σ_i loss_i + ½‖V‖² has the optimum of Σ_i w_i loss_i + ½‖V‖² / (C L) where all w_i are 1 / L.
    return SoftmaxRegression(
        labels.features,
        torch.searchsorted(labels.present, labels.targets),
        labels.weights,
        prior=labels.features.new_zeros(len(labels.present), labels.features.shape[1]),
        penalty=1 / (strength * len(labels.targets)),
        bias=True,
    )
