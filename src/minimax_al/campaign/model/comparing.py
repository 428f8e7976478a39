"""Comparison of recipes on a campaign's labels: features, fine-tuning and training from scratch on the same split."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from scipy.stats import binomtest
from torch import Tensor

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.features.datasets import build_dataset
from minimax_al.campaign.features.training_data import TrainingData
from minimax_al.campaign.model.finetuning import finetuned_model, logits_of_images
from minimax_al.campaign.model.learning import Session, StartCallback
from minimax_al.campaign.model.training_lock import training_alone
from minimax_al.campaign.progress.headline import wilson_interval
from minimax_al.campaign.settings.settings import make_settings
from minimax_al.errors import ConfigurationError, DataError
from minimax_al.loop import ActiveLearner
from minimax_al.networks import TaskModel
from minimax_al.training import Recipe
from minimax_al.training.heads.out_of_fold import fold_of_labels
from minimax_al.vocabulary import Progress

FEWEST_LABELS = 40
"""Fewest labels that are compared on: with fewer, one image is worth too much."""

_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class RecipeResult:
    """Accuracy of one recipe on the labels that it was not trained on.

    Attributes:
        recipe: Name of the recipe.
        right: Number of labels that it predicts.
        count: Number of labels that it was measured on.
        seconds: Duration of its training.
    """

    recipe: str
    right: int
    count: int
    seconds: float

    @property
    def accuracy(self) -> float:
        """Accuracy in [0, 1]."""
        return self.right / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy (Wilson)."""
        return wilson_interval(self.accuracy, self.count)


@dataclass(frozen=True)
class Comparison:
    """Results of recipes on the same labels, and what follows from them.

    Attributes:
        labels: Number of labels that each recipe was trained on.
        results: One result per recipe.
        recommendation: What to do, with the reason, in a sentence.
    """

    labels: int
    results: tuple[RecipeResult, ...]
    recommendation: str


def compare_recipes(
    context: CampaignContext,
    recipes: Sequence[str] = ("features", "finetune", "scratch-small"),
    progress: Progress | None = None,
) -> Comparison:
    """Train recipes on four fifths of the labels and measure them on the other fifth.

    Args:
        context: Campaign of classes that learns on features.
        recipes: Names of recipes.
        progress: Callback of the trainings.

    Raises:
        ConfigurationError: The campaign does not learn on features, or a recipe cannot be compared.
        DataError: There are too few labels.
    """
    if context.settings.features is None:
        raise ConfigurationError(
            "recipes are compared in campaigns that learn on features: choose the recipe 'features'"
        )
    unknown = [name for name in recipes if name not in _PREDICTORS]
    if unknown:
        raise ConfigurationError(f"recipe {unknown[0]!r} cannot be compared: give some of {', '.join(_PREDICTORS)}")
    session = Session(context, "random", progress)
    labelled = session.training_data.labelled
    if len(labelled) < FEWEST_LABELS:
        raise DataError(
            f"{len(labelled)} labels are too few to compare recipes on: label at least {FEWEST_LABELS} images"
        )
    fold = fold_of_labels(session.learner.round, torch.tensor([known.group for known in labelled]))
    split = _Split(session, (fold != 0).nonzero().flatten(), (fold == 0).nonzero().flatten())
    answers: dict[str, Tensor] = {}
    results = []
    for name in recipes:
        began = time.monotonic()
        answers[name] = _PREDICTORS[name](context, split, progress).argmax(dim=1) == split.truth
        seconds = time.monotonic() - began
        results.append(RecipeResult(name, int(answers[name].sum()), len(split.held), seconds))
    return Comparison(len(split.trained_on), tuple(results), _recommendation(results, answers))


def train_finetuned(
    context: CampaignContext, strategy: str, progress: Progress | None = None, on_start: StartCallback | None = None
) -> Comparison:
    """Fine-tune the encoder, and make the result the campaign's model if it is more accurate than the head alone.

    Both are trained on four fifths of the labels and measured on the other fifth; the better one is then trained on all
    labels.

    Args:
        context: Campaign that learns on features.
        strategy: Strategy of the head on features.
        progress: Callback of the trainings.
        on_start: Callback before the training on features.

    Raises:
        ConfigurationError: The campaign does not learn on features.
        DataError: There are too few labels to compare.
    """
    with training_alone(context):
        compared = compare_recipes(context, ("features", "finetune"), progress)
        session = Session(context, strategy, progress, on_start)
        session.fit()
        on_features, finetuned = compared.results
        if finetuned.right > on_features.right:
            session.keep_finetuned(finetuned.accuracy, finetuned.count, progress)
    return compared


class _Split:
    """Labels to train on and labels to measure on."""

    def __init__(self, session: Session, trained_on: Tensor, held: Tensor) -> None:
        self.session = session
        self.trained_on = trained_on
        self.held = held
        self.truth = session.learner.dataset.train_targets[held]

    @property
    def training_data(self) -> TrainingData:
        """Training data: the labels to train on are labelled, those to measure on are held out."""
        labelled = self.session.training_data.labelled
        return replace(
            self.session.training_data,
            labelled=tuple(labelled[i] for i in self.trained_on.tolist()),
            held_out=tuple(labelled[i] for i in self.held.tolist()),
        )

    def head(self) -> TaskModel:
        """Return the head on features that is fitted to the labels to train on."""
        round_ = self.session.learner.round
        fitted = self.session.learner.strategy.fit(replace(round_, labelled=round_.labelled[self.trained_on]))
        assert isinstance(fitted.task_model, TaskModel)
        return fitted.task_model


def _by_features(context: CampaignContext, split: _Split, progress: Progress | None) -> Tensor:  # noqa: ARG001 - one form
    learner = split.session.learner
    head = split.head()
    return learner.round.stream(lambda x: {"task": head(x)}, learner.pool.labelled[split.held])["task"].float()


def _by_finetuning(context: CampaignContext, split: _Split, progress: Progress | None) -> Tensor:
    training_data = split.training_data
    model = finetuned_model(context, training_data.class_names, training_data.labelled, split.head(), progress)
    return logits_of_images(model, context, [known.path for known in training_data.held_out])


def _from_scratch(context: CampaignContext, split: _Split, progress: Progress | None) -> Tensor:
    settings = make_settings(images=context.settings.images, recipe="scratch-small", seed=context.settings.seed)
    small = replace(context, settings=settings)
    training_data = replace(split.training_data, unlabelled=())
    recipe = Recipe.model_validate(settings.recipe)
    learner = ActiveLearner(
        build_dataset(small, training_data), "random", recipe, seed=settings.seed, progress=progress
    )
    count = len(training_data.labelled)
    learner.teach(torch.arange(count), learner.dataset.train_targets[:count])
    models = learner.fit()
    test = torch.arange(len(learner.dataset.test))
    return learner.round.stream(lambda x: {"task": models.task_outputs(x).logits}, test, learner.dataset.test)["task"]


_PREDICTORS: dict[str, Callable[[CampaignContext, _Split, Progress | None], Tensor]] = {
    "features": _by_features,
    "finetune": _by_finetuning,
    "scratch-small": _from_scratch,
}


def _recommendation(results: Sequence[RecipeResult], answers: dict[str, Tensor]) -> str:
    """Return the recipe to use: the first one (the fastest), unless another one is significantly better."""
    first, best = results[0], max(results, key=lambda result: result.right)
    if best.right == first.right:
        return f"Keep '{first.recipe}': no recipe is more accurate, and it takes {first.seconds:.0f} s."
    better = int((answers[best.recipe] & ~answers[first.recipe]).sum())
    worse = int((answers[first.recipe] & ~answers[best.recipe]).sum())
    chance = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    words = (
        f"'{best.recipe}' predicts {better} labels that '{first.recipe}' misses, and misses {worse} that it predicts "
        f"(p = {chance:.2g})"
    )
    if chance < _SIGNIFICANT:
        return f"Use '{best.recipe}': {words}."
    return f"Keep '{first.recipe}' for now: {words}, which may be chance; compare again with more labels."
