"""Cosine prototypes on frozen features: imprinted class means, refined by unlabelled features, then cross-entropy.

With z = x / ‖x‖ and logits V z, V = W / T, prototypes start at V₀ = M / T. The rows of M, of length 1, are the class
means of z (imprinting, Qi et al. 2018), refined by soft k-means (Ren et al. 2018): each unlabelled u joins the mean of
class k with weight softmax_k(M u / T₀). V minimises cross-entropy, an optional entropy of unlabelled features
(Grandvalet and Bengio 2004), and a pull towards V₀ of strength `pull` / L. Temperature T and entropy weight λ are
chosen by cross-validation, and so are the origin of the directions and the prior of the classes (`class_priors.py`):
z = (x − c) / ‖x − c‖ and logits V z + log π. Those start with c = 0 and equal π, and change only where the log loss
falls by more than its standard error, so that even classes are not disturbed by the noise of few labels.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from minimax_al.networks import MISSING_LOGIT, CosineClassifier, l2_normalise
from minimax_al.training.build import class_means
from minimax_al.training.head_settings import ClassPrior, HeadSettings, Origin
from minimax_al.training.heads.class_priors import log_shares, mean_of_class_means
from minimax_al.training.heads.cross_validation import held_out_losses, least, least_beyond_doubt
from minimax_al.training.heads.softmax_regression import SoftmaxRegression, span

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
    unlabelled = None if unlabelled is None or len(unlabelled) == 0 else unlabelled
    chosen = _chosen(_Source(labels, unlabelled, settings), generator)
    problem = _Problem.of(_Source(labels, unlabelled, settings), chosen.origin)
    values = problem.solve(chosen.temperature, chosen.entropy_weight)
    classifier = as_classifier(chosen.temperature * values, labels.present, labels.classes, chosen.temperature)
    bias = None
    if chosen.prior == "pool":
        bias = values.new_zeros(labels.classes)
        bias[labels.present] = problem.log_prior(values)
    classifier.adjust(problem.origin, bias)
    return classifier


class _Candidate(NamedTuple):
    """Settings that cross-validation chooses."""

    origin: Origin
    prior: ClassPrior
    temperature: float
    entropy_weight: float


@dataclass(frozen=True)
class _Source:
    """Labels and unlabelled features (U, d) or None, before any normalisation."""

    labels: Labels
    pool: Tensor | None
    settings: HeadSettings

    def single(self) -> "_Source":
        """Return the same in float32."""
        labels = replace(self.labels, features=self.labels.features.float(), weights=self.labels.weights.float())
        return replace(self, labels=labels, pool=None if self.pool is None else self.pool.float())

    def at(self, positions: Tensor) -> "_Source":
        """Return the same with a part of the labels."""
        return replace(self, labels=self.labels.at(positions))


def with_choices_of(settings: HeadSettings, head: nn.Module | None) -> HeadSettings:
    """Return settings with the temperature, origin and class prior that a fitted head has chosen.

    The next fit needs no cross-validation then, unless there are several `entropy_weights`: a head does not store
    which it has chosen, so that the next fit chooses among them, at this temperature, origin and prior.

    Args:
        settings: Settings of the head.
        head: Fitted head; one that is not of prototypes made no such choice.
    """
    if not isinstance(head, CosineClassifier):
        return settings
    origins = ("pool_mean",) if head.origin is None else ("class_means",)
    priors = ("uniform",) if head.bias is None else ("pool",)
    return settings.model_copy(update={"temperatures": (head.temperature,), "origins": origins, "class_priors": priors})


def refined_means(labels: Labels, settings: HeadSettings, pool: Tensor | None) -> Tensor:
    """Return the class means M from which prototypes start.

    Args:
        labels: Labels with features of length 1.
        settings: Number of refinements, and the temperature of the assignment of unlabelled features.
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
        shares = torch.softmax(pool @ means.T / settings.assignment_temperature, dim=1)
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
        origin: Vector that was subtracted before the normalisation, shape (d,), or None.
        settings: Settings of the head.
    """

    labels: Labels
    rows: Tensor
    basis: Tensor | None
    pool: Tensor | None
    origin: Tensor | None
    settings: HeadSettings

    @classmethod
    def of(cls, source: _Source, kind: Origin) -> "_Problem":
        labels, pool, settings = source.labels, source.pool, source.settings
        origin = None
        if kind == "class_means":
            numbers = torch.searchsorted(labels.present, labels.targets)
            origin = mean_of_class_means(labels.features, numbers, settings.assignment_temperature, pool)
        unit = directions(labels.features, origin)
        basis = span(unit)
        rows = unit if basis is None else unit @ basis
        pool = None if pool is None else directions(pool, origin)
        return cls(replace(labels, features=unit), rows, basis, pool, origin, settings)

    def log_prior(self, values: Tensor) -> Tensor:
        """Return the log prior of the classes with labels, (P,), for prototypes V, (P, d)."""
        return values.new_zeros(len(values)) if self.pool is None else log_shares(self.pool @ values.T)

    def logits(self, features: Tensor, values: Tensor, prior: ClassPrior) -> Tensor:
        """Return logits (V, K) of features (V, d), before any normalisation, for prototypes V, (P, d)."""
        logits = values.new_full((len(features), self.labels.classes), MISSING_LOGIT)
        logits[:, self.labels.present] = directions(features, self.origin) @ values.T
        if prior == "pool":
            logits[:, self.labels.present] += self.log_prior(values)
        return logits

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


def directions(features: Tensor, origin: Tensor | None) -> Tensor:
    """Return the directions of features (B, d) from an origin (d,), or from 0 where it is None; of length 1."""
    return l2_normalise(features if origin is None else features - origin)


def _chosen(source: _Source, generator: torch.Generator) -> _Candidate:
    """Return the settings that cross-validation prefers."""
    settings, targets = source.settings, source.labels.targets
    weights = settings.entropy_weights if source.pool is not None else (0.0,)
    priors: tuple[ClassPrior, ...] = settings.class_priors if source.pool is not None else ("uniform",)
    pairs = list(product(settings.temperatures, weights))
    kinds = list(product(settings.origins, priors))
    candidates = [_Candidate(*kind, *pair) for kind in kinds for pair in pairs]
    if len(candidates) == 1:
        return candidates[0]
    losses = held_out_losses(candidates, _QuickFits(source), targets, settings.folds, generator)
    if losses is None:
        return _Candidate(*kinds[0], *pairs[(len(pairs) - 1) // 2])
    # First the temperature of every origin and prior, then the first of these, unless another is surely better.
    by_kind = losses.view(len(kinds), len(pairs), -1)
    best = [least(rows) for rows in by_kind]
    kind = least_beyond_doubt(torch.stack([rows[row] for rows, row in zip(by_kind, best, strict=True)]))
    return candidates[kind * len(pairs) + best[kind]]


class _QuickFits:
    """Logits of held-out labels by candidates, which are compared, not used: in float32, few iterations.

    Candidates that differ in the prior alone share a solution, those of one origin a start.
    """

    def __init__(self, source: _Source) -> None:
        self.source = source.single()
        self.problems: dict[tuple[Origin, int], _Problem] = {}
        self.solutions: dict[tuple[Origin, float, float, int], Tensor] = {}

    def __call__(self, candidate: _Candidate, train: Tensor, held: Tensor) -> Tensor:
        fold = int(held[0])  # folds are disjoint: one label names a fold
        origin, prior, temperature, entropy_weight = candidate
        if (origin, fold) not in self.problems:
            self.problems[origin, fold] = _Problem.of(self.source.at(train), origin)
        problem = self.problems[origin, fold]
        key = (origin, temperature, entropy_weight, fold)
        if key not in self.solutions:
            self.solutions[key] = problem.solve(temperature, entropy_weight, **QUICK)
        return problem.logits(self.source.labels.features[held], self.solutions[key], prior)


def _middle_temperature(settings: HeadSettings) -> float:
    return sorted(settings.temperatures)[(len(settings.temperatures) - 1) // 2]
