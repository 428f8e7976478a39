"""Learning loss (Yoo and Kweon, "Learning Loss for Active Learning", CVPR 2019): a module predicts each image's loss.

The module reads several levels of the task model's encoder. In a batch, images i and j of losses l_i and l_j form a
pair with

    Eq. 2   max(0, −sign(l_i − l_j) · (l̂_i − l̂_j) + ξ)

so that the module learns the order of losses, whose scale falls during training. The task model minimises cross-entropy
plus λ times the mean over pairs; after a share of the epochs the module's gradient stops at the encoder.

On features of a frozen encoder the head is fitted to its optimum, where its own labels have almost no loss. There
the module learns from out-of-fold losses of the labels, and reads the features, of length 1, and the probabilities.
"""

from collections.abc import Iterator
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from minimax_al.data import epoch_batches
from minimax_al.networks import LossPrediction, encoder_levels, initialise_xavier, l2_normalise
from minimax_al.training.build import AnyTaskModel, build_task_model, library_draws
from minimax_al.training.epochs import EpochSettings
from minimax_al.training.fits.best_pass import with_best_pass
from minimax_al.training.fits.fits import check_labels, fit_supervised
from minimax_al.training.heads.out_of_fold import fold_of_labels, out_of_fold
from minimax_al.training.minimax import image_size
from minimax_al.training.models import Models, Outputs
from minimax_al.training.round import Round
from minimax_al.training.runtime.ranks import Mean
from minimax_al.training.runtime.runtime import Runtime
from minimax_al.training.task import TaskSettings
from minimax_al.vocabulary import IGNORED


class LearningLossSettings(BaseModel):
    """Settings of the loss prediction module; the defaults are the paper's.

    Attributes:
        weight: Weight λ of the ranking loss.
        margin: Margin ξ of the ranking loss.
        hidden: Width of the layer of each level.
        attached: Share of the epochs in which the ranking loss also moves the encoder; the paper's 120 of 200.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: NonNegativeFloat = 1.0
    margin: PositiveFloat = 1.0
    hidden: PositiveInt = 128
    attached: Annotated[float, Field(ge=0, le=1)] = 0.6


ON_FEATURES = EpochSettings(epochs=20, steps_per_epoch=10, batch_size=64, learning_rate=1e-3)
"""Epochs of the module where samples are features."""


def ranking_loss(predicted: Tensor, losses: Tensor, margin: float, mean: Mean) -> Tensor:
    """Return Eq. 2, averaged over the pairs of first and last, second and last but one, … image.

    Args:
        predicted: Predicted losses, shape (B,).
        losses: True losses, shape (B,); no gradient flows to them.
        margin: Margin ξ.
        mean: Mean over this batch, or over all ranks' parts of it.
    """
    pairs = len(predicted) // 2
    # +1 where the first image of a pair has the higher loss, −1 where the second has it.
    higher = (losses - losses.flip(0))[:pairs].detach().sign()
    differences = (predicted - predicted.flip(0))[:pairs]
    hinges = F.relu(margin - higher * differences)
    # 0 without a pair, as in a batch of one image. Every rank calls it, since it may be a collective.
    return mean(hinges)


class LearningLossTraining:
    """Task model and loss prediction module, one optimiser each, learning from a labelled batch at a time."""

    def __init__(
        self,
        task_model: AnyTaskModel,
        module: LossPrediction,
        settings: LearningLossSettings,
        epochs: TaskSettings,
        runtime: Runtime,
    ) -> None:
        self.settings, self.runtime = settings, runtime
        self.task_model, self.module = runtime.place(task_model), runtime.place(module)
        self.networks: dict[str, nn.Module] = {"task_model": self.task_model, "loss_prediction": self.module}
        self.optimizers = {name: epochs.build_optimizer(network) for name, network in self.networks.items()}

    def step(self, x_labelled: Tensor, y_labelled: Tensor, attached: Tensor) -> dict[str, Tensor]:
        """Take one step on the classification loss plus λ times the ranking loss.

        Args:
            x_labelled: Labelled images, shape (B, 3, H, W).
            y_labelled: Classes, shape (B,), or masks, shape (B, H, W); int64.
            attached: Whether the ranking loss moves the encoder, shape () bool, on the CPU.
        """
        mean, dtype = self.runtime.ranks.mean, self.runtime.dtype
        with self.runtime.autocast():
            levels, features = encoder_levels(self.task_model.encoder, x_labelled)
            logits = self.task_model.classify(features, size=image_size(x_labelled)).to(dtype)
            predicted = self.module([level if attached else level.detach() for level in levels]).to(dtype)
        losses = image_losses(logits, y_labelled)
        loss_task, loss_order = mean(losses), ranking_loss(predicted, losses, self.settings.margin, mean)
        self.runtime.descend(
            loss_task + self.settings.weight * loss_order, self.networks, self.optimizers, list(self.networks)
        )
        return {"classification": loss_task.detach(), "ranking": loss_order.detach()}


class LossOrderTraining:
    """Loss prediction module alone, learning from features whose losses are known."""

    def __init__(
        self, module: LossPrediction, settings: LearningLossSettings, epochs: EpochSettings, runtime: Runtime
    ) -> None:
        self.settings, self.runtime = settings, runtime
        self.networks: dict[str, nn.Module] = {"loss_prediction": runtime.place(module)}
        self.optimizers = {"loss_prediction": epochs.build_optimizer(module)}

    def step(self, features: Tensor, probabilities: Tensor, losses: Tensor) -> dict[str, Tensor]:
        """Take one step on the ranking loss."""
        predicted = self.networks["loss_prediction"]([features, probabilities])
        loss = ranking_loss(predicted, losses, self.settings.margin, self.runtime.ranks.mean)
        self.runtime.descend(loss, self.networks, self.optimizers, ["loss_prediction"])
        return {"ranking": loss.detach()}


def image_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each image, (B,); in segmentation the mean over its pixels that are not void."""
    if targets.ndim == 1:
        return F.cross_entropy(logits, targets, reduction="none")
    losses = F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none").flatten(1)
    return losses.sum(dim=1) / (targets != IGNORED).flatten(1).sum(dim=1).clamp_min(1)


def fit_learning_loss(round_: Round, settings: LearningLossSettings | None = None) -> Models:
    """Train M and the loss prediction module.

    Args:
        round_: Round with labels and recipe; M takes the steps of `recipe.task`.
        settings: Settings of the module; default the paper's.

    Returns:
        M and the module `loss_prediction` among `others`, in evaluation mode.

    Raises:
        DataError: The labels cannot be trained on.
    """
    check_labels(round_)
    settings = settings or LearningLossSettings()
    if round_.dataset.sample == "features":
        return _fit_on_features(round_, settings)
    task_model, epochs = build_task_model(round_), round_.recipe.task
    training = LearningLossTraining(
        task_model, _module_for_images(round_, task_model, settings), settings, epochs, round_.runtime
    )

    def batches(epoch: int, steps: int) -> Iterator[tuple[Tensor, ...]]:
        attached = torch.tensor(epoch < settings.attached * len(epochs.plan(whole)))
        labelled = round_.labelled_batches("task", epochs.batch_size, epoch, steps)
        return ((x, y, attached) for x, y in labelled)

    whole = epochs.steps(len(round_.labelled))
    chosen = with_best_pass(round_, training, task_model)
    history = round_.train("task", chosen, epochs, steps=whole, batches=batches)
    chosen.keep_best()
    others = {"loss_prediction": training.module}
    return Models(training.task_model, others=others, history={"task": history}).evaluating()


def predicted_losses(models: Models, outputs: Outputs) -> Tensor:
    """Return the predicted loss of each image of a batch, (B,)."""
    module = models.others["loss_prediction"]
    if outputs.images.ndim == 2:
        levels = [l2_normalise(outputs.features), outputs.logits.softmax(dim=1)]
    else:
        levels, _ = encoder_levels(models.task_model.encoder, outputs.images)
    predicted: Tensor = module(levels)
    return predicted.to(outputs.logits.dtype)


def _module_for_images(round_: Round, task_model: AnyTaskModel, settings: LearningLossSettings) -> LossPrediction:
    """Build the module for the levels that the encoder has at the images' size."""
    (x,) = round_.feed.plain(round_.dataset.train, round_.labelled[:1], 1)
    with torch.no_grad():
        levels, _ = encoder_levels(round_.runtime.place(task_model.encoder).eval(), x)
    return _module(round_, [level.shape[1] for level in levels], settings)


def _module(round_: Round, widths: list[int], settings: LearningLossSettings) -> LossPrediction:
    with library_draws(round_):
        module = LossPrediction(widths, settings.hidden)
    initialise_xavier(module, round_.generator("initialise", "loss prediction"))
    return module


def _fit_on_features(round_: Round, settings: LearningLossSettings) -> Models:
    models = fit_supervised(round_)
    groups = torch.arange(len(round_.labelled))
    found = out_of_fold(round_, fit_supervised, fold_of_labels(round_, groups))
    # Where each class has one label, no fold can be held out: the head's own losses are all there is.
    known = round_.labelled[found.positions] if len(found.positions) > 1 else round_.labelled

    def levels(x: Tensor) -> dict[str, Tensor]:
        outputs = models.task_outputs(x)
        return {"features": l2_normalise(outputs.features), "logits": outputs.logits}

    inputs = round_.stream(levels, known)
    features, probabilities = inputs["features"], inputs["logits"].softmax(dim=1)
    logits = found.logits if len(found.positions) > 1 else inputs["logits"]
    losses = F.cross_entropy(logits, round_.targets[known].long(), reduction="none").to(features.dtype)
    module = _module(round_, [features.shape[1], probabilities.shape[1]], settings)
    training = LossOrderTraining(module, settings, ON_FEATURES, round_.runtime)

    def batches(epoch: int, steps: int) -> Iterator[tuple[Tensor, ...]]:
        generator = round_.generator("loss prediction", epoch)
        for batch in epoch_batches(torch.arange(len(known)), ON_FEATURES.batch_size, steps, generator):
            own = round_.runtime.ranks.part(len(batch)).of(batch)
            values = (features[own], probabilities[own], losses[own])
            yield tuple(round_.runtime.send(value) for value in values)

    steps = ON_FEATURES.steps(len(known))
    history = round_.train("loss prediction", training, ON_FEATURES, steps=steps, batches=batches)
    others = {"loss_prediction": module}
    return Models(models.task_model, others=others, history={**models.history, "loss prediction": history}).evaluating()
