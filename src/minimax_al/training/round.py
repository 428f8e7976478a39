"""One round of active learning as a strategy sees it: the data, what is labelled, the recipe, the seed."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from minimax_al.data import Dataset, Samples
from minimax_al.training.epochs import EpochSettings, Training, run_epochs
from minimax_al.training.feed import Feed
from minimax_al.training.minimax import MinimaxSettings
from minimax_al.training.recipe import Recipe
from minimax_al.training.runtime import Runtime
from minimax_al.training.seeding import derive_seed, generator_for
from minimax_al.vocabulary import Progress

Forward = Callable[[Tensor], dict[str, Tensor]]
"""A batch of images (B, 3, H, W) on the device → named tensors whose first dimension is B."""


@dataclass(frozen=True)
class Round:
    """Everything that one round trains on and draws from.

    Attributes:
        dataset: images and classes. Its training targets are not looked at: the answers are in `targets`.
        targets: the answers so far, (N,) int64 with −1 where there is none, or masks (N, H, W) uint8.
        labelled: indices with an answer, in the order of labelling, (L,) int64.
        unlabelled: all other indices, ascending, (U,) int64.
        recipe: networks and trainings.
        runtime: device and precision.
        seed: of the run; the same for all strategies of a comparison.
        number: of the round, from 0.
        folder: for checkpoints; None writes none.
        progress: Callback after every finished epoch.
        member: set apart from the main training's draws; used by ensembles.
    """

    dataset: Dataset
    targets: Tensor
    labelled: Tensor
    unlabelled: Tensor
    recipe: Recipe
    runtime: Runtime
    seed: int = 0
    number: int = 0
    folder: Path | None = None
    progress: Progress | None = None
    member: int = 0

    @cached_property
    def feed(self) -> Feed:
        """Batches of this round's images."""
        return Feed(self.dataset, self.recipe.augmentation, self.runtime)

    @property
    def minimax(self) -> MinimaxSettings:
        """Settings of Algorithm 1 for this round's kind of samples."""
        return self.recipe.features.minimax if self.dataset.sample == "features" else self.recipe.minimax

    def generator(self, *purpose: str | int) -> torch.Generator:
        """A CPU generator for one purpose in this round."""
        return generator_for(self.seed, self.number, self.member, *purpose)

    @cached_property
    def identity(self) -> str:
        """What a training of this round learns from, in short: checkpoints of anything else are not resumed."""
        words = (self.seed, self.number, self.member, self.dataset.name, self.recipe.model_dump_json())
        digest = hashlib.blake2b(repr(words).encode(), digest_size=16)
        digest.update(self.labelled.numpy().tobytes())
        digest.update(self.targets[self.labelled].numpy().tobytes())
        return digest.hexdigest()

    def as_member(self, member: int) -> "Round":
        """The same round with draws and checkpoints of its own, for a further model of the same kind."""
        folder = self.folder / f"member-{member}" if self.folder else None
        return replace(self, member=member, folder=folder)

    def train(
        self,
        name: str,
        training: Training,
        settings: EpochSettings,
        *,
        steps: int,
        batches: Callable[[int, int], Iterator[tuple[Tensor, ...]]],
    ) -> list[dict[str, float]]:
        """Run a training's epochs, going on from this round's checkpoint where there is one.

        Args:
            name: of the training.
            training: what learns.
            settings: epochs, learning rate, batch size.
            steps: batches an epoch.
            batches: (epoch, steps) → the arguments of the training's steps.

        Returns:
            The mean losses of every epoch.
        """
        return run_epochs(
            name,
            training,
            settings,
            lambda epoch: batches(epoch, steps),
            steps=steps,
            seed=derive_seed(self.seed, self.number, self.member),
            device=self.runtime.device,
            checkpoint=self.folder / f"round-{self.number}-{name}.safetensors" if self.folder else None,
            identity=self.identity,
            progress=self.progress,
            ranks=self.runtime.ranks,
        )

    def labelled_batches(self, name: str, batch_size: int, epoch: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented labelled images and their targets for one epoch of a training."""
        generator = self.generator(name, "labelled", epoch)
        return self.feed.labelled(self.labelled, self.targets, batch_size, steps, generator)

    def unlabelled_batches(self, name: str, batch_size: int, epoch: int, steps: int) -> Iterator[Tensor]:
        """Augmented unlabelled images for one epoch of a training."""
        generator = self.generator(name, "unlabelled", epoch)
        return self.feed.unlabelled(self._trainable_pool(), batch_size, steps, generator)

    def unlabelled_pairs(self, name: str, batch_size: int, epoch: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The images of `unlabelled_batches`, each batch with a strongly changed copy of itself."""
        generator = self.generator(name, "unlabelled", epoch)
        return self.feed.unlabelled_twice(self._trainable_pool(), batch_size, steps, generator)

    def _trainable_pool(self) -> Tensor:
        # The last image of a pool comes twice in its batch: batch norm cannot train on one.
        return self.unlabelled.repeat(2) if len(self.unlabelled) == 1 else self.unlabelled

    def stream(
        self, forward: Forward, indices: Tensor, images: Samples | None = None, *, stays: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """Run a function over images, batch by batch, and gather what it returns.

        Where several ranks share the run, each runs it over `shown_here` and all gather the same.

        Args:
            forward: from a batch of images to named tensors with first dimension B; runs without gradients and
                under the runtime's precision.
            indices: which images, in which order, (n,) int64.
            images: default the training set's.
            stays: names of large tensors that are not gathered from the other ranks.

        Returns:
            Each named tensor over all images, on the CPU; those of `stays` over the images shown here.
        """
        ranks = self.runtime.ranks
        here = indices[self.shown_here(len(indices))]
        source = self.dataset.train if images is None else images
        return ranks.concatenate(ranks.together(lambda: self._stream(forward, here, source)), stays)

    def shown_here(self, count: int) -> slice:
        """Which of `count` streamed images this rank sees: whole batches, so that ranks do not change a batch."""
        size = self.recipe.scoring_batch_size
        part = self.runtime.ranks.part(-(-count // size))
        return slice(part.start * size, part.stop * size)

    def _stream(self, forward: Forward, indices: Tensor, images: Samples) -> dict[str, Tensor]:
        gathered: dict[str, Tensor] = {}
        done = 0
        with torch.inference_mode():  # never under autocast: scores that choose are fp32
            for x in self.feed.plain(images, indices, self.recipe.scoring_batch_size):
                for name, values in forward(x).items():
                    if name not in gathered:
                        gathered[name] = _rows(len(indices), values)
                    gathered[name][done : done + len(x)] = values
                done += len(x)
        return {name: values.cpu() for name, values in gathered.items()}


def _rows(count: int, like: Tensor) -> Tensor:
    """Room for all images at once: what is gathered may have gigabytes, and must not be there twice."""
    with torch.inference_mode(mode=False):  # what callers get is theirs to change
        return torch.empty((count, *like.shape[1:]), dtype=like.dtype, device=like.device)
