"""A data set: images or feature vectors, with targets, to choose from and to test on."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from minimax_al.data.features.features import Array, Features
from minimax_al.data.images.images import Images
from minimax_al.data.locations.scan import SetAside
from minimax_al.errors import ConfigurationError, DataError, ShapeError
from minimax_al.vocabulary import IGNORED as IGNORED  # noqa: PLC0414 - part of the public names of minimax_al.data
from minimax_al.vocabulary import Color, Task

UNKNOWN = -1
"""Target of an image without a label."""


Samples = Images | Features
"""Images, or one feature vector for each image."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images, or their feature vectors, with targets.

    Attributes:
        name: Name in curves and tables.
        task: "classification" or "segmentation"; feature vectors are for classification.
        class_names: Class names, K strings in the order of the targets' numbers.
        train: Images or feature vectors to choose from, N of them.
        train_targets: Classes, shape (N,) int64, -1 where unknown; for segmentation masks, shape (N, H, W) uint8,
            255 where ignored.
        test: Images or feature vectors to measure on; may be empty.
        test_targets: Targets of the test images, like `train_targets`, all known.
        mean: Mean of the training images' red, green and blue, in [0, 1] units; unused for feature vectors.
        std: Standard deviation of red, green and blue, in [0, 1] units; unused for feature vectors.
        set_aside: Files that could not be used, with the reasons.
        selection: Images outside of the pool on which a training chooses its best pass; None for none.
        selection_targets: Targets of the images in `selection`, like `test_targets`.

    Raises:
        ShapeError: Targets have the wrong shape or dtype, or training and test features differ in width.
        DataError: Fewer than two classes, a repeated class name, or a target outside of the classes.
        ConfigurationError: The task is unknown, or does not suit the samples.
    """

    name: str
    task: Task
    class_names: tuple[str, ...]
    train: Samples
    train_targets: Tensor
    test: Samples
    test_targets: Tensor
    mean: Color = (0.0, 0.0, 0.0)
    std: Color = (1.0, 1.0, 1.0)
    set_aside: tuple[SetAside, ...] = ()
    selection: Samples | None = None
    selection_targets: Tensor | None = None

    def __post_init__(self) -> None:
        if self.task not in {"classification", "segmentation"}:
            raise ConfigurationError(f"unknown task {self.task!r}: classification or segmentation")
        _check_class_names(self.class_names)
        if len(self.train) == 0:
            raise DataError(f"{self.name!r} has no training images")
        _check_samples(self)
        _check_targets(self, "train")
        _check_targets(self, "test")

    @classmethod
    def from_features(
        cls,
        name: str,
        class_names: Sequence[str],
        train: tuple[Features | Array, Array],
        test: tuple[Features | Array, Array] | None = None,
    ) -> "Dataset":
        """Build a data set from feature vectors and labels in memory or on disk.

        Args:
            name: Name in curves and tables.
            class_names: Class names, in the order of the labels.
            train: Feature vectors, shape (N, d) of a floating dtype, and labels, shape (N,) integers, -1 where
                unknown.
            test: Feature vectors, shape (M, d), and labels, shape (M,); default none.

        Raises:
            DataError: A vector is unusable; names the image.
            ShapeError: Shapes or dtypes do not fit.

        Example:
            >>> vectors = torch.eye(4)
            >>> made = Dataset.from_features("made", ["a", "b"], (vectors, torch.tensor([0, 1, -1, -1])))
            >>> made.sample, len(made.train), len(made.test)
            ('features', 4, 0)
        """
        features, targets = _as_features(train[0]), torch.as_tensor(train[1])
        if test is None:
            test_features, test_targets = features.subset([]), targets[:0]
        else:
            test_features, test_targets = _as_features(test[0]), torch.as_tensor(test[1])
        for vectors in (features, test_features):
            vectors.check()
        integers = [labels if labels.is_floating_point() else labels.long() for labels in (targets, test_targets)]
        return cls(name, "classification", tuple(class_names), features, integers[0], test_features, integers[1])

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def sample(self) -> Literal["images", "features"]:
        """Kind of the samples."""
        return "features" if isinstance(self.train, Features) else "images"

    @property
    def image_size(self) -> tuple[int, int]:
        """Stored (height, width) of the training images, in pixels.

        Raises:
            ConfigurationError: The samples are feature vectors.
        """
        if isinstance(self.train, Features):
            raise ConfigurationError(f"{self.name!r} holds feature vectors: pixels are not available")
        return self.train.size


def image_statistics(images: Images, sample: int = 4096) -> tuple[Color, Color]:
    """Return the mean and standard deviation of each channel, in [0, 1] units.

    Args:
        images: Images to measure.
        sample: Largest number of images that are read; the draw is fixed.

    Returns:
        (mean, std), each of red, green and blue. A channel that never varies gets a standard deviation of one grey
        level, 1/255, so that it can be divided by.
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
    return _color(mean), _color(std)


def _color(values: Tensor) -> Color:
    red, green, blue = values.tolist()
    return red, green, blue


def _as_features(values: Features | Array) -> Features:
    return values if isinstance(values, Features) else Features(values)


def _check_samples(dataset: Dataset) -> None:
    """Refuse feature vectors that do not fit the task or one another."""
    train, test = dataset.train, dataset.test
    if isinstance(train, Features) != isinstance(test, Features):
        raise ConfigurationError(f"{dataset.name!r} mixes images and feature vectors: give one kind for both parts")
    if not isinstance(train, Features) or not isinstance(test, Features):
        return
    if dataset.task == "segmentation":
        raise ConfigurationError(f"{dataset.name!r} is for segmentation, which learns from images, not from features")
    if train.shape[1] != test.shape[1]:
        raise ShapeError(
            f"train features have {train.shape[1]} numbers, test features {test.shape[1]}: use one encoder"
        )


def _check_class_names(names: tuple[str, ...]) -> None:
    if len(names) < 2:
        raise DataError(f"{len(names)} classes ({', '.join(names)}) leave nothing to tell apart: give at least two")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"class names must differ, but {twice[0]!r} is there {names.count(twice[0])} times")
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            raise DataError(f"class names must differ, but {other!a} and {name!a} are two Unicode forms of {name!r}")


def _check_targets(dataset: Dataset, part: Literal["train", "test"]) -> None:
    targets, samples = (
        (dataset.train_targets, dataset.train) if part == "train" else (dataset.test_targets, dataset.test)
    )
    classification = dataset.task == "classification"
    size = () if isinstance(samples, Features) or classification else samples.size
    shape = (len(samples), *size)
    dtype = torch.int64 if classification else torch.uint8
    if tuple(targets.shape) != shape or targets.dtype != dtype:
        raise ShapeError(
            f"{part} targets for {dataset.task} of {len(samples)} images must be {shape} {dtype}, "
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
