"""One round of active learning: the data, the labels, the recipe and the seed that a strategy sees."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor

from minimax_al.data import Dataset, Samples
from minimax_al.training.epochs import EpochSettings, Training, run_epochs
from minimax_al.training.feed import Feed
from minimax_al.training.minimax import MinimaxSettings
from minimax_al.training.recipe import Recipe
from minimax_al.training.runtime.loggers import RunLog
from minimax_al.training.runtime.runtime import Runtime
from minimax_al.training.seeding import derive_seed, generator_for
from minimax_al.vocabulary import Progress

Forward = Callable[[Tensor], dict[str, Tensor]]
"""A batch of images (B, 3, H, W) on the device → named tensors whose first dimension is B."""


@dataclass(frozen=True)
class Round:
    """Inputs of everything that one round trains and draws.

    Attributes:
        dataset: Samples and classes. Its training targets are not read: the labels are in `targets`.
        targets: Labels so far, shape (N,) int64 with −1 for unlabelled images, or masks, shape (N, H, W) uint8.
        labelled: Labelled indices in the order of labelling, shape (L,) int64.
        unlabelled: All other indices, ascending, shape (U,) int64.
        recipe: Settings of networks and trainings.
        runtime: Device and precision.
        seed: Seed of the run; the same for all strategies of a comparison.
        number: Round number, from 0.
        folder: Folder for checkpoints; None writes none.
        progress: Callback after every finished epoch.
        member: Number of an ensemble's member, whose draws are its own; 0 is the main training.
        log: Log of losses; None logs nothing.
        previous: Weights of the last round's networks by name, where settings carry them over; empty in the first.
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
    previous: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    log: RunLog | None = None

    @cached_property
    def feed(self) -> Feed:
        """Source of batches of this round's samples."""
        return Feed(self.dataset, self.recipe.augmentation, self.runtime)

    @property
    def minimax(self) -> MinimaxSettings:
        """Settings of Algorithm 1 for this round's kind of samples."""
        return self.recipe.features.minimax if self.dataset.sample == "features" else self.recipe.minimax

    def generator(self, *purpose: str | int) -> torch.Generator:
        """Return a CPU generator for one purpose in this round."""
        return generator_for(self.seed, self.number, self.member, *purpose)

    @cached_property
    def identity(self) -> str:
        """Digest of a training's inputs in this round: checkpoints of other inputs are not resumed."""
        words = (self.seed, self.number, self.member, self.dataset.name, self.recipe.model_dump_json())
        digest = hashlib.blake2b(repr(words).encode(), digest_size=16)
        digest.update(self.labelled.numpy().tobytes())
        digest.update(self.targets[self.labelled].numpy().tobytes())
        return digest.hexdigest()

    def as_member(self, member: int) -> "Round":
        """Return the round with draws and checkpoints of its own, for a further model of the same kind."""
        folder = self.folder / f"member-{member}" if self.folder else None
        own = self.previous.get(f"member-{member}")
        return replace(self, member=member, folder=folder, previous={} if own is None else {"task_model": own})

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
            name: Name of the training.
            training: Networks that learn.
            settings: Epochs, learning rate and batch size.
            steps: Batches of a whole epoch.
            batches: Function from (epoch, steps) to the arguments of the training's steps.

        Returns:
            The mean losses of every epoch.
        """
        plan = settings.plan(steps)
        shown = f"member-{self.member}/{name}" if self.member else name
        return run_epochs(
            name,
            training,
            settings,
            lambda epoch: batches(epoch, plan[epoch]),
            steps=steps,
            seed=derive_seed(self.seed, self.number, self.member),
            device=self.runtime.device,
            checkpoint=self.folder / f"round-{self.number}-{name}.safetensors" if self.folder else None,
            identity=self.identity,
            progress=self.progress,
            ranks=self.runtime.ranks,
            log=None if self.log is None else partial(self.log.epoch, shown),
        )

    def labelled_batches(self, name: str, batch_size: int, epoch: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Return augmented labelled samples and their targets for one epoch of a training."""
        generator = self.generator(name, "labelled", epoch)
        return self.feed.labelled(self.labelled, self.targets, batch_size, steps, generator)

    def unlabelled_batches(self, name: str, batch_size: int, epoch: int, steps: int) -> Iterator[Tensor]:
        """Return augmented unlabelled samples for one epoch of a training."""
        generator = self.generator(name, "unlabelled", epoch)
        return self.feed.unlabelled(self._trainable_pool(), batch_size, steps, generator)

    def unlabelled_pairs(self, name: str, batch_size: int, epoch: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Return the batches of `unlabelled_batches`, each with a strongly augmented copy."""
        generator = self.generator(name, "unlabelled", epoch)
        return self.feed.unlabelled_twice(self._trainable_pool(), batch_size, steps, generator)

    def _trainable_pool(self) -> Tensor:
        # The last image of a pool comes twice in its batch: batch norm cannot train on one.
        return self.unlabelled.repeat(2) if len(self.unlabelled) == 1 else self.unlabelled

    def stream(
        self, forward: Forward, indices: Tensor, images: Samples | None = None, *, stays: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """Run a function over samples, batch by batch, and gather its results.

        Where several ranks share the run, each runs it over `shown_here` and all gather the same.

        Args:
            forward: Function from a batch to named tensors with first dimension B; runs without gradients, in fp32
                whatever the precision of training (float64 under fp64).
            indices: Samples in order, shape (n,) int64.
            images: Samples to index; default the training set's.
            stays: Names of large tensors that are not gathered from the other ranks.

        Returns:
            Each named tensor over all images, on the CPU; those of `stays` over the images shown here.
        """
        ranks = self.runtime.ranks
        here = indices[self.shown_here(len(indices))]
        source = self.dataset.train if images is None else images
        return ranks.concatenate(ranks.together(lambda: self._stream(forward, here, source)), stays)

    def shown_here(self, count: int) -> slice:
        """Return the slice of `count` samples that this rank sees: whole batches, the same for any number of ranks."""
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
    """Return room for all samples at once: gathered values may have gigabytes, and must not be copied."""
    with torch.inference_mode(mode=False):  # what callers get is theirs to change
        return torch.empty((count, *like.shape[1:]), dtype=like.dtype, device=like.device)
