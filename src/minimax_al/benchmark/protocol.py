"""A protocol: which data, how many labels when, which strategies, how often, under which recipe."""

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError, model_validator
from torch import Tensor

from minimax_al.data import Dataset, load_dataset, make_imbalanced, with_validation
from minimax_al.errors import ConfigurationError, UnknownNameError, invalid_setting
from minimax_al.strategies import get_strategy
from minimax_al.training import Recipe
from minimax_al.training.seeding import derive_seed, generator_for

READING = frozenset({"resident", "verify", "workers"})
"""Options of sources that say how images are read, and change none."""


class Protocol(BaseModel):
    """Everything that decides the numbers of a benchmark.

    Attributes:
        name: of the protocol, as curves and tables call it.
        dataset: name of the source.
        data: folder or file of the data; None where the source brings its own.
        options: of the source.
        validation: training images that are evaluated on in place of the test set, drawn anew for every seed; they
            leave the pool. For choosing settings without a look at the test set; 0 takes the test set.
        imbalanced: keep random shares of the classes, drawn anew for every seed (the paper's section 4.1).
        start: labels of the initial pool.
        step: labels a query round.
        points: of the learning curve; one more than there are queries.
        initial: `random`, or `balanced` with equally many of each class.
        strategies: by name.
        seeds: runs a strategy, seeded 0, 1, ….
        recipe: networks and trainings, the same for all strategies.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dataset: str
    data: Path | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    validation: NonNegativeInt = 0
    imbalanced: bool = False
    start: PositiveInt
    step: PositiveInt
    points: PositiveInt
    initial: Literal["random", "balanced"] = "random"
    strategies: tuple[str, ...] = Field(min_length=1)
    seeds: PositiveInt
    recipe: Recipe = Field(default_factory=Recipe)

    @model_validator(mode="after")
    def _strategies_exist(self) -> Self:
        for strategy in self.strategies:
            get_strategy(strategy)
        if len(set(self.strategies)) < len(self.strategies):
            raise ConfigurationError(f"strategies {', '.join(self.strategies)} name one of them twice")
        return self

    @property
    def is_preset(self) -> bool:
        """Whether data and numbers of labels are those of the preset of this name, under whatever recipe."""
        return self.name in list_presets() and _setting(self) == _setting(load_protocol(self.name, "paper"))

    def load(self) -> Dataset:
        """The data set, before any imbalance.

        Raises:
            DataError: it is not there, or cannot be used; says where it looked.
            ConfigurationError: the protocol asks for more labels than there are images.
        """
        dataset = load_dataset(self.dataset, self.data, **self.options)
        self.check_fits(dataset)
        if self.validation or self.imbalanced:
            self.dataset_for(dataset, seed=0)  # what is wrong with it is said before anything is written
        return dataset

    def dataset_for(self, dataset: Dataset, seed: int) -> Dataset:
        """The data set of one run: the same for all strategies of a seed."""
        drawn = dataset
        if self.validation:
            drawn = with_validation(drawn, self.validation, derive_seed(seed, "validation"))
        if self.imbalanced:
            drawn = make_imbalanced(drawn, derive_seed(seed, "imbalance"))
        if drawn is not dataset:
            self.check_fits(drawn)
        return drawn

    def initial_pool(self, dataset: Dataset, seed: int) -> Tensor:
        """The images that are labelled before the first round, (start,) int64: the same for all strategies.

        Args:
            dataset: that passes `check_fits`.
            seed: of the run.
        """
        generator = generator_for(seed, "initial pool")
        order = torch.randperm(len(dataset.train), generator=generator)
        if self.initial == "random":
            return order[: self.start]
        targets = dataset.train_targets[order]
        share = self.start // dataset.num_classes
        return torch.cat([order[targets == label][:share] for label in range(dataset.num_classes)])

    def check_fits(self, dataset: Dataset) -> None:
        """Refuse strategies for another task, more labels than images, initial labels that cannot be had.

        Raises:
            ConfigurationError: the numbers do not fit the data.
        """
        for strategy in self.strategies:
            get_strategy(strategy).check_task(dataset.task)
        wanted = self.start + (self.points - 1) * self.step
        if wanted > len(dataset.train):
            raise ConfigurationError(
                f"{self.points} points from {self.start} labels in steps of {self.step} take {wanted} labels, "
                f"but {dataset.name!r} has {len(dataset.train)} training images: lower points, start or step"
            )
        blank = (dataset.train_targets < 0).nonzero() if dataset.task == "classification" else torch.empty(0)
        if len(blank):
            raise ConfigurationError(
                f"{dataset.name!r} does not say the class of {len(blank)} training images "
                f"({dataset.train.names[int(blank[0])]!r} first): a benchmark has to know all answers"
            )
        must_cover = dataset.task == "classification" and self.recipe.missing_classes == "error"
        if must_cover and self.start < dataset.num_classes:
            raise ConfigurationError(
                f"start={self.start} labels cannot show all {dataset.num_classes} classes of {dataset.name!r}: "
                "raise start, or set recipe.missing_classes to 'warn'"
            )
        if self.initial == "balanced":
            self._check_balance(dataset)

    def _check_balance(self, dataset: Dataset) -> None:
        """Refuse an initial pool that cannot have equally many images of each class."""
        if dataset.task == "segmentation":
            raise ConfigurationError(
                f"initial is 'balanced', but {dataset.name!r} has no one class an image: set initial to 'random'"
            )
        share, left = divmod(self.start, dataset.num_classes)
        if left:
            raise ConfigurationError(
                f"start={self.start} labels cannot be balanced over {dataset.num_classes} classes: "
                "give a multiple, or set initial to 'random'"
            )
        count, rarest = torch.bincount(dataset.train_targets, minlength=dataset.num_classes).min(dim=0)
        if count < share:
            raise ConfigurationError(
                f"start={self.start} labels cannot be balanced: they take {share} of each class, but "
                f"{dataset.name!r} has {int(count)} of {dataset.class_names[int(rarest)]!r}: lower start, or set "
                "initial to 'random'"
            )


def _setting(protocol: Protocol) -> dict[str, Any]:
    """What decides whether two protocols ask for the same labels of the same images."""
    fields = {"dataset", "validation", "imbalanced", "start", "step", "initial"}
    options = {name: value for name, value in protocol.options.items() if name not in READING}
    return {**protocol.model_dump(include=fields), "options": options}


def list_presets() -> list[str]:
    """The presets' names, sorted.

    Example:
        >>> "cifar100" in list_presets()
        True
    """
    return sorted(file.name.removesuffix(".yaml") for file in (files(__package__) / "presets").iterdir())


def load_protocol(preset: str, recipe: str = "default", **changes: Any) -> Protocol:  # noqa: ANN401 - fields of Protocol
    """A protocol from a preset's name or from a YAML file of the same form.

    Args:
        preset: a name of `list_presets()`, or the path of a file that ends in .yaml or .yml.
        recipe: which of the file's recipes; `paper` follows the paper, `default` is ours (the file says why).
        changes: fields of the protocol in place of the file's.

    Raises:
        UnknownNameError: there is no such preset or recipe.
        ConfigurationError: the file says something that no protocol can have; names file and key.
    """
    where, text = _read(preset)
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{where} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{where} holds {type(content).__name__}, not the fields of a protocol")
    recipes = {"default": content.pop("recipe")} if "recipe" in content else content.pop("recipes", None)
    if not isinstance(recipes, dict) or not recipes:
        raise ConfigurationError(f"{where} has no recipe: give one under 'recipe', or several by name under 'recipes'")
    if recipe not in recipes:
        raise UnknownNameError(f"recipe of {where}", recipe, recipes)
    chosen = recipes[recipe]
    fields = {"name": Path(preset).stem, **content, "recipe": chosen, **changes}
    try:
        return Protocol.model_validate(fields)
    except ValidationError as error:
        raise invalid_setting(error, Protocol, where) from error


def _read(preset: str) -> tuple[str, str]:
    """What to call the preset in messages, and its text."""
    if preset.endswith((".yaml", ".yml")):
        path = Path(preset)
        if not path.is_file():
            raise ConfigurationError(f"there is no protocol file {preset!r}")
        try:
            return f"file {preset!r}", path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"file {preset!r} is not UTF-8 text: {error}") from error
    if preset not in list_presets():
        raise UnknownNameError("preset", preset, list_presets())
    text = (files(__package__) / "presets" / f"{preset}.yaml").read_text(encoding="utf-8")
    return f"preset {preset!r}", text
