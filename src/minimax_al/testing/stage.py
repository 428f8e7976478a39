"""A small round to try a strategy on: two dozen tinted squares, tiny networks, float64 on the CPU."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from minimax_al.data import Augmentation, Dataset, ResidentImages
from minimax_al.strategies import Query, Strategy
from minimax_al.training import (
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

SIDE = 16
CLASSES = ("red", "green", "blue")
LABELLED = (1, 0, 5, 2, 8, 12, 4, 21, 17)
"""Scattered, so that a position among the unlabelled images seldom is the index of one."""
IMAGES = 24


@dataclass(frozen=True)
class Stage:
    """A strategy, a round, and what the strategy trained in it.

    Attributes:
        strategy: on trial.
        round_: to choose in.
        models: what `strategy.fit(round_)` returned.
    """

    strategy: Strategy
    round_: Round
    models: Models

    def query(self, budget: int, round_: Round | None = None) -> Query:
        """The strategy's choice in this round, or in another one with the same models."""
        return self.strategy.query(round_ or self.round_, self.models, budget)


def make_round(task: Task = "classification", *, seed: int = 0) -> Round:
    """A round of 24 images, 9 of them labelled, that every strategy fits within a second.

    Args:
        task: `classification` or `segmentation`.
        seed: of images and round.
    """
    dataset = _squares(task, seed)
    labelled = torch.tensor(LABELLED)
    segmentation = task == "segmentation"
    recipe = Recipe(
        encoder="dconv4" if segmentation else "conv4",
        width=4,
        augmentation=Augmentation(flip=True),
        minimax=MinimaxSettings(epochs=1, steps_per_epoch=2, batch_size=6, discriminator_hidden=8),
        task=TaskSettings(epochs=1, steps_per_epoch=2, batch_size=6),
        vaal=VaalSettings(epochs=1, steps_per_epoch=2, batch_size=6, latent=4, widths=(4, 8)),
        # Several batches a pass: what is found in a batch has to be told of the pool.
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
    """All indices below `images` but the labelled ones, ascending."""
    is_unlabelled = torch.ones(images, dtype=torch.bool)
    is_unlabelled[labelled] = False
    return is_unlabelled.nonzero().flatten()


def rearranged(round_: Round, order: Tensor) -> Round:
    """The same round with its images in another order: image `order[i]` moves to place i."""
    place = order.argsort()
    dataset = replace(
        round_.dataset,
        train=round_.dataset.train.subset(order),
        train_targets=round_.dataset.train_targets[order],
    )
    return replace(
        round_,
        dataset=dataset,
        targets=round_.targets[order],
        labelled=place[round_.labelled],
        unlabelled=place[round_.unlabelled].sort().values,
    )


def with_pixels(round_: Round, pixels: Tensor) -> Round:
    """The same round with other pixels (N, 3, H, W) uint8 in its training images."""
    train = ResidentImages(pixels, round_.dataset.train.names)
    return replace(round_, dataset=replace(round_.dataset, train=train))


def pixels_of(round_: Round) -> Tensor:
    """The training images' pixels, (N, 3, H, W) uint8."""
    return torch.cat(list(round_.dataset.train.stream([torch.arange(len(round_.dataset.train))])))


def _squares(task: Task, seed: int) -> Dataset:
    """Noise tinted in the colour of the class; for segmentation, a tinted half."""
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
