"""What the contestants of `training.py` share: images, networks, a runtime, a plain DataLoader."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2

from minimax_al.data import Augmentation, Dataset, ResidentImages
from minimax_al.loop import ActiveLearner
from minimax_al.training import MinimaxSettings, MinimaxTraining, Models, Recipe, Round, Runtime, RuntimeSettings
from minimax_al.training.build import build_minimax_networks, build_task_model

CLASSES = 10


@dataclass(frozen=True)
class Case:
    """An encoder and the sizes at which it is measured.

    Attributes:
        name: of the case.
        encoder: by name.
        width: of the encoder; None is its default.
        batch: images of each kind a step.
        steps: in one turn.
        pool: images scored in one turn.
        scoring_batch: images a batch of scoring.
        side: of the images, in pixels.
    """

    name: str
    encoder: str
    width: int | None
    batch: int
    steps: int
    pool: int
    scoring_batch: int
    side: int = 32


CASES = {
    case.name: case
    for case in (
        Case("quick", "conv4", 8, 8, 2, 64, 32),
        Case("conv4", "conv4", 64, 128, 4, 4096, 512),
        Case("resnet18", "resnet18", None, 16, 2, 256, 64),
    )
}


class Stage:
    """Images, networks and a runtime that all contestants of a case share."""

    def __init__(self, case: Case, settings: RuntimeSettings, workers: int) -> None:
        self.case, self.workers = case, workers
        generator = torch.Generator().manual_seed(0)
        count = case.pool + 2 * case.batch
        pixels = torch.randint(256, (count, 3, case.side, case.side), generator=generator, dtype=torch.uint8)
        targets = torch.randint(CLASSES, (count,), generator=generator)
        targets[:CLASSES] = torch.arange(CLASSES)
        self.pixels, self.targets = pixels, targets
        images = ResidentImages(pixels)
        recipe = Recipe(
            encoder=case.encoder,
            stem="cifar" if case.encoder.startswith("resnet") else "imagenet",
            width=case.width,
            augmentation=Augmentation(flip=True, pad_crop=4),
            minimax=MinimaxSettings(epochs=1, steps_per_epoch=case.steps, batch_size=case.batch),
            scoring_batch_size=case.scoring_batch,
            runtime=settings,
        )
        names = tuple(f"class {index}" for index in range(CLASSES))
        dataset = Dataset("noise", "classification", names, images, targets, images, targets, (0.5,) * 3, (0.25,) * 3)
        learner = ActiveLearner(dataset, "mal", recipe)
        labelled = torch.arange(2 * case.batch)
        learner.teach(labelled, targets[labelled])
        self.round: Round = learner.round
        self.runtime: Runtime = learner.runtime
        self.settings = recipe.minimax

    def training(self) -> MinimaxTraining:
        """F, C, D and their optimisers, afresh."""
        return MinimaxTraining(*build_minimax_networks(self.round, self.settings), self.settings, self.runtime)

    def models(self) -> Models:
        """F, C, D as they score, with an M that nobody asks."""
        encoder, classifier, discriminator = build_minimax_networks(self.round, self.settings)
        assert discriminator is not None
        self.runtime.place(classifier)
        self.runtime.place(discriminator)
        task_model = self.runtime.place(build_task_model(self.round))
        return Models(task_model, self.runtime.place_encoder(encoder), classifier, discriminator).evaluating()

    def score(self, models: Models, x: Tensor) -> tuple[Tensor, Tensor]:
        """One forward pass of F, C and D: logits of both."""
        assert models.encoder is not None
        assert models.classifier is not None
        assert models.discriminator is not None
        features = models.encoder(x)
        return models.classifier(features), models.discriminator(features)

    def fixed(self, size: int) -> Tensor:
        """Return a batch of normalised images on the device."""
        return next(self.round.feed.plain(self.round.dataset.train, torch.arange(size), size))

    def send(self, images: Tensor) -> Tensor:
        """Move a DataLoader's batch to the device."""
        return images.to(self.runtime.device, self.runtime.dtype, non_blocking=True)

    def loader(self, indices: range, batch: int, transforms: Sequence[Any], *, shuffle: bool) -> DataLoader[Any]:
        """Return the DataLoader of a plain loop, which transforms one image after the other with torchvision."""
        normalising = [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)]
        transform = v2.Compose([*transforms, *normalising])
        images = _Plain(
            self.pixels[indices.start : indices.stop], self.targets[indices.start : indices.stop], transform
        )
        pinned = self.runtime.device.type == "cuda"
        return DataLoader(
            images,
            batch,
            shuffle=shuffle,
            drop_last=shuffle,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=pinned,
        )


class _Plain(TorchDataset[tuple[Tensor, Tensor]]):
    def __init__(self, pixels: Tensor, targets: Tensor, transform: v2.Compose) -> None:
        self.pixels, self.targets, self.transform = pixels, targets, transform

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.pixels[index]), self.targets[index]
