"""Autoencoder of VAAL and discriminator on its latent code.

Sinha, Ebrahimi and Darrell, "Variational Adversarial Active Learning", ICCV 2019.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minimax_al.errors import ShapeError
from minimax_al.networks.checks import check_features, check_positive
from minimax_al.networks.logits import LinearLogits

HIDDEN = 512
"""Width of the discriminator's two hidden layers."""


class VAEOutput(NamedTuple):
    """Output of one pass of the autoencoder.

    Attributes:
        reconstruction: Reconstructed images, shape (B, 3, H, W).
        mu: Mean of the latent code, the discriminator's input, shape (B, latent_features).
        logvar: Logarithm of the code's variance, shape (B, latent_features).
    """

    reconstruction: Tensor
    mu: Tensor
    logvar: Tensor


class VAE(nn.Module):
    """Convolutional variational autoencoder for images of one size.

    The encoder halves the image once per width (4×4 convolutions of stride 2, batch norm, ReLU); the decoder mirrors
    it with transposed convolutions; linear layers map to the code and back. Images whose sides are not multiples of
    2^len(widths) are padded with their edge pixels at the right and the bottom, and the reconstruction is cropped:
    with VAAL's four widths, 8×8 becomes 16×16, and 224 stays 224.

    Args:
        image_size: Height and width of the images, in pixels.
        latent_features: Width of the latent code.
        widths: Channels of the encoder's convolutions.

    Raises:
        ConfigurationError: A size is not positive.

    Example:
        >>> vae = VAE((20, 12), widths=(8, 16))
        >>> vae(torch.randn(2, 3, 20, 12)).reconstruction.shape
        torch.Size([2, 3, 20, 12])
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        latent_features: int = 32,
        widths: Sequence[int] = (128, 256, 512, 1024),
    ) -> None:
        super().__init__()
        height, width = self.image_size = (int(image_size[0]), int(image_size[1]))
        check_positive(height=height, width=width, latent_features=latent_features, layers=len(widths))
        check_positive(**{f"widths[{level}]": channels for level, channels in enumerate(widths)})
        factor = 2 ** len(widths)
        # −n mod factor pixels make a side of n pixels a multiple of the factor; −(−n // factor) rounds up.
        self.padding = (0, -width % factor, 0, -height % factor)
        grid = (widths[-1], -(-height // factor), -(-width // factor))
        code_features = grid[0] * grid[1] * grid[2]
        self.encoder = nn.Sequential(*map(_halve, (3, *widths[:-1]), widths), nn.Flatten())
        self.mu = LinearLogits(code_features, latent_features)
        self.logvar = LinearLogits(code_features, latent_features)
        self.decoder = nn.Sequential(
            nn.Linear(latent_features, code_features),
            nn.Unflatten(1, grid),
            *(_double(wide, narrow) for wide, narrow in pairwise(reversed(widths))),
            nn.ConvTranspose2d(widths[0], 3, kernel_size=4, stride=2, padding=1),
        )

    def forward(self, images: Tensor) -> VAEOutput:
        """Encode images, sample their codes with torch's global generator, and decode them.

        Args:
            images: Normalised images, shape (B, 3, H, W), any float dtype.

        Raises:
            ShapeError: The images do not have `image_size`.
        """
        mu, logvar = self.encode(images)
        # Reparameterisation: code = μ + ε σ with ε from N(0, 1), so that gradients reach μ and σ.
        codes = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return VAEOutput(self.decode(codes), mu, logvar)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (B, 3, H, W) to the mean and log-variance of their codes, each (B, z)."""
        if images.ndim != 4 or images.shape[1:] != (3, *self.image_size):
            raise ShapeError(
                f"images have shape {tuple(images.shape)}: this autoencoder was built for "
                f"(B, 3, {self.image_size[0]}, {self.image_size[1]})"
            )
        hidden = self.encoder(F.pad(images, self.padding, mode="replicate"))
        return self.mu(hidden), self.logvar(hidden)

    def decode(self, codes: Tensor) -> Tensor:
        """Map codes (B, latent_features) to images (B, 3, H, W)."""
        height, width = self.image_size
        images: Tensor = self.decoder(codes)
        return images[:, :, :height, :width]


class LatentDiscriminator(nn.Module):
    """Classifier of labelled versus unlabelled latent codes: z → 512 → 512 → 1, with ReLU.

    Args:
        latent_features: Width of the code.

    Raises:
        ConfigurationError: A size is not positive.
    """

    def __init__(self, latent_features: int = 32) -> None:
        super().__init__()
        check_positive(latent_features=latent_features)
        self.latent_features = latent_features
        self.layers = nn.Sequential(
            nn.Linear(latent_features, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            LinearLogits(HIDDEN, 1),
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes (B, latent_features) to logits (B,); positive means labelled."""
        check_features(codes, self.latent_features)
        logits_B1: Tensor = self.layers(codes)
        return logits_B1.squeeze(1)


def vae_loss(reconstruction: Tensor, images: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Tensor:
    """Return the negative evidence lower bound: reconstruction error plus β times divergence.

    The error is the mean squared error, the divergence the KL divergence from N(0, 1).

    The divergence is summed over the code and averaged over images; the error is averaged over images and pixels.
    VAAL's own program sums the divergence over the batch too: its weight grows with the batch size.

    Args:
        reconstruction: Reconstructed images, shape (B, 3, H, W).
        images: Original images, shape (B, 3, H, W).
        mu: Mean of the codes, shape (B, z).
        logvar: Log-variance of the codes, shape (B, z).
        beta: Weight of the divergence.

    Returns:
        Loss, a scalar.

    Raises:
        ShapeError: Shapes differ, and would broadcast.
    """
    if reconstruction.shape != images.shape or mu.shape != logvar.shape or len(mu) != len(images):
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in (reconstruction, images, mu, logvar))
        raise ShapeError(f"reconstruction, images, mu and logvar have shapes {shapes}: each pair must agree")
    # KL(N(μ, σ²) ‖ N(0, 1)) = ½ Σ (μ² + σ² − 1 − log σ²)
    divergence_B = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(dim=1)
    return F.mse_loss(reconstruction, images) + beta * divergence_B.mean()


def _halve(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _double(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
