"""Strategies that join a prediction's uncertainty with diversity on features."""

from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt
from torch import Tensor

from minimax_al.acquisition import cluster_margin, dropquery, margin, uherding
from minimax_al.acquisition.herding import MOST_IMAGES
from minimax_al.strategies.pool_features import last_layer_input, pool_features
from minimax_al.strategies.strategy import Query, Scores, Strategy, picks
from minimax_al.training import Models, Outputs, Round
from minimax_al.vocabulary import Task


class Hybrid(Strategy):
    """Strategy of classification that needs a prediction and the features behind it."""

    uses_randomness: ClassVar[bool] = True
    tasks: ClassVar[tuple[Task, ...]] = ("classification",)


class DropQuery(Hybrid):
    """Images whose predicted class dropout on features changes, one per k-means cluster (Gupte et al. 2024).

    Time O(N·d·K) per pass, then k-means of the unstable images into b clusters; memory O(N), and at most about
    600 MiB for k-means. All unstable images are looked at; the clusters depend on the seed.

    Attributes:
        passes: Number of passes with dropout.
        rate: Share of features that a pass drops.
    """

    passes: PositiveInt = 3
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.75

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose images of unstable prediction from different clusters."""
        features, scores = pool_features(round_, models, last_layer_input)
        runtime = round_.runtime

        def logits_of(block: Tensor) -> Tensor:
            return models.last_layer(block.to(runtime.device, runtime.dtype)).cpu()

        generator = round_.generator("query")
        positions = dropquery(features, logits_of, budget, generator=generator, passes=self.passes, rate=self.rate)
        return picks(round_, positions, scores)


class ClusterMargin(Hybrid):
    """Images of the smallest margins, thinned by k-means (as Cluster-Margin, Citovsky et al. 2021).

    Time O(N·d·K) for the margins, then O(b²·d) times `factor` per step of k-means; memory O(N), and the candidates.
    The candidates of the smallest margins are exact, and k-means looks at them alone.

    Attributes:
        factor: Number of candidates of small margin per image that is chosen.
    """

    factor: Annotated[float, Field(ge=1)] = 10

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose images of small margin from different clusters."""
        features, scores = pool_features(round_, models, last_layer_input, score=_margins)
        generator = round_.generator("query")
        positions = cluster_margin(features, scores["margin"], budget, generator=generator, factor=self.factor)
        return picks(round_, positions, scores)


class UHerding(Hybrid):
    """Images that raise the uncertainty-weighted kernel coverage most (Bae, Oliveira and Sutherland 2025).

    Time O(N·d·K) for the margins, then O(n²·d) for n images; memory O(N + n·d). A larger pool is represented by n
    images that are drawn by uncertainty, and the picks come from these.

    Attributes:
        most_images: Largest pool that is seen whole, n, in rounds of few picks. The time grows with its square: 4,000
            images of 1,280 features take a second on a core.
        images_per_pick: Least n per pick: a round of more than `most_images` / `images_per_pick` picks sees this many
            images for each of them, and at most 35,000.
    """

    most_images: PositiveInt = 4_000
    images_per_pick: PositiveInt = 20

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose images that cover the uncertain part of the pool."""
        features, scores = pool_features(round_, models, last_layer_input, score=_margins)
        labelled, _ = pool_features(round_, models, last_layer_input, round_.labelled)
        generator = round_.generator("query")
        # Rounding may take a margin above 1 by an ulp.
        uncertainty = (1 - scores["margin"]).clamp_min(0)
        most_images = max(self.most_images, min(self.images_per_pick * budget, MOST_IMAGES))
        positions = uherding(
            features, uncertainty, budget, generator=generator, labelled=labelled, most_images=most_images
        )
        return picks(round_, positions, scores)


def _margins(outputs: Outputs) -> Scores:
    return {"margin": margin(outputs.logits)}
