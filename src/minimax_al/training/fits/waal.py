"""Wasserstein adversarial active learning (Shui, Zhou, Gagné and Wang, AISTATS 2020).

A critic g ∈ (0, 1) of features estimates the Wasserstein distance between labelled and unlabelled images, and the
encoder makes it small. With γ = L / U, the ratio of labelled to unlabelled images,

    encoder, classifier:  L_CE + μ · W          W = E_x∼U g(F(x)) − γ · E_x∼L g(F(x))
    critic:               −W + ρ · E (‖∇g‖ − 1)²   at labelled, unlabelled and mixed features

The authors' program adds the penalty with the other sign in the critic's step; here the critic descends it, as in the
paper. Steps, batches and learning rates are those of Algorithm 1 in the recipe, so both trainings are equal work. On
features the encoder is the adapter and the classifier has cosine prototypes; the head M is fitted on the adapter.
"""

from collections.abc import Iterator
from copy import deepcopy

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeFloat
from torch import Tensor, nn

from minimax_al.networks import CosineClassifier, Encoder, LatentDiscriminator, TaskModel, initialise_xavier
from minimax_al.training.build import build_minimax_networks, build_task_model, imprint_prototypes, library_draws
from minimax_al.training.fits.fits import check_labels, fit_supervised, labelled_unlabelled
from minimax_al.training.heads.feature_fits import fit_head
from minimax_al.training.minimax import MinimaxSettings, classification_loss
from minimax_al.training.models import Models
from minimax_al.training.round import Round
from minimax_al.training.runtime.runtime import Runtime


class WaalSettings(BaseModel):
    """Settings of the adversarial part; the defaults are those of the authors' program.

    Attributes:
        adversary_weight: Weight μ of the distance in the encoder's loss.
        gradient_penalty: Weight ρ of the penalty in the critic's loss.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    adversary_weight: NonNegativeFloat = 2e-3
    gradient_penalty: NonNegativeFloat = 2.0


class WaalTraining:
    """Encoder, classifier and critic, one optimiser each.

    Args:
        encoder: Network F.
        classifier: Network from features to logits.
        critic: Network from features to one logit per image.
        ratio: Ratio γ of labelled to unlabelled images.
        settings: Settings of the adversarial part.
        epochs: Epochs, batches and learning rates.
        runtime: Device and precision.
    """

    def __init__(
        self,
        encoder: Encoder,
        classifier: nn.Module,
        critic: LatentDiscriminator,
        *,
        ratio: float,
        settings: WaalSettings,
        epochs: MinimaxSettings,
        runtime: Runtime,
    ) -> None:
        self.settings, self.ratio, self.runtime = settings, ratio, runtime
        self.networks: dict[str, nn.Module] = {
            "encoder": runtime.place_encoder(encoder),
            "classifier": runtime.place(classifier),
            "critic": runtime.place(critic),
        }
        rates = {"encoder": "encoder", "classifier": "classifier", "critic": "discriminator"}
        self.optimizers = {
            name: epochs.build_optimizer(self.networks[name], epochs.rate(rate)) for name, rate in rates.items()
        }

    def step(self, x_labelled: Tensor, y_labelled: Tensor, x_unlabelled: Tensor) -> dict[str, Tensor]:
        """Take a step of encoder and classifier, then one of the critic, on one pair of batches.

        Args:
            x_labelled: Labelled images, shape (B, 3, H, W), or features, shape (B, d).
            y_labelled: Classes, shape (B,) int64.
            x_unlabelled: Unlabelled images or features.

        Returns:
            The losses before the steps: `classification`, the `distance` W, and the critic's `penalty`.
        """
        mean, dtype = self.runtime.ranks.mean, self.runtime.dtype
        with self.runtime.autocast():
            features = self.networks["encoder"](torch.cat([x_labelled, x_unlabelled])).to(dtype)
            labelled, unlabelled = features.split([len(x_labelled), len(x_unlabelled)])
            logits = self.networks["classifier"](labelled).to(dtype)
        loss_ce = classification_loss(logits, y_labelled, mean)
        distance = self._distance(labelled, unlabelled)
        loss = loss_ce + self.settings.adversary_weight * distance
        self.runtime.descend(loss, self.networks, self.optimizers, ["encoder", "classifier"])

        labelled, unlabelled = labelled.detach(), unlabelled.detach()
        penalty = mean(self._penalties(labelled, unlabelled))
        loss_critic = self.settings.gradient_penalty * penalty - self._distance(labelled, unlabelled)
        self.runtime.descend(loss_critic, self.networks, self.optimizers, ["critic"])
        return {
            "classification": loss_ce.detach(),
            "distance": distance.detach(),
            "penalty": penalty.detach(),
        }

    def _distance(self, labelled: Tensor, unlabelled: Tensor) -> Tensor:
        mean = self.runtime.ranks.mean
        return mean(self._critic(unlabelled)) - self.ratio * mean(self._critic(labelled))

    def _penalties(self, labelled: Tensor, unlabelled: Tensor) -> Tensor:
        """Return (‖∇g‖ − 1)² at labelled, unlabelled and mixed features."""
        pairs = min(len(labelled), len(unlabelled))
        share = torch.rand(pairs, 1, dtype=labelled.dtype, device=labelled.device)
        mixed = unlabelled[:pairs] + share * (labelled[:pairs] - unlabelled[:pairs])
        points = torch.cat([mixed, unlabelled, labelled]).requires_grad_()
        (gradient,) = torch.autograd.grad(self._critic(points).sum(), points, create_graph=True)
        # Without the small number the derivative of a norm of 0 is NaN.
        return ((gradient.square().sum(dim=1) + 1e-12).sqrt() - 1).square()

    def _critic(self, features: Tensor) -> Tensor:
        found: Tensor = self.networks["critic"](features)
        return found.sigmoid()


def fit_waal(round_: Round, settings: WaalSettings | None = None) -> Models:
    """Train M against a critic of labelled and unlabelled features.

    Args:
        round_: Round with labels and recipe.
        settings: Settings of the adversarial part; default those of the authors' program.

    Returns:
        M and the `critic` among `others`, in evaluation mode; M alone where nothing is unlabelled.

    Raises:
        DataError: The labels cannot be trained on.
    """
    check_labels(round_)
    if len(round_.unlabelled) == 0:
        return fit_supervised(round_)
    settings, epochs = settings or WaalSettings(), round_.minimax
    encoder, classifier = _networks(round_, epochs)
    with library_draws(round_):
        critic = LatentDiscriminator(encoder.out_features)
    initialise_xavier(critic, round_.generator("initialise", "critic"))
    ratio = len(round_.labelled) / len(round_.unlabelled)
    training = WaalTraining(
        encoder, classifier, critic, ratio=ratio, settings=settings, epochs=epochs, runtime=round_.runtime
    )
    if epochs.imprint and isinstance(classifier, CosineClassifier):
        imprint_prototypes(round_, encoder, classifier)

    def batches(epoch: int, steps: int) -> Iterator[tuple[Tensor, ...]]:
        return labelled_unlabelled(round_, "waal", epochs.batch_size, epoch, steps)

    steps = epochs.steps(len(round_.unlabelled))
    history = round_.train("waal", training, epochs, steps=steps, batches=batches)
    if round_.dataset.sample == "features":
        head = fit_head(round_, encoder=deepcopy(encoder))
        task_model, histories = head.task_model, {"waal": history, **head.history}
    else:
        task_model, histories = TaskModel(encoder, round_.dataset.num_classes, head=classifier), {"waal": history}
    return Models(task_model, others={"critic": critic}, history=histories).evaluating()


def _networks(round_: Round, epochs: MinimaxSettings) -> tuple[Encoder, nn.Module]:
    """Return encoder and classifier: those of M on images, F and C of Algorithm 1 on features."""
    if round_.dataset.sample == "features":
        encoder, classifier, _ = build_minimax_networks(round_, epochs.model_copy(update={"discriminator": False}))
        return encoder, classifier
    model = build_task_model(round_)
    return model.encoder, model.head
