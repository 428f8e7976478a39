"""Protocol of a benchmark: data, numbers of labels, strategies, seeds, recipe."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from torch import Tensor

from minimax_al.data import Dataset, load_dataset, make_imbalanced, with_selection, with_validation
from minimax_al.errors import ConfigurationError, UnknownNameError, invalid_setting
from minimax_al.loop import ActiveLearner
from minimax_al.strategies.strategy_names import build_strategy, strategy_name
from minimax_al.training import Recipe
from minimax_al.training.seeding import derive_seed, generator_for
from minimax_al.yaml_values import load_yaml

READING = frozenset({"resident", "verify", "workers"})
"""Options of sources that change how images are read, but no pixel."""


class Protocol(BaseModel):
    """Everything that decides the numbers of a benchmark.

    Attributes:
        name: Name in curves and tables.
        dataset: Name of the source.
        data: Folder or file of the data; None for a source without files.
        options: Options of the source.
        validation: Number of training images to evaluate on instead of the test set, drawn anew for every seed. They
            leave the pool. Settings can then be chosen without using the test set; 0 evaluates on the test set.
        imbalanced: Whether random shares of the classes are kept, drawn anew for every seed (the paper's section 4.1).
        start: Number of labels of the initial pool.
        step: Number of labels per round.
        points: Number of points of the learning curve, one more than the number of queries.
        initial: `random`, `balanced` with the same number of images of each class, or a strategy that chooses from
            features without labels.
        strategies: Strategy names; settings follow in parentheses, as in `mal(rule=filter)`.
        seeds: Number of runs per strategy, seeded 0, 1, ….
        recipe: Networks and trainings, the same for all strategies.
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
    initial: Literal["random", "balanced", "centroids", "coverage", "maxherding", "probcover", "typicality"] = "random"
    strategies: tuple[str, ...] = Field(min_length=1)
    seeds: PositiveInt
    recipe: Recipe = Field(default_factory=Recipe)

    @field_validator("strategies", mode="before")
    @classmethod
    def _with_canonical_names(cls, value: Any) -> Any:  # noqa: ANN401 - what a file or the command line gives
        return [strategy_name(entry) for entry in value] if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _strategies_exist(self, info: ValidationInfo) -> Self:
        # Results can be read where the plug-in that made them is not installed.
        if not (info.context or {}).get("reading"):
            for strategy in self.strategies:
                build_strategy(strategy)
        twice = [name for name in self.strategies if self.strategies.count(name) > 1]
        if twice:
            raise ConfigurationError(f"strategy {twice[0]!r} is listed twice in {', '.join(self.strategies)}")
        return self

    @property
    def is_preset(self) -> bool:
        """Whether data and numbers of labels are those of the preset of this name, under any recipe."""
        return self.name in list_presets() and _setting(self) == _setting(load_protocol(self.name))

    def load(self) -> Dataset:
        """Load the data set, before any imbalance.

        Raises:
            DataError: The data set is missing or unusable; the message names the path.
            ConfigurationError: The protocol requests more labels than there are images.
        """
        dataset = self.load_data()
        self.check_fits(dataset)
        if self.validation or self.imbalanced or self.recipe.task.selection:
            self.dataset_for(dataset, seed=0)  # an unusable draw is refused before anything is written
        return dataset

    def load_data(self) -> Dataset:
        """Load the data set without checking that strategies and numbers fit it.

        Raises:
            DataError: The data set is missing or unusable; the message names the path.
        """
        return load_dataset(self.dataset, self.data, **self.options)

    def dataset_for(self, dataset: Dataset, seed: int) -> Dataset:
        """Return the data set of one run, the same for all strategies of a seed."""
        drawn = dataset
        if self.validation:
            drawn = with_validation(drawn, self.validation, derive_seed(seed, "validation"))
        if self.imbalanced:
            drawn = make_imbalanced(drawn, derive_seed(seed, "imbalance"))
        if self.recipe.task.selection and drawn.sample == "images":
            drawn = with_selection(drawn, self.recipe.task.selection, derive_seed(seed, "selection"))
        if drawn is not dataset:
            self.check_fits(drawn)
        return drawn

    @property
    def chooses_first_images(self) -> bool:
        """Whether a strategy chooses the initial pool from features."""
        return self.initial not in {"random", "balanced"}

    def initial_pool(self, dataset: Dataset, seed: int) -> Tensor:
        """Return the initial pool, shape (start,), int64, the same for all strategies of a seed.

        Args:
            dataset: Data set of the run, which passes `check_fits`.
            seed: Seed of the run.
        """
        if self.chooses_first_images:
            return ActiveLearner(dataset, self.initial, self.recipe, seed=seed).query(self.start).indices
        generator = generator_for(seed, "initial pool")
        order = torch.randperm(len(dataset.train), generator=generator)
        if self.initial == "random":
            return order[: self.start]
        targets = dataset.train_targets[order]
        share = self.start // dataset.num_classes
        return torch.cat([order[targets == label][:share] for label in range(dataset.num_classes)])

    def check_fits(self, dataset: Dataset) -> None:
        """Refuse a data set that the protocol does not fit.

        Raises:
            ConfigurationError: A strategy is for another task, the pool is too small, a class is unknown, or test
                images have another size than training images.
        """
        for strategy in self.strategies:
            build_strategy(strategy).check_dataset(dataset)
        _check_sizes(dataset)
        wanted = self.start + (self.points - 1) * self.step
        if wanted > len(dataset.train):
            raise ConfigurationError(
                f"{self.points} points from {self.start} labels in steps of {self.step} need {wanted} labels, "
                f"but {dataset.name!r} has {len(dataset.train)} training images: lower points, start or step"
            )
        blank = (dataset.train_targets < 0).nonzero() if dataset.task == "classification" else torch.empty(0)
        if len(blank):
            raise ConfigurationError(
                f"{dataset.name!r} has {len(blank)} training images without a class "
                f"({dataset.train.names[int(blank[0])]!r} first): a benchmark needs all answers"
            )
        must_cover = dataset.task == "classification" and self.recipe.missing_classes == "error"
        if must_cover and self.start < dataset.num_classes:
            raise ConfigurationError(
                f"start={self.start} labels cannot cover all {dataset.num_classes} classes of {dataset.name!r}: "
                "raise start, or set recipe.missing_classes to 'warn'"
            )
        if self.initial == "balanced":
            self._check_balance(dataset)

    def _check_balance(self, dataset: Dataset) -> None:
        """Refuse an initial pool that cannot be balanced."""
        if dataset.task == "segmentation":
            raise ConfigurationError(
                f"initial is 'balanced', but {dataset.name!r} has no single class per image: set initial to 'random'"
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
                f"start={self.start} labels cannot be balanced: they need {share} of each class, but "
                f"{dataset.name!r} has {int(count)} of {dataset.class_names[int(rarest)]!r}: lower start, or set "
                "initial to 'random'"
            )


def _check_sizes(dataset: Dataset) -> None:
    """Refuse test images of another size than training's: one model would see two scales."""
    sizes = [getattr(images, "size", None) for images in (dataset.train, dataset.test)]
    if len(dataset.test) and None not in sizes and sizes[0] != sizes[1]:
        train, test = ("×".join(map(str, size)) for size in sizes if size)
        raise ConfigurationError(
            f"test images of {dataset.name!r} are {test} pixels, but training images are {train}: resize one of the two"
        )


def _setting(protocol: Protocol) -> dict[str, Any]:
    """Return the fields that decide which images a protocol labels."""
    fields = {"dataset", "validation", "imbalanced", "start", "step", "initial"}
    options = {name: value for name, value in protocol.options.items() if name not in READING}
    return {**protocol.model_dump(include=fields), "options": options}


def list_presets() -> list[str]:
    """Return the names of the presets, sorted.

    Example:
        >>> "cifar100" in list_presets()
        True
    """
    return sorted(file.name.removesuffix(".yaml") for file in (files(__package__) / "presets").iterdir())


def load_protocol(preset: str, recipe: str = "default", **changes: Any) -> Protocol:  # noqa: ANN401 - fields of Protocol
    """Load a protocol from a preset or from a YAML file of the same form.

    Args:
        preset: Name from `list_presets()`, or path of a file that ends in .yaml or .yml.
        recipe: Name of one of the file's recipes; `paper` follows the paper, `default` is ours.
        changes: Fields of the protocol that replace the file's.

    Raises:
        UnknownNameError: The preset or the recipe does not exist.
        ConfigurationError: The file has an invalid key or value; the message names file and key.
    """
    where, content = read_content(preset)
    fields = {"name": Path(preset).stem, **protocol_fields(where, content, recipe), **changes}
    return validated_protocol(fields, where)


def read_content(preset: str) -> tuple[str, dict[str, Any]]:
    """Return a preset's or file's name in messages, and its content.

    Args:
        preset: Name from `list_presets()`, or path of a file that ends in .yaml or .yml.

    Raises:
        UnknownNameError: The preset does not exist.
        ConfigurationError: The file is not a YAML mapping.
    """
    where, text = _read(preset)
    try:
        content = load_yaml(text)
    except ValueError as error:
        raise ConfigurationError(f"{where} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{where} holds {type(content).__name__}, not the fields of a protocol")
    return where, content


def protocol_fields(where: str, content: Mapping[str, Any], recipe: str) -> dict[str, Any]:
    """Return the fields of a protocol from the content of a file, under one of its recipes.

    Args:
        where: Name of the file in messages.
        content: Content of the file.
        recipe: Name of the recipe.

    Raises:
        UnknownNameError: The recipe does not exist.
        ConfigurationError: The file has no recipe.
    """
    content = dict(content)
    recipes = {"default": content.pop("recipe")} if "recipe" in content else content.pop("recipes", None)
    if not isinstance(recipes, dict) or not recipes:
        raise ConfigurationError(f"{where} has no recipe: give one under 'recipe', or several by name under 'recipes'")
    if recipe not in recipes:
        raise UnknownNameError(f"recipe of {where}", recipe, recipes)
    return {**content, "recipe": recipes[recipe]}


def validated_protocol(fields: Mapping[str, Any], where: str) -> Protocol:
    """Return the protocol of some fields.

    Raises:
        ConfigurationError: A key or a value is invalid; the message names `where` and the key.
    """
    try:
        return Protocol.model_validate(fields)
    except ValidationError as error:
        raise invalid_setting(error, Protocol, where) from error


def _read(preset: str) -> tuple[str, str]:
    """Return the preset's name in messages, and its text."""
    if preset.endswith((".yaml", ".yml")):
        path = Path(preset)
        if not path.is_file():
            raise ConfigurationError(f"protocol file {preset!r} does not exist")
        try:
            return f"file {preset!r}", path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"file {preset!r} is not UTF-8 text: {error}") from error
    if preset not in list_presets():
        raise UnknownNameError("preset", preset, list_presets())
    text = (files(__package__) / "presets" / f"{preset}.yaml").read_text(encoding="utf-8")
    return f"preset {preset!r}", text
