"""Settings of learning on features: the head M, the adapter F, and Algorithm 1 on features."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from minimax_al.networks import AdapterKind
from minimax_al.training.minimax import MinimaxSettings, minimax_on_features

HeadKind = Literal["prototypes", "linear", "nearest_mean"]
"""Kinds of head on features."""

Origin = Literal["pool_mean", "class_means"]
"""Points that prototypes measure directions from: the mean of the pool, or the mean of the class means."""

ClassPrior = Literal["uniform", "pool"]
"""Prior probabilities of the classes: equal ones, or their shares of the pool, as the head predicts them."""


class HeadSettings(BaseModel):
    """Settings of the task model's head on features.

    Attributes:
        kind: `prototypes` (imprinted class means of normalised features, then cross-entropy), `linear` (a linear
            probe: L2-regularised multinomial logistic regression), or `nearest_mean` (class means alone).
        temperatures: Temperatures T of the prototypes to choose from.
        entropy_weights: Weights λ of the entropy of unlabelled features to choose from; 0 leaves it out.
        refinements: Number of times that unlabelled features refine the class means of the prototypes, by soft k-means;
            0 takes the means of the labels alone.
        assignment_temperature: Temperature that softens the assignment of unlabelled features to classes.
        origins: Origins of the directions to choose from. Where one class holds most of the pool, the pool's mean is in
            the middle of that class, and the directions of its images are arbitrary; the mean of the class means is
            between the classes.
        class_priors: Class priors to choose from; `uniform` alone suits balanced accuracy. An origin or a prior other
            than the first is taken only if cross-validation prefers it by more than one standard error.
        pull: Strength by which prototypes are pulled towards the class means, relative to one label.
        strengths: Inverse L2 strengths C of the linear probe to choose from, in scikit-learn's convention.
        folds: Folds of the stratified cross-validation that chooses.
        class_weights: `balanced` weights labels by the inverse number of labels of their class.
        unlabelled: Largest number of unlabelled features that prototypes learn from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: HeadKind = "prototypes"
    temperatures: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (0.03, 0.05, 0.1)
    entropy_weights: Annotated[tuple[NonNegativeFloat, ...], Field(min_length=1)] = (0.0,)
    refinements: NonNegativeInt = 1
    assignment_temperature: PositiveFloat = 0.05
    origins: Annotated[tuple[Origin, ...], Field(min_length=1)] = ("pool_mean", "class_means")
    class_priors: Annotated[tuple[ClassPrior, ...], Field(min_length=1)] = ("uniform", "pool")
    pull: PositiveFloat = 0.01
    strengths: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (1.0, 10.0, 100.0, 1000.0)
    folds: Annotated[int, Field(ge=2)] = 3
    class_weights: Literal["none", "balanced"] = "none"
    unlabelled: PositiveInt = 1000


class FeatureSettings(BaseModel):
    """Settings of learning on features; they matter only where a data set's samples are features.

    Attributes:
        centre: Whether the mean of the pool is subtracted from all features first.
        head: Settings of the task model's head.
        adapter: Kind of adapter that is F of Algorithm 1; it starts as the identity.
        adapter_hidden: Width of the hidden layer of the adapter `hidden`.
        minimax: Settings of Algorithm 1 on features, instead of the recipe's `minimax`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    centre: bool = True
    head: HeadSettings = Field(default_factory=HeadSettings)
    adapter: AdapterKind = "linear"
    adapter_hidden: PositiveInt = 256
    minimax: MinimaxSettings = Field(default_factory=minimax_on_features)
