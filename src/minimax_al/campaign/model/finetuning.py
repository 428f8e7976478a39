"""Fine-tuning: the pretrained encoder is trained whole, starting from the head on its frozen features.

LP-FT (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution"): a head
that is fitted first keeps the first steps of fine-tuning from distorting the features.

Batch norm keeps the statistics of the pretraining. Those of small batches differ, so the fitted head would see other
features than it was fitted to: on Caltech-101 with 100 labels that costs 32 points of accuracy.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.features.recipes import load_source, read_recipe
from minimax_al.campaign.features.training_data import LabelledImage
from minimax_al.data import Augmentation, Dataset
from minimax_al.errors import ConfigurationError
from minimax_al.networks import TaskModel
from minimax_al.networks.preprocessing import Preprocessing
from minimax_al.training import Recipe, Round, Runtime, TaskSettings
from minimax_al.training.extraction.preprocessed_images import PreprocessedImages
from minimax_al.training.runtime.batch_norm import BATCH_NORM
from minimax_al.training.task import TaskTraining
from minimax_al.vocabulary import Progress

SETTINGS = TaskSettings(epochs=12, learning_rate=1e-4, batch_size=32, schedule="cosine", weight_decay=1e-4)
"""Training of the whole network: a small rate, since it starts close to a good solution."""


def finetuned_model(
    context: CampaignContext,
    class_names: Sequence[str],
    labelled: Sequence[LabelledImage],
    head_on_features: TaskModel,
    progress: Progress | None = None,
) -> TaskModel:
    """Train the pretrained encoder and the head on labelled images.

    Args:
        context: Campaign that learns on features.
        class_names: Classes, in the order of the logits.
        labelled: Labelled images to train on.
        head_on_features: Head that was fitted to the features of the same labels; it is not changed.
        progress: Callback of finished epochs.

    Returns:
        Network from normalised images to logits, in evaluation mode on the CPU.

    Raises:
        ConfigurationError: The campaign does not learn on features.
        UnreadableImageError: An image cannot be read any more.
    """
    if context.settings.features is None:
        raise ConfigurationError(
            "fine-tuning starts from the features of a pretrained encoder: choose the recipe 'features' first, or "
            "train with the recipe 'finetune'"
        )
    encoder = load_source(context.settings.features)
    round_ = _round_of(context, _dataset_of(context, class_names, labelled, encoder.preprocessing), progress)
    model = whole_model(encoder.network, len(class_names), head_on_features)
    training = FineTuning(model, SETTINGS, round_.runtime)

    def batches(epoch: int, steps: int) -> Iterator[tuple[Tensor, ...]]:
        return round_.labelled_batches("finetune", SETTINGS.batch_size, epoch, steps)

    round_.train("finetune", training, SETTINGS, steps=SETTINGS.steps(len(labelled)), batches=batches)
    return model.cpu().eval()


def _dataset_of(
    context: CampaignContext,
    class_names: Sequence[str],
    labelled: Sequence[LabelledImage],
    preprocessing: Preprocessing,
) -> Dataset:
    """Return the labelled images as an encoder sees them, as a data set without test images."""
    paths = [known.path for known in labelled]
    images = PreprocessedImages([context.images / path for path in paths], paths, preprocessing)
    nothing = torch.empty(0, dtype=torch.int64)
    return Dataset(
        name="campaign",
        task="classification",
        class_names=tuple(class_names),
        train=images,
        train_targets=torch.tensor([known.target for known in labelled]),
        test=images.subset(nothing),
        test_targets=nothing,
        mean=preprocessing.mean,
        std=preprocessing.std,
    )


def _round_of(context: CampaignContext, dataset: Dataset, progress: Progress | None) -> Round:
    """Return a round in which all training images of a data set have labels."""
    recipe = Recipe(augmentation=Augmentation(flip=True), task=SETTINGS, runtime=read_recipe(context.settings).runtime)
    return Round(
        dataset=dataset,
        targets=dataset.train_targets,
        labelled=torch.arange(len(dataset.train_targets)),
        unlabelled=torch.empty(0, dtype=torch.int64),
        recipe=recipe,
        runtime=Runtime(recipe.runtime),
        seed=context.settings.seed,
        progress=progress,
    )


class FineTuning(TaskTraining):
    """Training of a whole pretrained network, whose batch norm normalises by the statistics of the pretraining."""

    def step(self, x_labelled: Tensor, y_labelled: Tensor) -> dict[str, Tensor]:
        """Learn from one batch.

        Args:
            x_labelled: Labelled images, shape (B, 3, H, W).
            y_labelled: Classes, shape (B,) int64.

        Returns:
            The `classification` loss before the step, in nats.
        """
        for layer in self.networks["task_model"].modules():  # `train()` of the whole network switched them on
            if isinstance(layer, BATCH_NORM):
                layer.eval()
        return super().step(x_labelled, y_labelled)


def whole_model(encoder: nn.Module, classes: int, head_on_features: TaskModel) -> TaskModel:
    """Return the encoder with a copy of a head on its features, as one network on images.

    Args:
        encoder: Pretrained encoder, which is not copied.
        classes: Number of classes.
        head_on_features: Adapter and head.
    """
    head = nn.Sequential(deepcopy(head_on_features.encoder), deepcopy(head_on_features.head))
    head.requires_grad_(requires_grad=True)
    return TaskModel(encoder, classes, head=head)  # type: ignore[arg-type]


def logits_of_images(model: nn.Module, context: CampaignContext, paths: Sequence[str]) -> Tensor:
    """Return a fine-tuned network's logits of images, shape (n, K) float32.

    Args:
        model: Network from normalised images to logits.
        context: Campaign that learns on features.
        paths: Paths relative to the folder of images.
    """
    assert context.settings.features is not None
    preprocessing = load_source(context.settings.features).preprocessing
    images = PreprocessedImages([context.images / path for path in paths], paths, preprocessing)
    batches = images.stream(torch.arange(len(paths)).split(64))
    with torch.inference_mode():
        return torch.cat([model(preprocessing.normalise(pixels.permute(0, 2, 3, 1))).float() for pixels in batches])
