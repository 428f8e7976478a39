"""Model that the live learner fits to the labels of a moment. Loads torch."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.features.recipes import read_recipe
from minimax_al.campaign.features.training_data import LabelledImage
from minimax_al.campaign.features.unlabelled_images import UnlabelledImage
from minimax_al.campaign.model.fitted_labels import FittedLabels
from minimax_al.campaign.progress.runs import LIVE_RUN
from minimax_al.campaign.rounds.querying import RANDOM, interleaved
from minimax_al.campaign.rounds.rounds import Choice, draw
from minimax_al.campaign.settings.named_recipes import COLD_START_ON_FEATURES
from minimax_al.data import UNKNOWN, Dataset
from minimax_al.deployment.trained import Trained
from minimax_al.live.features import LiveFeatures
from minimax_al.live.snapshot import Snapshot
from minimax_al.loop import ActiveLearner
from minimax_al.report.reasons import AT_RANDOM, BY_RANDOM, reason_for
from minimax_al.strategies.pool_features import cold_models
from minimax_al.strategies.strategy_names import build_strategy
from minimax_al.training import Evaluation, Recipe
from minimax_al.training.heads.prototypes import with_choices_of

_GROWTH = 1.25
"""Growth of the number of labels after which the settings of the head are chosen again."""


class LiveFit(FittedLabels):
    """Model that was fitted to the labels of a snapshot.

    Args:
        context: Campaign.
        snapshot: Campaign at a moment, with labels of at least two classes.
        features: Features of its images.
        earlier: Fit before; its choice of the head's settings is kept while the labels are about the same.

    Attributes:
        snapshot: Campaign at that moment.
        samples: Features.
        run_id: Run that records the fit; None before it chose images or was measured.
        tuned_on: Number of labels on which the head's settings were chosen.
    """

    def __init__(
        self, context: CampaignContext, snapshot: Snapshot, features: LiveFeatures, earlier: "LiveFit | None" = None
    ) -> None:
        self.snapshot = snapshot
        self.samples = features
        self.run_id: int | None = None
        training_data = snapshot.training_data
        count = len(training_data.labelled)
        self.recipe = read_recipe(context.settings)
        same = earlier is not None and earlier.labels == self.labels
        used, self.tuned_on = self.recipe, count
        if earlier is not None and earlier.tuned_on <= count <= _GROWTH * earlier.tuned_on:
            used, self.tuned_on = earlier.with_its_choices(self.recipe), earlier.tuned_on
        learner = ActiveLearner(
            _dataset(snapshot, features), build_strategy(context.settings.strategy), used, seed=context.settings.seed
        )
        learner.teach(torch.arange(count), learner.dataset.train_targets[:count])
        if same and earlier is not None:
            learner.models, self.run_id = earlier.learner.models, earlier.run_id
        else:
            learner.fit()
        super().__init__(context, context.settings.strategy, training_data, features.pool, learner)

    @cached_property
    def labels(self) -> tuple[object, ...]:
        """Everything that the models depend on."""
        training_data = self.snapshot.training_data
        known = (*training_data.labelled, *training_data.held_out)
        pairs = tuple((one.content_hash, one.target, one.measures) for one in known)
        return len(training_data.labelled), self.snapshot.class_ids, training_data.class_names, pairs

    @cached_property
    def fingerprint(self) -> str:
        """Name of the run: a fit to the same labels has the same name."""
        learnt_from = (self.name, self.recipe.model_dump_json(), self.context.settings.features, self.labels)
        return f"{LIVE_RUN}{hashlib.sha256(repr(learnt_from).encode()).hexdigest()}"[:64]

    def with_its_choices(self, recipe: Recipe) -> Recipe:
        """Return a recipe with the choices that this fit's cross-validation has made, see `with_choices_of`."""
        assert self.learner.models is not None
        fixed = with_choices_of(recipe.features.head, getattr(self.learner.models.task_model, "head", None))
        return recipe.model_copy(update={"features": recipe.features.model_copy(update={"head": fixed})})

    def suggest(self, images: Sequence[UnlabelledImage]) -> dict[int, tuple[int, float]]:
        """Return class id and confidence of images, by item id."""
        if not images:
            return {}
        predictions = self._predict(self.samples.samples(images), torch.arange(len(images)))
        pairs = zip(predictions["predicted"].tolist(), predictions["confidence"].tolist(), strict=True)
        ids = self.snapshot.class_ids
        return {image.id: (ids[label], sure) for image, (label, sure) in zip(images, pairs, strict=True)}

    def choose_batch(self, count: int, at_random: int, number: int) -> list[Choice]:
        """Return images for a batch, drawn ones among the chosen ones.

        Args:
            count: Number of images.
            at_random: Number of those that are drawn at random.
            number: Number of the round, for the draw.
        """
        pool, seed = self.training_data.unlabelled, self.context.settings.seed
        count = min(count, len(pool))
        if self.name == RANDOM:
            return self._with_suggestions(_drawn(pool, count, seed, number, BY_RANDOM))
        drawn = self._with_suggestions(_drawn(pool, min(at_random, count), seed, number, AT_RANDOM))
        taken = {choice.item_id for choice in drawn}
        # The strategy may choose a drawn image: it chooses that many in addition, and the last ones are left out.
        chosen = self.choose(count) if count > len(drawn) else []
        kept = [choice for choice in chosen if choice.item_id not in taken]
        return interleaved(kept[: count - len(drawn)], drawn)

    def _with_suggestions(self, choices: Sequence[Choice]) -> list[Choice]:
        images = {image.id: image for image in self.training_data.unlabelled}
        suggestions = self.suggest([images[choice.item_id] for choice in choices])
        return [
            replace(choice, suggestion=suggestions[choice.item_id][0], confidence=suggestions[choice.item_id][1])
            for choice in choices
        ]

    def trained(self, run_id: int, found: Evaluation) -> Trained:
        """Return M with the campaign's recipe, as a training would."""
        return replace(super().trained(run_id, found), recipe=self.recipe)

    def _class_ids(self) -> list[int]:
        return list(self.snapshot.class_ids)


def choose_without_model(
    context: CampaignContext, snapshot: Snapshot, features: LiveFeatures, count: int, *, at_random: int, number: int
) -> list[Choice]:
    """Choose images that differ from one another, from the labelled ones and from those in the queue.

    Args:
        context: Campaign.
        snapshot: Campaign at a moment.
        features: Features of its images.
        count: Number of images.
        at_random: Number of those that are drawn at random.
        number: Number of the round, for the draw.
    """
    pool, seed = snapshot.training_data.unlabelled, context.settings.seed
    count = min(count, len(pool))
    if context.settings.strategy == RANDOM:
        return _drawn(pool, count, seed, number, BY_RANDOM)
    drawn = _drawn(pool, min(at_random, count), seed, number, AT_RANDOM)
    taken = {choice.item_id for choice in drawn}
    candidates = [image for image in pool if image.id not in taken]
    known: list[LabelledImage | UnlabelledImage] = [*snapshot.training_data.labelled, *snapshot.waiting]
    known += [image for image in pool if image.id in taken]
    chosen = _covering(context, features, known, candidates, count - len(drawn)) if count > len(drawn) else []
    reason = reason_for(COLD_START_ON_FEATURES, {}, len(pool))
    return interleaved([Choice(image.id, reason) for image in chosen], drawn)


def _covering(
    context: CampaignContext,
    features: LiveFeatures,
    known: Sequence[LabelledImage | UnlabelledImage],
    candidates: Sequence[UnlabelledImage],
    count: int,
) -> list[UnlabelledImage]:
    samples = features.samples([*known, *candidates])
    nothing = torch.empty(0, dtype=torch.int64)
    unknown = torch.full((len(samples),), UNKNOWN)
    # The classes do not matter: nothing is predicted.
    dataset = Dataset("campaign", "classification", ("a", "b"), samples, unknown, samples.subset(nothing), nothing)
    strategy, recipe = build_strategy(COLD_START_ON_FEATURES), read_recipe(context.settings)
    learner = ActiveLearner(dataset, strategy, recipe, seed=context.settings.seed)
    if known:
        learner.teach(torch.arange(len(known)), torch.zeros(len(known), dtype=torch.int64))
    found = strategy.query(learner.round, cold_models(learner.round), count)
    return [candidates[index - len(known)] for index in found.indices.tolist()]


def _dataset(snapshot: Snapshot, features: LiveFeatures) -> Dataset:
    training_data = snapshot.training_data
    targets = [known.target for known in training_data.labelled] + [UNKNOWN] * len(training_data.unlabelled)
    return Dataset(
        name="campaign",
        task="classification",
        class_names=training_data.class_names,
        train=features.samples([*training_data.labelled, *training_data.unlabelled]),
        train_targets=torch.tensor(targets, dtype=torch.int64),
        test=features.samples(training_data.held_out),
        test_targets=torch.tensor([known.target for known in training_data.held_out], dtype=torch.int64),
    )


def _drawn(pool: Sequence[UnlabelledImage], count: int, seed: int, number: int, reason: str) -> list[Choice]:
    ids = draw(np.array([image.id for image in pool], dtype=np.int64), count, seed, number)
    return [Choice(item, reason, at_random=True) for item in ids]
