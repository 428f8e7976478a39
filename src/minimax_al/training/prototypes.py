"""Cosine prototypes on frozen features: imprinted class means, refined by unlabelled features, then cross-entropy.

With z = x / ‖x‖ and logits V z, V = W / T, prototypes start at V₀ = M / T. The rows of M, of length 1, are the class
means of z (imprinting, Qi et al. 2018), refined by soft k-means (Ren et al. 2018): each unlabelled u joins the mean of
class k with weight softmax_k(M u / T). V minimises cross-entropy, an optional entropy of unlabelled features
(Grandvalet and Bengio 2004), and a pull towards V₀ of strength `pull` / L. Temperature T and entropy weight λ are
chosen by cross-validation.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import torch
from torch import Tensor

from minimax_al.networks import MISSING_LOGIT, CosineClassifier, l2_normalise
from minimax_al.training.build import class_means
from minimax_al.training.cross_validation import choose
from minimax_al.training.head_settings import HeadSettings
from minimax_al.training.softmax_regression import SoftmaxRegression, span

QUICK: dict[str, Any] = {"iterations": 20, "tolerance": 1e-4}
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
        settings: Temperatures, entropy weights, refinements, pull, folds.
        generator: CPU generator of the folds.
        unlabelled: Unlabelled features, shape (U, d), for the refinement of the means and the entropy term.

    Returns:
        Classifier with prototypes W = T·V; classes without a label are masked.
    """
    problem = _Problem.of(labels, settings, unlabelled)
    temperature, entropy_weight = _chosen(problem, generator)
    weight = temperature * problem.solve(temperature, entropy_weight)
    return as_classifier(weight, labels.present, labels.classes, temperature)


def refined_means(labels: Labels, settings: HeadSettings, pool: Tensor | None) -> Tensor:
    """Return the class means M from which prototypes start.

    Args:
        labels: Labels with features of length 1.
        settings: Number of refinements; the middle temperature softens the assignment of unlabelled features.
        pool: Unlabelled features of length 1, shape (U, d), or None.

    Returns:
        Means of length 1 of the P classes with labels, shape (P, d), in the dtype of the features.
    """
    means = class_means(labels.features, labels.targets, labels.classes, labels.weights)[labels.present]
    if pool is None or settings.refinements == 0:
        return means
    # A label counts as much as an unlabelled feature, whatever the label weights sum to.
    weighted = labels.features.double() * (labels.weights.double() * len(labels.targets))[:, None]
    sums = torch.zeros(means.shape, dtype=torch.float64)
    sums.index_add_(0, torch.searchsorted(labels.present, labels.targets), weighted)
    for _ in range(settings.refinements):
        # Soft assignment: share of each unlabelled feature that belongs to class k, rows of sum 1, (U, P).
        shares = torch.softmax(pool @ means.T / _middle_temperature(settings), dim=1)
        # Weighted sums of both kinds; the division by their weights falls away in the normalisation.
        means = l2_normalise(sums + shares.T @ pool).to(means.dtype)
    return means


def fit_nearest_mean(labels: Labels, settings: HeadSettings) -> CosineClassifier:
    """Fit the class means of normalised features, which classify by the largest cosine."""
    means = class_means(l2_normalise(labels.features), labels.targets, labels.classes, labels.weights)
    return as_classifier(means[labels.present], labels.present, labels.classes, _middle_temperature(settings))


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


@dataclass(frozen=True)
class _Problem:
    """Problem of the prototypes of some labels.

    Attributes:
        labels: Labels with features of length 1, in d columns.
        rows: The same features in the columns of `basis`, shape (L, r).
        basis: Orthonormal basis of the labelled features, shape (d, r), or None for the identity.
        pool: Unlabelled features of length 1, shape (U, d), or None.
        settings: Settings of the head.
    """

    labels: Labels
    rows: Tensor
    basis: Tensor | None
    pool: Tensor | None
    settings: HeadSettings

    @classmethod
    def of(cls, labels: Labels, settings: HeadSettings, unlabelled: Tensor | None) -> "_Problem":
        unit = l2_normalise(labels.features)
        basis = span(unit)
        rows = unit if basis is None else unit @ basis
        pool = None if unlabelled is None else l2_normalise(unlabelled)
        return cls(Labels(unit, labels.targets, labels.classes, labels.weights), rows, basis, pool, settings)

    def single(self) -> "_Problem":
        """Return the problem in float32."""
        labels = replace(self.labels, features=self.labels.features.float(), weights=self.labels.weights.float())
        basis, pool = (None if each is None else each.float() for each in (self.basis, self.pool))
        return replace(self, labels=labels, rows=self.rows.float(), basis=basis, pool=pool)

    def at(self, positions: Tensor) -> "_Problem":
        """Return the problem of a part of the labels."""
        return replace(self, labels=self.labels.at(positions), rows=self.rows[positions])

    @cached_property
    def means(self) -> Tensor:
        """Class means M of length 1, shape (P, d)."""
        return refined_means(self.labels, self.settings, self.pool)

    def solve(self, temperature: float, entropy_weight: float, **solver: Any) -> Tensor:  # noqa: ANN401 - of the solver
        """Return V, shape (P, d)."""
        # With λ = 0 the optimum of V − V₀ is in the span of the labelled features, where the problem has L instead of
        # d columns; with λ > 0 the search is restricted to that span.
        start = self.means / temperature
        pool = self.pool if entropy_weight > 0 else None
        problem = SoftmaxRegression(
            self.rows,
            torch.searchsorted(self.labels.present, self.labels.targets),
            self.labels.weights,
            prior=start.new_zeros(len(start), self.rows.shape[1]),
            penalty=self.settings.pull / len(self.rows),
            unlabelled=pool if pool is None or self.basis is None else pool @ self.basis,
            entropy_weight=entropy_weight,
            offset=self.labels.features @ start.T,
            unlabelled_offset=None if pool is None else pool @ start.T,
        )
        # The logits of V₀ are the offsets, so that the solver looks for the difference V − V₀ alone.
        away, _ = problem.solve(**solver)
        return start + (away if self.basis is None else away @ self.basis.T)


def _chosen(problem: _Problem, generator: torch.Generator) -> tuple[float, float]:
    """Return the temperature and the entropy weight of the smallest cross-validated loss."""
    quick, settings = problem.single(), problem.settings  # the candidates are compared, not used
    parts: dict[tuple[int, ...], _Problem] = {}

    def logits_of(candidate: tuple[float, float], train: Tensor, held: Tensor) -> Tensor:
        part = parts.setdefault(tuple(held.tolist()), quick.at(train))  # one start for all candidates
        weight = part.solve(*candidate, **QUICK)
        logits = weight.new_full((len(held), problem.labels.classes), MISSING_LOGIT)
        logits[:, part.labels.present] = quick.labels.features[held] @ weight.T
        return logits

    weights = settings.entropy_weights if problem.pool is not None else (0.0,)
    candidates = list(product(settings.temperatures, weights))
    return choose(candidates, logits_of, problem.labels.targets, settings.folds, generator)


def _middle_temperature(settings: HeadSettings) -> float:
    return sorted(settings.temperatures)[(len(settings.temperatures) - 1) // 2]
