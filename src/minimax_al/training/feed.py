"""A round's samples as batches on the device: augmented for training, plain for scoring."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minimax_al.data import (
    Augmentation,
    Dataset,
    Part,
    Samples,
    augment,
    epoch_batches,
    normalise,
    prepare,
    strongly_augment,
)
from minimax_al.training.runtime.runtime import Runtime


@dataclass(frozen=True)
class Feed:
    """Source of batches on the runtime's device: normalised images, or feature vectors as they are.

    Where several ranks share the run, a training batch is this rank's part of it: sizes below are of the whole batch.
    Feature vectors are neither augmented nor normalised.

    Attributes:
        dataset: Data set of the samples.
        augmentation: Augmentation of training images.
        runtime: Device and precision.
    """

    dataset: Dataset
    augmentation: Augmentation
    runtime: Runtime

    def labelled(
        self, indices: Tensor, targets: Tensor, batch_size: int, steps: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield `steps` augmented batches of labelled samples and targets, cycling through them.

        Args:
            indices: Labelled samples, shape (L,) int64.
            targets: Targets of the whole training set, shape (N,) int64 or (N, H, W) uint8.
            batch_size: Samples per batch; L where there are fewer.
            steps: Number of batches.
            generator: Generator of order and augmentation.
        """
        batches, part = self._own_batches(indices, batch_size, steps, generator)
        for batch, stored in zip(batches, self.dataset.train.stream(batches), strict=True):
            samples, targets_here = self.runtime.send(stored), self.runtime.send(targets[batch])
            if self.dataset.task == "segmentation":
                samples, targets_here = augment(samples, self.augmentation, generator, targets_here, part=part)
                samples = self._images(samples)
            else:
                samples = self._augmented(samples, generator, part)
            yield samples, targets_here.long()

    def unlabelled(self, indices: Tensor, batch_size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield `steps` augmented batches, (B, 3, H, W) or (B, d), cycling through the unlabelled samples."""
        batches, part = self._own_batches(indices, batch_size, steps, generator)
        for stored in self.dataset.train.stream(batches):
            yield self._augmented(self.runtime.send(stored), generator, part)

    def unlabelled_twice(
        self, indices: Tensor, batch_size: int, steps: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of `unlabelled`, each with a strongly augmented copy."""
        batches, part = self._own_batches(indices, batch_size, steps, generator)
        for pixels in self.dataset.train.stream(batches):
            weak = augment(self.runtime.send(pixels), self.augmentation, generator, part=part)
            strong = strongly_augment(weak, generator, part=part)
            yield self._images(weak), self._images(strong)

    def plain(self, samples: Samples, indices: Tensor, batch_size: int) -> Iterator[Tensor]:
        """Yield the samples at `indices` in order, without augmentation, (B, 3, H, W) or (B, d)."""
        batches: Sequence[Tensor] = indices.split(batch_size) if len(indices) else []
        for stored in samples.stream(batches):
            if self.dataset.sample == "features":
                yield self._vectors(self.runtime.send(stored))
            else:
                yield evaluation_view(stored, self.augmentation, self.dataset.mean, self.dataset.std, self.runtime)

    def _own_batches(
        self, indices: Tensor, batch_size: int, steps: int, generator: torch.Generator
    ) -> tuple[list[Tensor], Part]:
        """Return this rank's part of every batch of an epoch; all ranks draw alike."""
        batches = epoch_batches(indices, batch_size, steps, generator)
        part = self.runtime.ranks.part(len(batches[0]))
        return [part.of(batch) for batch in batches], part

    def _augmented(self, stored: Tensor, generator: torch.Generator, part: Part) -> Tensor:
        if self.dataset.sample == "features":
            return self._vectors(stored)
        return self._images(augment(stored, self.augmentation, generator, part=part))

    def _images(self, pixels: Tensor) -> Tensor:
        return self.runtime.place_images(normalise(pixels, self.dataset.mean, self.dataset.std))

    def _vectors(self, stored: Tensor) -> Tensor:
        return stored.to(self.runtime.device, self.runtime.dtype)


def evaluation_view(
    pixels: Tensor, augmentation: Augmentation, mean: tuple[float, ...], std: tuple[float, ...], runtime: Runtime
) -> Tensor:
    """Return images as networks see them outside of training: the centre, normalised, on the device.

    Args:
        pixels: Images, shape (B, 3, H, W) uint8, on any device.
        augmentation: Augmentation whose crop and input size apply.
        mean: Mean of each channel, in [0, 1] units.
        std: Standard deviation of each channel, in [0, 1] units, above 0.
        runtime: Device and precision.

    Returns:
        (B, 3, H', W') in the runtime's dtype, channels last.
    """
    return runtime.place_images(normalise(prepare(runtime.send(pixels), augmentation), mean, std))
