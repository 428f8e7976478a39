"""Loop of active learning: pool → fit → query → oracle → teach → pool.

Benchmarks, whose oracle is the data set, and campaigns, whose oracle is an annotator, share this loop.

    learner = ActiveLearner(dataset, "mal", Recipe(encoder="conv4"))
    learner.teach(first, labels)
    while budget_is_left:
        learner.fit()
        query = learner.query(20)
        learner.teach(query.indices, ask(query.indices))
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from minimax_al.acquisition.checks import check_budget
from minimax_al.data import UNKNOWN, Dataset, Pool
from minimax_al.data.images.indices import Answers, Indices, as_answers, as_indices
from minimax_al.errors import ConfigurationError, DataError, ShapeError
from minimax_al.strategies import Query, Strategy, get_strategy
from minimax_al.strategies.pool_features import cold_models
from minimax_al.training import Evaluation, Models, Recipe, Round, Runtime, evaluate
from minimax_al.training.runtime.loggers import Logger, RunLog
from minimax_al.vocabulary import IGNORED, Progress


class ActiveLearner:
    """A pool with the labels so far, and a strategy that chooses the next images.

    Args:
        dataset: Images or feature vectors, classes and test images. Its training targets are never read.
        strategy: Strategy, or its name.
        recipe: Settings of networks and trainings; default the paper's.
        seed: Seed of everything random. Same seed, same machine, same picks; on a GPU up to its rounding.
        runtime: Device and precision; default the recipe's.
        folder: Folder for checkpoints of the round in progress, so that `fit` can resume; None writes none.
        progress: Callback after every finished epoch.
        logger: Logger of Lightning Fabric's interface for losses and metrics, such as `CSVLogger`, `TensorBoardLogger`,
            or Lightning's `MLFlowLogger` and `WandbLogger`; the caller finalises it.

    Attributes:
        pool: Labelled and unlabelled indices, and the number of rounds.
        targets: Labels so far.
        models: Models of the last `fit`; None before the first, and after new labels.
        previous: Weights of the last round's networks by name, where settings carry them over.

    Raises:
        ConfigurationError: The strategy does not suit the data set.
    """

    def __init__(
        self,
        dataset: Dataset,
        strategy: str | Strategy,
        recipe: Recipe | None = None,
        *,
        seed: int = 0,
        runtime: Runtime | None = None,
        folder: Path | None = None,
        progress: Progress | None = None,
        logger: Logger | None = None,
    ) -> None:
        self.strategy = get_strategy(strategy) if isinstance(strategy, str) else strategy
        self.strategy.check_dataset(dataset)
        self.recipe = recipe or Recipe()
        self.seed = seed
        self.runtime = runtime or Runtime(self.recipe.runtime)
        self.dataset = _on_device(dataset, self.runtime)
        self.folder = folder
        self.progress = progress
        self.pool = Pool(len(dataset.train))
        self.targets = _no_answers(dataset)
        self.models: Models | None = None
        self.previous: dict[str, dict[str, Tensor]] = {}
        self.log = None if logger is None else RunLog(logger)

    @property
    def round(self) -> Round:
        """The round in progress."""
        return Round(
            dataset=self.dataset,
            targets=self.targets,
            labelled=self.pool.labelled,
            unlabelled=self.pool.unlabelled,
            recipe=self.recipe,
            runtime=self.runtime,
            seed=self.seed,
            number=self.pool.round,
            folder=self.folder,
            progress=self.progress,
            previous=self.previous,
            log=self.log,
        )

    def fit(self) -> Models:
        """Train this round's networks on the labels so far.

        Raises:
            DataError: The labels cannot be trained on.
        """
        self.models = self.strategy.fit(self.round)
        return self.models

    def query(self, budget: int) -> Query:
        """Choose the images to label next.

        Before the first label, strategies that need no prediction choose from features or by a pretrained encoder.

        Args:
            budget: Number of images, from 1 to all unlabelled ones.

        Raises:
            BudgetError: The budget is out of that range.
            ConfigurationError: No model is trained on the labels so far, or the strategy needs labels to choose.
            NonFiniteScoreError: A score is NaN or infinite; names the images.
        """
        budget = check_budget(budget, len(self.pool.unlabelled))
        models = self.models
        if models is None and len(self.pool.labelled) == 0 and self.strategy.cold_start:
            models = cold_models(self.round)
        if models is None:
            raise ConfigurationError("no model is trained on the labels so far: call fit() before query()")
        return self.strategy.query(self.round, models, budget)

    def teach(self, indices: Indices, answers: Answers) -> None:
        """Accept answers, and end the round.

        Args:
            indices: Indices of training images without an answer, shape (n,): a tensor, a NumPy array, a pandas
                column or a sequence of integers.
            answers: Class numbers or class names, shape (n,), or masks of class numbers, shape (n, H, W), in any of
                these forms.

        Raises:
            PoolError: An index is not in the pool, occurs twice, or has its answer already.
            ShapeError: The indices are not integers, or the answers are not one per index, in integers or names.
            DataError: An answer is not a class.
        """
        chosen = torch.from_numpy(as_indices(indices))
        given = as_answers(answers, self.dataset.class_names)
        self._check_answers(chosen, given)
        if self.models is not None and self.strategy.carries_over(self.round):
            self.previous = {name: dict(network.state_dict()) for name, network in self.models.networks.items()}
        self.pool.label(chosen)
        self.targets[chosen] = given.to(self.targets.dtype)
        self.models = None

    def evaluate(self) -> Evaluation:
        """Evaluate the models on the test images; see `minimax_al.training.evaluate`."""
        if self.models is None:
            raise ConfigurationError("no model is trained on the labels so far: call fit() before evaluate()")
        found = evaluate(self.round, self.models)
        if self.log is not None and self.runtime.ranks.rank == 0:
            self.log.metrics(found.metrics, len(self.pool.labelled))
        return found

    def _check_answers(self, indices: Tensor, answers: Tensor) -> None:
        expected = (*indices.shape, *self.targets.shape[1:])
        if tuple(answers.shape) != expected or answers.is_floating_point() or answers.dtype == torch.bool:
            raise ShapeError(
                f"{indices.numel()} images need answers of shape {expected} in whole numbers, "
                f"not {tuple(answers.shape)} {answers.dtype}"
            )
        counted = answers[answers != IGNORED] if self.dataset.task == "segmentation" else answers
        wrong = counted[(counted < 0) | (counted >= self.dataset.num_classes)]
        if len(wrong):
            raise DataError(
                f"answer {int(wrong[0])} is not a class: the classes are 0 to {self.dataset.num_classes - 1}"
            )


def _on_device(dataset: Dataset, runtime: Runtime) -> Dataset:
    """Return the data set with its resident images on the runtime's device."""
    selection = dataset.selection
    return replace(
        dataset,
        train=dataset.train.to(runtime.device),
        test=dataset.test.to(runtime.device),
        selection=selection if selection is None else selection.to(runtime.device),
    )


def _no_answers(dataset: Dataset) -> Tensor:
    if dataset.task == "segmentation":
        return torch.full((len(dataset.train), *dataset.image_size), IGNORED, dtype=torch.uint8)
    return torch.full((len(dataset.train),), UNKNOWN)
