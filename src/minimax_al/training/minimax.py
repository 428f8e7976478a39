"""Minimax Active Learning, Algorithm 1: how the encoder F, the cosine classifier C and the discriminator D learn.

Ebrahimi, Gan, Salahi, Darrell: Minimax Active Learning, 2020. With W the prototypes and T the temperature,

    Eq. 1   L_CE  = −E_(x,y)∼L  log softmax_y( Wᵀ F(x) / (T ‖F(x)‖) )         labelled images
    Eq. 2   L_Ent =  E_x∼U  Σ_k p_k log p_k  = −H,  p = softmax(C(F(x)))       unlabelled images
    Eq. 3   L_BCE = −E_x∼L log σ(D(x)) − E_x∼U log(1 − σ(D(x))),  D(x) = D( F(x) / (T ‖F(x)‖) )

    F minimises L_CE − λ L_Ent      (low entropy: unlabelled features gather around prototypes)
    C minimises L_CE + λ L_Ent      (high entropy: prototypes move towards the unlabelled features)
    D minimises L_BCE               (1 = labelled, 0 = unlabelled)

A gradient reversal layer between F and C gives each its sign in one backward pass. F is an encoder of images, or an
adapter of the features of a frozen encoder; nothing below depends on which.

The paper leaves some choices open. These are the defaults; the setting in parentheses selects the alternative:
    * L_Ent is −H, the only reading under which lines 8 and 9 of Algorithm 1 agree with Eq. 2.
    * C has a bottleneck, whose output is normalised: the paper's parameter counts imply it (`bottleneck=None`
      is Eq. 1 to the letter). The bottleneck learns with F (`reversal="before_bottleneck"`: with C).
    * D reads F's features detached, since line 11 updates θ_D alone (`detach=False`).
    * Each line that updates is an optimiser step of its own (`update="joint"`: one step on the summed loss).
    * An epoch is one pass over the unlabelled images, the labelled ones cycling (`steps_per_epoch`).

F runs once on each batch, and D reads the features of that run. Where lines 6 and 9 are separate steps, two runs of F
are needed: F moves between them, so features of x_U from before the first step have another gradient. In a joint step
one run serves all three losses. With attached features D's gradient needs F's graph, which the steps have freed, so F
runs again.

Departures, each off by default on images (`minimax_on_features` has the values for features):
    * separate learning rates α₁, α₂, α₃ of F, C and D (`encoder_rate`, `classifier_rate`, `discriminator_rate`), as
      Algorithm 1 writes them;
    * prototypes that start as class means of normalised features (`imprint`; the paper's reference [48]);
    * classes without a label are left out of Eq. 1, Eq. 2 and the predictions (`mask_missing`);
    * C minimises the entropy as well (`classifier_entropy="minimise"`): entropy regularisation, the paper's reference
      [24] and the control of the game;
    * cross-entropy alone comes first ("we first train F and C", §3.1; `warmup_steps`);
    * F, C and D start from the last round's ("continually learn all the collected splits", §3.1; `carry_over`);
    * F plays against D as in VAAL ("to generate a mixture of latent features", §3.1; `adversary_weight`);
    * D reads C's bottleneck, or features that are not normalised (`discriminator_input`);
    * consistency under strong augmentation joins the minimax step (`consistency_weight`; training/consistency.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimax_al.training.consistency import consistency_loss
from minimax_al.training.minimax_settings import MinimaxSettings as MinimaxSettings  # noqa: PLC0414 - of Algorithm 1
from minimax_al.training.minimax_settings import minimax_on_features as minimax_on_features  # noqa: PLC0414 - as above
from minimax_al.training.runtime.batch_norm import BATCH_NORM
from minimax_al.training.runtime.ranks import ALONE, Mean
from minimax_al.training.runtime.runtime import Runtime
from minimax_al.vocabulary import IGNORED


def classification_loss(logits: Tensor, targets: Tensor, mean: Mean = ALONE.mean) -> Tensor:
    """Return Eq. 1: cross-entropy, averaged over images, or over the pixels that are not ignored.

    Args:
        logits: Logits, shape (B, K) or (B, K, H, W), already divided by the temperature.
        targets: Classes, shape (B,), or (B, H, W) with 255 for ignored pixels; int64.
        mean: Mean over this batch, or over all ranks' parts of it.

    Returns:
        Scalar, in nats. A batch in which every pixel is ignored has loss 0.
    """
    if targets.ndim == 1:
        return mean(F.cross_entropy(logits, targets, reduction="none"))
    losses = F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none")
    return mean(losses, targets != IGNORED)


def negative_entropy(logits: Tensor, mean: Mean = ALONE.mean) -> Tensor:
    """Return Eq. 2 as Algorithm 1 uses it: Σ_k p_k log p_k = −H, averaged over images, or over pixels.

    Args:
        logits: Logits, shape (B, K) or (B, K, H, W).
        mean: Mean over this batch, or over all ranks' parts of it.

    Returns:
        Scalar in [−log K, 0], in nats.
    """
    log_probs = F.log_softmax(logits, dim=1)
    return mean((log_probs.exp() * log_probs).sum(dim=1))


def labelledness_loss(logits_labelled: Tensor, logits_unlabelled: Tensor, mean: Mean = ALONE.mean) -> Tensor:
    """Return Eq. 3: binary cross-entropy with target 1 for labelled and 0 for unlabelled images.

    Args:
        logits_labelled: D's logits on labelled images, shape (B,).
        logits_unlabelled: D's logits on unlabelled images, shape (B',).
        mean: Mean over each batch, or over all ranks' parts of it.

    Returns:
        Scalar, the sum of the two means, in nats.
    """
    return mean(F.softplus(-logits_labelled)) + mean(F.softplus(logits_unlabelled))


class MinimaxTraining:
    """Algorithm 1: F, C and D, one optimiser each, learning from a labelled and an unlabelled batch at a time.

    Args:
        encoder: Network F, from images to features, or an adapter of features.
        classifier: Network C, from features to logits; `reverse=True` reverses the gradient that reaches F.
        discriminator: Network D, from features to one logit per image; None trains none.
        settings: Settings of the algorithm.
        runtime: Device and precision.
    """

    def __init__(
        self,
        encoder: nn.Module,
        classifier: nn.Module,
        discriminator: nn.Module | None,
        settings: MinimaxSettings,
        runtime: Runtime,
    ) -> None:
        self.settings = settings
        self.runtime = runtime
        self.mean = runtime.ranks.mean
        networks = {"encoder": runtime.place_encoder(encoder), "classifier": runtime.place(classifier)}
        self.networks = (
            networks if discriminator is None else {**networks, "discriminator": runtime.place(discriminator)}
        )
        self.optimizers = {
            name: settings.build_optimizer(network, settings.rate(name)) for name, network in self.networks.items()
        }

    def step(
        self, x_labelled: Tensor, y_labelled: Tensor, x_unlabelled: Tensor, x_strong: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Run lines 2–11 of Algorithm 1 on one pair of batches.

        Args:
            x_labelled: Labelled images, shape (B, 3, H, W), or features, shape (B, d).
            y_labelled: Their classes, shape (B,), or masks, shape (B, H, W); int64.
            x_unlabelled: Unlabelled images, shape (B', 3, H, W), or features, shape (B', d).
            x_strong: Strongly augmented copies of the unlabelled images, for the consistency term.

        Returns:
            The losses before the step: `classification` and `entropy` (+H) in nats, `labelledness`, and with x_strong
            `consistency` and the share of images that it counted, `confident`; with D against F its `adversary`.
        """
        if not self.settings.learns_from_unlabelled:
            losses, features = self._supervised_step(x_labelled, y_labelled, x_unlabelled)
        elif self.settings.update == "joint":
            losses, features = self._joint_step(x_labelled, y_labelled, x_unlabelled, x_strong)
        else:
            losses, features = self._alternating_step(x_labelled, y_labelled, x_unlabelled, x_strong)
        if "discriminator" in self.networks:
            if self.settings.adversary_weight > 0:
                losses["adversary"], features = self._adversary_step(x_labelled, x_unlabelled)
            elif not self.settings.detach:
                features = self._encode(x_labelled), self._encode(x_unlabelled)
            losses |= self._discriminator_step(*features)
        return losses

    def _alternating_step(
        self, x_labelled: Tensor, y_labelled: Tensor, x_unlabelled: Tensor, x_strong: Tensor | None
    ) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
        """Run lines 4–6, then 7–9."""
        features_labelled = self._encode(x_labelled)
        loss_ce = classification_loss(self._classify(features_labelled, x_labelled), y_labelled, self.mean)
        self._descend(loss_ce, "encoder", "classifier")

        features_unlabelled, *features_strong = self._encode_each(x_unlabelled, x_strong)
        loss, losses = self._unlabelled_loss(x_unlabelled, features_unlabelled, *features_strong)
        self._descend(loss, "encoder", "classifier")

        losses = {"classification": loss_ce.detach(), **losses}
        return losses, (features_labelled.detach(), features_unlabelled.detach())

    def _joint_step(
        self, x_labelled: Tensor, y_labelled: Tensor, x_unlabelled: Tensor, x_strong: Tensor | None
    ) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
        """Run lines 4–9 as one step: batch norm sees all batches together, the optimisers the summed gradient."""
        features_labelled, features_unlabelled, *features_strong = self._encode_each(x_labelled, x_unlabelled, x_strong)
        loss_ce = classification_loss(self._classify(features_labelled, x_labelled), y_labelled, self.mean)
        loss, losses = self._unlabelled_loss(x_unlabelled, features_unlabelled, *features_strong)
        self._descend(loss_ce + loss, "encoder", "classifier")
        losses = {"classification": loss_ce.detach(), **losses}
        return losses, (features_labelled.detach(), features_unlabelled.detach())

    def _unlabelled_loss(
        self, x_unlabelled: Tensor, features: Tensor, features_strong: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of F and C on unlabelled images: the entropy term and, if set, consistency."""
        game = self.settings.classifier_entropy == "maximise"
        logits = self._classify(features, x_unlabelled, reverse=game)
        loss_ent = negative_entropy(logits, self.mean)
        # Through the reversal C descends λ L_Ent and F ascends it; without it both descend −λ L_Ent = λ H.
        weight = self.settings.entropy_weight if game else -self.settings.entropy_weight
        loss, losses = weight * loss_ent, {"entropy": -loss_ent.detach()}
        if features_strong is None:
            return loss, losses
        logits_strong = self._classify(features_strong, x_unlabelled)
        agree, confident = consistency_loss(logits, logits_strong, self.settings.consistency_threshold, self.mean)
        losses |= {"consistency": agree.detach(), "confident": confident}
        return loss + self.settings.consistency_weight * agree, losses

    def _supervised_step(
        self, x_labelled: Tensor, y_labelled: Tensor, x_unlabelled: Tensor
    ) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
        """Run lines 4–6 alone: with λ = 0 neither F nor C may depend on an unlabelled image, statistics included."""
        loss_ce, features_labelled = self.learn_labels(x_labelled, y_labelled)
        losses = {"classification": loss_ce}
        if "discriminator" not in self.networks:
            return losses, (features_labelled, features_labelled)
        with torch.no_grad(), frozen_statistics(self.networks["encoder"]):
            features_unlabelled = self._encode(x_unlabelled)
        return losses, (features_labelled, features_unlabelled)

    def learn_labels(self, x_labelled: Tensor, y_labelled: Tensor) -> tuple[Tensor, Tensor]:
        """Run lines 4–6; return Eq. 1 before the step, and the features, detached."""
        features = self._encode(x_labelled)
        loss_ce = classification_loss(self._classify(features, x_labelled), y_labelled, self.mean)
        self._descend(loss_ce, "encoder", "classifier")
        return loss_ce.detach(), features.detach()

    def _adversary_step(self, x_labelled: Tensor, x_unlabelled: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Move F so that D classifies every image as labelled, as in VAAL; return the loss and the features."""
        features = self._encode_each(x_labelled, x_unlabelled)
        logits = [self._forward("discriminator", self._seen_by_d(each)) for each in features]
        loss = sum((self.mean(F.softplus(-each)) for each in logits), start=torch.zeros_like(logits[0].sum()))
        self._descend(self.settings.adversary_weight * loss, "encoder")
        return loss.detach(), (features[0].detach(), features[1].detach())

    def _discriminator_step(self, features_labelled: Tensor, features_unlabelled: Tensor) -> dict[str, Tensor]:
        """Run lines 10–11; with attached features F follows D's loss too."""
        logits_labelled, logits_unlabelled = (
            self._forward("discriminator", self._seen_by_d(features))
            for features in (features_labelled, features_unlabelled)
        )
        loss_d = labelledness_loss(logits_labelled, logits_unlabelled, self.mean)
        self._descend(loss_d, "discriminator", *([] if self.settings.detach else ["encoder"]))
        return {"labelledness": loss_d.detach()}

    def _seen_by_d(self, features: Tensor) -> Tensor:
        """Return D's input: features, or the output of C's bottleneck."""
        return discriminator_inputs(self.networks["discriminator"], self.networks["classifier"], features)

    def _encode_each(self, *batches: Tensor | None) -> tuple[Tensor, ...]:
        """Return features of several batches from one run of F; None is left out."""
        given = [batch for batch in batches if batch is not None]
        features = self._encode(torch.cat(given) if len(given) > 1 else given[0])
        return tuple(features.split([len(batch) for batch in given]))

    def _encode(self, images: Tensor) -> Tensor:
        return self._forward("encoder", images)

    def _classify(self, features: Tensor, x: Tensor, *, reverse: bool = False) -> Tensor:
        return self._forward("classifier", features, reverse=reverse, size=image_size(x))

    def _forward(self, name: str, inputs: Tensor, **options: Any) -> Tensor:  # noqa: ANN401 - each network's own
        with self.runtime.autocast():
            outputs: Tensor = self.networks[name](inputs, **options)
        return outputs.to(self.runtime.dtype)

    def _descend(self, loss: Tensor, *names: str) -> None:
        """Take one optimiser step of the named networks on a loss."""
        self.runtime.descend(loss, self.networks, self.optimizers, names)


class WarmUp:
    """F and C learning from labelled images alone, before the game and with its optimisers.

    Args:
        training: Training of the game.
    """

    def __init__(self, training: MinimaxTraining) -> None:
        self.training = training
        self.networks = {name: training.networks[name] for name in ("encoder", "classifier")}
        self.optimizers = {name: training.optimizers[name] for name in ("encoder", "classifier")}

    def step(self, x_labelled: Tensor, y_labelled: Tensor) -> dict[str, Tensor]:
        """Run lines 2–6 of Algorithm 1 on one labelled batch."""
        return {"classification": self.training.learn_labels(x_labelled, y_labelled)[0]}


def discriminator_inputs(discriminator: nn.Module, classifier: nn.Module, features: Tensor) -> Tensor:
    """Return the vectors that D reads: F's features, or the output of C's bottleneck.

    Args:
        discriminator: Network D.
        classifier: Network C.
        features: F's features, shape (B, d) or (B, d, h, w).
    """
    if getattr(discriminator, "reads", "features") != "bottleneck":
        return features
    bottleneck = classifier.bottleneck
    assert isinstance(bottleneck, nn.Module)
    narrowed: Tensor = bottleneck(features)
    return narrowed.to(features.dtype)


def image_size(x: Tensor) -> tuple[int, int] | None:
    """Return (H, W) of a batch of images (B, 3, H, W); None for feature vectors (B, d)."""
    return (x.shape[2], x.shape[3]) if x.ndim == 4 else None


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Let batch norm normalise by the batch inside the block without remembering the batch."""
    layers = [module for module in network.modules() if isinstance(module, BATCH_NORM) and module.track_running_stats]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True
