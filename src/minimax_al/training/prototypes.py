"""Cosine prototypes on frozen features: imprinted class means, then cross-entropy.

With z = x / ‖x‖ and logits V z, V = W / T: V starts at V₀ = (class means of z, of length 1) / T (imprinting, Qi et al.
2018) and minimises cross-entropy, an optional entropy of unlabelled features (Grandvalet and Bengio 2004), and a pull
towards V₀ of strength `pull` / L. Temperature T and entropy weight λ are chosen by cross-validation.
"""

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from minimax_al.networks import CosineClassifier, l2_normalise
from minimax_al.training.build import class_means
from minimax_al.training.cross_validation import choose
from minimax_al.training.head_settings import HeadSettings
from minimax_al.training.softmax_regression import SoftmaxRegression, span

QUICK = {"iterations": 20, "tolerance": 1e-4}
"""Solver settings within cross-validation: enough to compare temperatures."""


@dataclass(frozen=True)
class Labels:
    """Labels that a head learns from.

    Attributes:
        features: Features, shape (L, d).
        targets: Classes, shape (L,) int64.
        classes: Number of classes K, with and without labels.
        weights: Weight of each label, shape (L,), of sum 1.
    """

    features: Tensor
    targets: Tensor
    classes: int
    weights: Tensor

    @classmethod
    def of(cls, features: Tensor, targets: Tensor, classes: int, settings: HeadSettings) -> "Labels":
        """Weight labels equally, or by the inverse number of labels of their class."""
        weights = torch.ones(len(targets), dtype=features.dtype)
        if settings.class_weights == "balanced":
            weights = 1 / torch.bincount(targets)[targets].to(features.dtype)
        return cls(features, targets, classes, weights / weights.sum())

    @property
    def present(self) -> Tensor:
        """Classes with a label, ascending, shape (P,) int64."""
        present: Tensor = self.targets.unique()
        return present

    def at(self, positions: Tensor) -> "Labels":
        """Return a part of the labels."""
        weights = self.weights[positions]
        return Labels(self.features[positions], self.targets[positions], self.classes, weights / weights.sum())


def fit_prototypes(
    labels: Labels, settings: HeadSettings, generator: torch.Generator, unlabelled: Tensor | None = None
) -> CosineClassifier:
    """Fit cosine prototypes to labelled features.

    Args:
        labels: Labels, in float64 for the exact optimum.
        settings: Temperatures, entropy weights, pull, folds.
        generator: CPU generator of the folds.
        unlabelled: Unlabelled features, shape (U, d), for the entropy term.

    Returns:
        Classifier with prototypes W = T·V; classes without a label are masked.
    """
    labels = Labels(l2_normalise(labels.features), labels.targets, labels.classes, labels.weights)
    pool = None if unlabelled is None else l2_normalise(unlabelled)
    # With λ = 0 the optimum is in the span of the labelled features, where the problem has L instead of d columns;
    # with λ > 0 the span is where prototypes are looked for.
    basis = span(labels.features)
    if basis is not None:
        labels = Labels(labels.features @ basis, labels.targets, labels.classes, labels.weights)
        pool = None if pool is None else pool @ basis
    temperature, entropy_weight = _chosen(labels, settings, generator, pool)
    weight, _ = _problem(labels, settings, temperature, entropy_weight, pool).solve()
    weight = temperature * (weight if basis is None else weight @ basis.T)
    return as_classifier(weight, labels.present, labels.classes, temperature)


def fit_nearest_mean(labels: Labels, settings: HeadSettings) -> CosineClassifier:
    """Fit the class means of normalised features, which classify by the largest cosine."""
    means = class_means(l2_normalise(labels.features), labels.targets, labels.classes, labels.weights)
    middle = sorted(settings.temperatures)[(len(settings.temperatures) - 1) // 2]
    return as_classifier(means[labels.present], labels.present, labels.classes, middle)


def as_classifier(weight: Tensor, present: Tensor, classes: int, temperature: float) -> CosineClassifier:
    """Return a classifier of K classes from the prototypes of those with labels.

    Args:
        weight: Prototypes, shape (P, d).
        present: Their classes, shape (P,) int64.
        classes: Number of classes K.
        temperature: Temperature T.
    """
    classifier = CosineClassifier(weight.shape[1], classes, None, temperature)
    mask = torch.zeros(classes, dtype=torch.bool)
    mask[present] = True
    with torch.no_grad():
        classifier.weight.zero_()
        classifier.weight[present] = weight.to(classifier.weight.dtype)
    classifier.mask_missing(mask)
    return classifier


def _chosen(
    labels: Labels, settings: HeadSettings, generator: torch.Generator, pool: Tensor | None
) -> tuple[float, float]:
    """Return the temperature and the entropy weight of the smallest cross-validated loss."""
    # Float32 and few iterations: the candidates are compared, not used.
    quick = Labels(labels.features.float(), labels.targets, labels.classes, labels.weights.float())
    quick_pool = None if pool is None else pool.float()
    weights = settings.entropy_weights if pool is not None else (0.0,)

    def logits_of(candidate: tuple[float, float], train: Tensor, held: Tensor) -> Tensor:
        part = quick.at(train)
        weight, _ = _problem(part, settings, *candidate, quick_pool).solve(**QUICK)  # type: ignore[arg-type]
        logits = quick.features.new_full((len(held), labels.classes), -1e4)
        logits[:, part.present] = quick.features[held] @ weight.T
        return logits

    candidates = list(product(settings.temperatures, weights))
    return choose(candidates, logits_of, labels.targets, settings.folds, generator)


def _problem(
    labels: Labels, settings: HeadSettings, temperature: float, entropy_weight: float, pool: Tensor | None
) -> SoftmaxRegression:
    means = class_means(labels.features, labels.targets, labels.classes, labels.weights)[labels.present]
    return SoftmaxRegression(
        labels.features,
        torch.searchsorted(labels.present, labels.targets),
        labels.weights,
        prior=means / temperature,
        penalty=settings.pull / len(labels.targets),
        unlabelled=pool,
        entropy_weight=entropy_weight,
    )
