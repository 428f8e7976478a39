"""Small round for tests of strategies: 24 images or feature vectors, tiny networks, float64 on the CPU."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from minimax_al.data import Augmentation, Dataset, Features, ResidentImages
from minimax_al.strategies import Query, Strategy
from minimax_al.training import (
    FeatureSettings,
    MinimaxSettings,
    Models,
    Recipe,
    Round,
    Runtime,
    RuntimeSettings,
    TaskSettings,
    VaalSettings,
)
from minimax_al.vocabulary import Task

SampleKind = Literal["images", "features"]

SIDE = 16
WIDTH = 6
CLASSES = ("red", "green", "blue")
LABELLED = (1, 0, 5, 2, 8, 12, 4, 21, 17)
"""Labelled indices, scattered so that a position among the unlabelled images seldom equals the image's index."""
IMAGES = 24


@dataclass(frozen=True)
class Stage:
    """Strategy, round, and the models that the strategy trained in it.

    Attributes:
        strategy: Strategy under test.
        round_: Round to choose in.
        models: Models that `strategy.fit(round_)` returned.
    """

    strategy: Strategy
    round_: Round
    models: Models

    def query(self, budget: int, round_: Round | None = None) -> Query:
        """Return the strategy's choice in this round, or in another one with the same models."""
        return self.strategy.query(round_ or self.round_, self.models, budget)


def make_round(task: Task = "classification", *, samples: SampleKind = "images", seed: int = 0) -> Round:
    """Build a round of 24 samples, 9 of them labelled, that every strategy fits within a second.

    Args:
        task: `classification` or `segmentation`.
        samples: `images` or `features`.
        seed: Seed of samples and round.
    """
    dataset = _vectors(seed) if samples == "features" else _squares(task, seed)
    labelled = torch.tensor(LABELLED)
    segmentation = task == "segmentation"
    minimax = MinimaxSettings(epochs=1, steps_per_epoch=2, batch_size=6, discriminator_hidden=8)
    recipe = Recipe(
        encoder="dconv4" if segmentation else "conv4",
        width=4,
        augmentation=Augmentation(flip=True),
        minimax=minimax,
        task=TaskSettings(epochs=1, steps_per_epoch=2, batch_size=6),
        vaal=VaalSettings(epochs=1, steps_per_epoch=2, batch_size=6, latent=4, widths=(4, 8)),
        features=FeatureSettings(minimax=minimax.model_copy(update={"imprint": True, "mask_missing": True})),
        # Several batches per pass: errors of one batch must name images of the whole pool.
        scoring_batch_size=7,
        runtime=RuntimeSettings(device="cpu", precision="fp64"),
    )
    targets = dataset.train_targets.clone()
    targets[unlabelled_among(IMAGES, labelled)] = 255 if segmentation else -1
    return Round(
        dataset=dataset,
        targets=targets,
        labelled=labelled,
        unlabelled=unlabelled_among(IMAGES, labelled),
        recipe=recipe,
        runtime=Runtime(recipe.runtime),
        seed=seed,
    )


def unlabelled_among(images: int, labelled: Tensor) -> Tensor:
    """Return all indices below `images` but the labelled ones, ascending."""
    is_unlabelled = torch.ones(images, dtype=torch.bool)
    is_unlabelled[labelled] = False
    return is_unlabelled.nonzero().flatten()


def rearranged(round_: Round, order: Tensor) -> Round:
    """Return the round with its images in another order: image `order[i]` moves to position i."""
    position = order.argsort()
    dataset = replace(
        round_.dataset,
        train=round_.dataset.train.subset(order),
        train_targets=round_.dataset.train_targets[order],
    )
    return replace(
        round_,
        dataset=dataset,
        targets=round_.targets[order],
        labelled=position[round_.labelled],
        unlabelled=position[round_.unlabelled].sort().values,
    )


def with_samples(round_: Round, values: Tensor) -> Round:
    """Return the round with other pixels (N, 3, H, W) uint8, or feature vectors (N, d), as its training set."""
    names = round_.dataset.train.names
    train = Features(values, names=names) if values.ndim == 2 else ResidentImages(values, names)
    return replace(round_, dataset=replace(round_.dataset, train=train))


def samples_of(round_: Round) -> Tensor:
    """Return a copy of the training images' pixels (N, 3, H, W) uint8, or of the feature vectors (N, d)."""
    return torch.cat(list(round_.dataset.train.stream([torch.arange(len(round_.dataset.train))])))


def _vectors(seed: int) -> Dataset:
    """Build feature vectors that point in the direction of their class."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(IMAGES) % len(CLASSES)
    noise = torch.randn(IMAGES, WIDTH, generator=generator, dtype=torch.float64)
    names = [f"vectors/{image:02d}" for image in range(IMAGES)]
    features = Features(torch.eye(WIDTH, dtype=torch.float64)[classes] + 0.4 * noise, names=names)
    return Dataset("vectors", "classification", CLASSES, features, classes, features, classes)


def _squares(task: Task, seed: int) -> Dataset:
    """Build noise tinted in the colour of the class; for segmentation, a tinted half."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(IMAGES) % len(CLASSES)
    pixels = torch.randint(0, 128, (IMAGES, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    masks = torch.zeros(IMAGES, SIDE, SIDE, dtype=torch.uint8)
    for image, label in enumerate(classes.tolist()):
        pixels[image, label, :, : SIDE // 2] += 100
        masks[image, :, : SIDE // 2] = label
    targets = masks if task == "segmentation" else classes
    images = ResidentImages(pixels, [f"squares/{image:02d}" for image in range(IMAGES)])
    return Dataset(
        name="squares",
        task=task,
        class_names=CLASSES,
        train=images,
        train_targets=targets,
        test=images,
        test_targets=targets,
        mean=(0.3, 0.3, 0.3),
        std=(0.2, 0.2, 0.2),
    )
