"""A round's images as batches on the device: augmented for training, plain for scoring."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minimax_al.data import (
    Augmentation,
    Dataset,
    Images,
    Part,
    augment,
    epoch_batches,
    normalise,
    prepare,
    strongly_augment,
)
from minimax_al.training.runtime import Runtime


@dataclass(frozen=True)
class Feed:
    """Turns indices into batches of normalised images on the runtime's device.

    Where several ranks share the run, a batch of training is this rank's part of it: sizes below are of the whole.

    Attributes:
        dataset: where the images are.
        augmentation: what training does to them.
        runtime: where they go.
    """

    dataset: Dataset
    augmentation: Augmentation
    runtime: Runtime

    def labelled(
        self, indices: Tensor, targets: Tensor, batch_size: int, steps: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """`steps` augmented batches of images and targets, cycling through the labelled images.

        Args:
            indices: the labelled images, (L,) int64.
            targets: of the whole training set, (N,) int64 or (N, H, W) uint8.
            batch_size: images a batch; fewer where there are fewer labelled images.
            steps: batches.
            generator: decides order and augmentation.
        """
        batches, part = self._own_batches(indices, batch_size, steps, generator)
        for batch, pixels in zip(batches, self.dataset.train.stream(batches), strict=True):
            pixels_here, targets_here = self.runtime.send(pixels), self.runtime.send(targets[batch])
            if self.dataset.task == "segmentation":
                pixels_here, targets_here = augment(pixels_here, self.augmentation, generator, targets_here, part=part)
            else:
                pixels_here = augment(pixels_here, self.augmentation, generator, part=part)
            yield self._images(pixels_here), targets_here.long()

    def unlabelled(self, indices: Tensor, batch_size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
        """`steps` augmented batches of images, (B, 3, H, W), cycling through the unlabelled ones."""
        batches, part = self._own_batches(indices, batch_size, steps, generator)
        for pixels in self.dataset.train.stream(batches):
            yield self._images(augment(self.runtime.send(pixels), self.augmentation, generator, part=part))

    def unlabelled_twice(
        self, indices: Tensor, batch_size: int, steps: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """`unlabelled`, each batch with a strongly changed copy of itself."""
        batches, part = self._own_batches(indices, batch_size, steps, generator)
        for pixels in self.dataset.train.stream(batches):
            weak = augment(self.runtime.send(pixels), self.augmentation, generator, part=part)
            strong = strongly_augment(weak, generator, part=part)
            yield self._images(weak), self._images(strong)

    def plain(self, images: Images, indices: Tensor, batch_size: int) -> Iterator[Tensor]:
        """The images at `indices` in order, without augmentation, (B, 3, H, W)."""
        batches: Sequence[Tensor] = indices.split(batch_size) if len(indices) else []
        for pixels in images.stream(batches):
            yield seen(pixels, self.augmentation, self.dataset.mean, self.dataset.std, self.runtime)

    def _own_batches(
        self, indices: Tensor, batch_size: int, steps: int, generator: torch.Generator
    ) -> tuple[list[Tensor], Part]:
        """This rank's part of every batch of an epoch, drawn alike on all ranks."""
        batches = epoch_batches(indices, batch_size, steps, generator)
        part = self.runtime.ranks.part(len(batches[0]))
        return [part.of(batch) for batch in batches], part

    def _images(self, pixels: Tensor) -> Tensor:
        return self.runtime.place_images(normalise(pixels, self.dataset.mean, self.dataset.std))


def seen(
    pixels: Tensor, augmentation: Augmentation, mean: tuple[float, ...], std: tuple[float, ...], runtime: Runtime
) -> Tensor:
    """Images as networks see them where nothing is trained: the centre, normalised, on the device.

    Args:
        pixels: (B, 3, H, W) uint8, wherever they lie.
        augmentation: its crop and its size.
        mean: of each channel, in [0, 1] units.
        std: of each channel, in [0, 1] units, above 0.
        runtime: where they go.

    Returns:
        (B, 3, H', W') in the runtime's dtype, channels last.
    """
    return runtime.place_images(normalise(prepare(runtime.send(pixels), augmentation), mean, std))
