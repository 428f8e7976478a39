"""A small round to try a strategy on: two dozen tinted squares, tiny networks, float64 on the CPU."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from minimax_al.data import Augmentation, Dataset, ResidentPictures
from minimax_al.networks import Task
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

SIDE = 16
CLASSES = ("red", "green", "blue")
LABELLED = (1, 0, 5, 2, 8, 12, 4, 21, 17)
"""Scattered, so that a position among the unlabelled pictures seldom is the index of one."""
PICTURES = 24


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
    """A round of 24 pictures, 9 of them labelled, that every strategy fits within a second.

    Args:
        task: `classification` or `segmentation`.
        seed: of pictures and round.
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
    targets[unlabelled_among(PICTURES, labelled)] = 255 if segmentation else -1
    return Round(
        dataset=dataset,
        targets=targets,
        labelled=labelled,
        unlabelled=unlabelled_among(PICTURES, labelled),
        recipe=recipe,
        runtime=Runtime(recipe.runtime),
        seed=seed,
    )


def unlabelled_among(pictures: int, labelled: Tensor) -> Tensor:
    """All indices below `pictures` but the labelled ones, ascending."""
    is_unlabelled = torch.ones(pictures, dtype=torch.bool)
    is_unlabelled[labelled] = False
    return is_unlabelled.nonzero().flatten()


def rearranged(round_: Round, order: Tensor) -> Round:
    """The same round with its pictures in another order: picture `order[i]` moves to place i."""
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
    """The same round with other pixels (N, 3, H, W) uint8 in its training pictures."""
    train = ResidentPictures(pixels, round_.dataset.train.names)
    return replace(round_, dataset=replace(round_.dataset, train=train))


def pixels_of(round_: Round) -> Tensor:
    """The training pictures' pixels, (N, 3, H, W) uint8."""
    return torch.cat(list(round_.dataset.train.stream([torch.arange(len(round_.dataset.train))])))


def _squares(task: Task, seed: int) -> Dataset:
    """Noise tinted in the colour of the class; for segmentation, a tinted half."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(PICTURES) % len(CLASSES)
    pixels = torch.randint(0, 128, (PICTURES, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    masks = torch.zeros(PICTURES, SIDE, SIDE, dtype=torch.uint8)
    for picture, label in enumerate(classes.tolist()):
        pixels[picture, label, :, : SIDE // 2] += 100
        masks[picture, :, : SIDE // 2] = label
    targets = masks if task == "segmentation" else classes
    pictures = ResidentPictures(pixels, [f"squares/{picture:02d}" for picture in range(PICTURES)])
    return Dataset(
        name="squares",
        task=task,
        class_names=CLASSES,
        train=pictures,
        train_targets=targets,
        test=pictures,
        test_targets=targets,
        mean=(0.3, 0.3, 0.3),
        std=(0.2, 0.2, 0.2),
    )
