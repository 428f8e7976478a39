"""Strategies that cover the pool and need no prediction, so that they can choose the first labels as well.

Features are scaled to length 1, as TypiClust, ProbCover and MaxHerding scale them: the length of a pretrained encoder's
features tells more about contrast than about content.
"""

from abc import abstractmethod
from typing import ClassVar

from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from minimax_al.acquisition import (
    FeatureMatrix,
    centroids,
    k_center_greedy,
    maxherding,
    probcover,
    typicality,
)
from minimax_al.networks import l2_normalise
from minimax_al.strategies.pool_features import pool_features
from minimax_al.strategies.strategy import Query, Strategy, picks
from minimax_al.training import Models, Outputs, Round


def directions(outputs: Outputs) -> Tensor:
    """Return the features of the encoder, scaled to length 1."""
    return l2_normalise(outputs.image_features())


class Covering(Strategy):
    """Strategy that chooses by the features of labelled and unlabelled images alone."""

    cold_start: ClassVar[bool] = True
    uses_randomness: ClassVar[bool] = True

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose `budget` images that cover the pool."""
        features, scores = pool_features(round_, models, directions)
        labelled = None
        if len(round_.labelled):
            labelled, _ = pool_features(round_, models, directions, round_.labelled)
        return picks(round_, self.choose(round_, features, labelled, budget), scores)

    @abstractmethod
    def choose(self, round_: Round, features: FeatureMatrix, labelled: FeatureMatrix | None, budget: int) -> Tensor:
        """Return positions among the unlabelled images, (budget,) int64.

        Args:
            round_: Round, for its generator and the number of classes.
            features: Features of the unlabelled images, of length 1, shape (U, d).
            labelled: Features of the labelled images, shape (L, d); None before the first label.
            budget: Number of images to choose.
        """


class Centroids(Covering):
    """Images nearest to k-means centres, clusters without a label first.

    Time O(N·k·d) per pass of k-means into k = L + b clusters, at most 1,000 or b; memory O(N), and at most about
    600 MiB. A pool beyond 2²⁶ numbers is read in two passes of mini-batches; the clusters depend on the seed.
    """

    def choose(self, round_: Round, features: FeatureMatrix, labelled: FeatureMatrix | None, budget: int) -> Tensor:
        """Return the image nearest to each centre."""
        return centroids(features, budget, generator=round_.generator("query"), labelled=labelled)


class Coverage(Covering):
    """Greedy k-center on features (Sener and Savarese 2018), which also chooses the first labels.

    Time O(N·(L + b)·d) at worst, for L labels; memory O(N). Exact, also on a pool on disk.
    """

    uses_randomness: ClassVar[bool] = False

    def choose(self, round_: Round, features: FeatureMatrix, labelled: FeatureMatrix | None, budget: int) -> Tensor:  # noqa: ARG002 - it draws nothing
        """Return images, each the farthest from all that are labelled or chosen before it."""
        return k_center_greedy(features, budget, labelled if labelled is None else labelled[:])


class Typicality(Covering):
    """Typical images of clusters without a label (Hacohen, Dekel and Weinshall 2022: TypiClust).

    Time O(N·k·d) per pass of k-means into k = L + b clusters, at most 500, and all pairs of a chosen cluster; memory
    O(N), and at most about 600 MiB. Exact given the clusters.

    Attributes:
        neighbours: Number of nearest neighbours that define typicality.
    """

    neighbours: PositiveInt = 20

    def choose(self, round_: Round, features: FeatureMatrix, labelled: FeatureMatrix | None, budget: int) -> Tensor:
        """Return typical images of the largest clusters without a label."""
        return typicality(features, budget, round_.generator("query"), labelled, neighbours=self.neighbours)


class ProbCover(Covering):
    """Greedy maximum coverage of the pool by balls around labels (Yehuda et al. 2022).

    Time O(n²·d) for n images; memory O(n·d), and at most 256 MiB. Exact up to n = 30,000 images; a larger pool is
    represented by a uniformly drawn part of that size, from which the picks come.

    Attributes:
        purity: Smallest share of balls that lie within one k-means cluster, which sets the radius.
    """

    purity: float = Field(default=0.95, gt=0, le=1)

    def choose(self, round_: Round, features: FeatureMatrix, labelled: FeatureMatrix | None, budget: int) -> Tensor:
        """Return the images whose balls cover most of the pool."""
        classes, generator = round_.dataset.num_classes, round_.generator("query")
        return probcover(features, budget, generator=generator, classes=classes, labelled=labelled, purity=self.purity)


class MaxHerding(Covering):
    """Greedy kernel coverage of the pool (Bae, Zhang, Sutherland and Oliveira 2024).

    Time O(n²·d) for n images; memory O(n·d), and at most 256 MiB. Exact up to n = 35,000 images; a larger pool is
    represented by a uniformly drawn part of that size, from which the picks come.

    Attributes:
        bandwidth: Bandwidth of the Gaussian kernel between features of length 1.
    """

    bandwidth: PositiveFloat = 1.0

    def choose(self, round_: Round, features: FeatureMatrix, labelled: FeatureMatrix | None, budget: int) -> Tensor:
        """Return the images that raise the kernel coverage most."""
        generator = round_.generator("query")
        return maxherding(features, budget, generator=generator, labelled=labelled, bandwidth=self.bandwidth)
