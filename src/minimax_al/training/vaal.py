"""Variational Adversarial Active Learning (Sinha, Ebrahimi, Darrell, ICCV 2019): the paper's strongest baseline.

A variational autoencoder maps labelled and unlabelled images into one latent space so that a discriminator
cannot tell them apart; the discriminator tries to. With z the code's mean and D(z) the logit of "labelled",

    VAE:  mean squared error + β KL(q(z|x) ‖ N(0, I)) + adversary_weight · BCE(D(z), 1), on both batches
    D:    BCE(D(z_L), 1) + BCE(D(z_U), 0)

The task model takes no part; it is trained like every other method's.
"""

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from minimax_al.networks import VAE, LatentDiscriminator, vae_loss
from minimax_al.training.epochs import EpochSettings
from minimax_al.training.minimax import labelledness_loss
from minimax_al.training.runtime.runtime import Runtime


class VaalSettings(EpochSettings):
    """Settings of VAAL; an epoch is one pass over the unlabelled images.

    Attributes:
        latent: Width of the latent code.
        widths: Channels of the autoencoder's convolutions; VAAL's own are slow on a CPU.
        beta: Weight of the KL term. The term is a sum over the code and the error a mean over an image's numbers, so
            at 1, the paper's, the code of a small image carries almost no information; about 1 / (3·height·width)
            weighs both as a likelihood of variance 1 does.
        adversary_weight: Weight of the adversarial term in the VAE's loss.
        vae_steps: Number of VAE steps before each step of the discriminator, on the same batches.
    """

    latent: PositiveInt = 32
    widths: tuple[PositiveInt, ...] = (128, 256, 512, 1024)
    beta: NonNegativeFloat = 1.0
    adversary_weight: NonNegativeFloat = 1.0
    vae_steps: PositiveInt = 2


class VaalTraining:
    """VAE and discriminator, one optimiser each.

    Args:
        vae: Autoencoder, from images to reconstruction, mean and log-variance of the code.
        discriminator: Discriminator, from codes to one logit per image.
        settings: Settings of the training.
        runtime: Device and precision.
    """

    def __init__(self, vae: VAE, discriminator: LatentDiscriminator, settings: VaalSettings, runtime: Runtime) -> None:
        self.settings = settings
        self.runtime = runtime
        self.vae = runtime.place(vae)
        self.networks = {"vae": self.vae, "discriminator": runtime.place(discriminator)}
        self.optimizers = {name: settings.build_optimizer(network) for name, network in self.networks.items()}

    def step(self, x_labelled: Tensor, x_unlabelled: Tensor) -> dict[str, Tensor]:
        """Take `vae_steps` steps of the VAE, then one of the discriminator, on one pair of batches.

        Args:
            x_labelled: Labelled images, shape (B, 3, H, W).
            x_unlabelled: Unlabelled images, shape (B', 3, H, W).

        Returns:
            The losses before the last steps: `reconstruction` (with the KL term), `adversary`, `labelledness`.
        """
        images = torch.cat([x_labelled, x_unlabelled])
        for _ in range(self.settings.vae_steps):
            losses = self._vae_step(images)
        return losses | self._discriminator_step(images, len(x_labelled))

    def _vae_step(self, images: Tensor) -> dict[str, Tensor]:
        with self.runtime.autocast():
            reconstruction, mu, logvar = self.networks["vae"](images)
            logits = self.networks["discriminator"](mu)
        dtype = self.runtime.dtype
        own = vae_loss(reconstruction.to(dtype), images, mu.to(dtype), logvar.to(dtype), self.settings.beta)
        # The mean over this rank's images is weighted by their number.
        loss_vae = self.runtime.ranks.mean(own.expand(len(images)))
        # The VAE's target is "labelled" for every image, whatever it is.
        loss_adversary = self.runtime.ranks.mean(F.softplus(-logits.to(dtype)))
        loss = loss_vae + self.settings.adversary_weight * loss_adversary
        self.runtime.descend(loss, self.networks, self.optimizers, ["vae"])
        return {"reconstruction": loss_vae.detach(), "adversary": loss_adversary.detach()}

    def _discriminator_step(self, images: Tensor, labelled: int) -> dict[str, Tensor]:
        with self.runtime.autocast():
            with torch.no_grad():
                mu = self.vae.encode(images)[0]
            logits = self.networks["discriminator"](mu).to(self.runtime.dtype)
        loss = labelledness_loss(logits[:labelled], logits[labelled:], self.runtime.ranks.mean)
        self.runtime.descend(loss, self.networks, self.optimizers, ["discriminator"])
        return {"labelledness": loss.detach()}
