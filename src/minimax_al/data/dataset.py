"""A data set: images and targets to choose from, images and targets to test on."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from minimax_al.data.images import Images
from minimax_al.data.scan import SetAside
from minimax_al.errors import ConfigurationError, DataError, ShapeError
from minimax_al.vocabulary import IGNORED as IGNORED  # noqa: PLC0414 - part of the public names of minimax_al.data
from minimax_al.vocabulary import Task

Colour = tuple[float, float, float]

UNKNOWN = -1
"""Target of an image whose class nobody has said yet."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with their targets.

    Attributes:
        name: what curves and tables call it.
        task: "classification" or "segmentation".
        class_names: one a class, in the order of the targets' numbers.
        train: the images to choose from.
        train_targets: (N,) int64, -1 where the class is unknown; segmentation: (N, H, W) uint8, 255 where
            ignored.
        test: the images to measure on; may be none.
        test_targets: as `train_targets`, all known.
        mean: mean of the training images' red, green and blue, in [0, 1] units.
        std: their standard deviations, in [0, 1] units.
        set_aside: files that could not be used, and why.

    Raises:
        ShapeError: targets of the wrong shape or dtype, or not one an image.
        DataError: fewer than two classes, a class named twice, a target outside of the classes.
    """

    name: str
    task: Task
    class_names: tuple[str, ...]
    train: Images
    train_targets: Tensor
    test: Images
    test_targets: Tensor
    mean: Colour
    std: Colour
    set_aside: tuple[SetAside, ...] = ()

    def __post_init__(self) -> None:
        if self.task not in {"classification", "segmentation"}:
            raise ConfigurationError(f"unknown task {self.task!r}: classification or segmentation")
        _check_class_names(self.class_names)
        if len(self.train) == 0:
            raise DataError(f"{self.name!r} has no training images")
        _check_targets(self, "train")
        _check_targets(self, "test")

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)


def image_statistics(images: Images, sample: int = 4096) -> tuple[Colour, Colour]:
    """Mean and standard deviation of each channel, in [0, 1] units.

    Args:
        images: those to look at.
        sample: at most as many images are read; which ones is the same whenever it is asked.

    Returns:
        (mean, std), each of red, green and blue. A channel that never varies gets a std of one grey level,
        1/255, so that it can be divided by.
    """
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:sample]
    sums, squares, pixels = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), 0
    for batch in images.stream(torch.split(order.sort().values, 128)):
        values = batch.cpu().transpose(0, 1).reshape(3, -1).double() / 255
        sums += values.sum(1)
        squares += values.square().sum(1)
        pixels += values.shape[1]
    mean = sums / pixels
    std = (squares / pixels - mean.square()).clamp_min(0).sqrt().clamp_min(1 / 255)
    return _colour(mean), _colour(std)


def _colour(values: Tensor) -> Colour:
    red, green, blue = values.tolist()
    return red, green, blue


def _check_class_names(names: tuple[str, ...]) -> None:
    if len(names) < 2:
        raise DataError(f"{len(names)} classes ({', '.join(names)}) leave nothing to tell apart: give at least two")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"class names must differ, but {twice[0]!r} is there {names.count(twice[0])} times")


def _check_targets(dataset: Dataset, part: Literal["train", "test"]) -> None:
    targets, images = (
        (dataset.train_targets, dataset.train) if part == "train" else (dataset.test_targets, dataset.test)
    )
    classification = dataset.task == "classification"
    shape = (len(images),) if classification else (len(images), *images.size)
    dtype = torch.int64 if classification else torch.uint8
    if tuple(targets.shape) != shape or targets.dtype != dtype:
        raise ShapeError(
            f"{part} targets for {dataset.task} of {len(images)} images must be {shape} {dtype}, "
            f"not {tuple(targets.shape)} {targets.dtype}"
        )
    known = targets if classification else targets[targets != IGNORED]
    if known.numel() == 0:
        return
    low, high = (int(bound) for bound in known.aminmax())
    lowest = UNKNOWN if classification and part == "train" else 0
    if low < lowest or high >= dataset.num_classes:
        raise DataError(
            f"a {part} target is {low if low < lowest else high}, but the {dataset.num_classes} classes are "
            f"0 to {dataset.num_classes - 1}"
        )
