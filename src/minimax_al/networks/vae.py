"""The autoencoder of VAAL and the discriminator on its latent code.

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
    """What one pass of the autoencoder returns."""

    reconstruction: Tensor
    """(B, 3, H, W), of the images' own size."""
    mu: Tensor
    """(B, latent_features): the mean of the latent code, which the discriminator sees."""
    logvar: Tensor
    """(B, latent_features): the logarithm of its variance."""


class VAE(nn.Module):
    """A convolutional variational autoencoder for images of one size.

    The encoder halves the image once for each width (4×4 convolutions of stride 2, batch norm, ReLU), the
    decoder mirrors it with transposed convolutions; between them stand linear layers to and from the code.
    Images whose sides are no multiple of 2^len(widths) are padded by their edge pixels at the right and the
    bottom, and the reconstruction is cropped: with VAAL's four widths 8×8 becomes 16×16, and 224 stays 224.

    Args:
        image_size: (height, width) of the images, in pixels.
        latent_features: width of the latent code.
        widths: channels of the encoder's convolutions.

    Raises:
        ConfigurationError: a size that is not positive.

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
            images: (B, 3, H, W), floating point, normalised.

        Raises:
            ShapeError: the images are not of `image_size`.
        """
        mu, logvar = self.encode(images)
        return VAEOutput(self.decode(mu + torch.randn_like(mu) * (0.5 * logvar).exp()), mu, logvar)

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
    """Tells labelled from unlabelled images by their latent codes: z → 512 → 512 → 1, with ReLU.

    Args:
        latent_features: width of the code.

    Raises:
        ConfigurationError: a size that is not positive.
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
    """The negative evidence bound: mean squared error plus β times the KL divergence from N(0, 1).

    The divergence is summed over the code and averaged over samples, the error averaged over samples and
    pixels. VAAL's own program sums the divergence over the batch too: its weight grows with the batch size.

    Args:
        reconstruction: (B, 3, H, W).
        images: (B, 3, H, W), what was to be reconstructed.
        mu: (B, z).
        logvar: (B, z).
        beta: weight of the divergence.

    Returns:
        The loss, a scalar.

    Raises:
        ShapeError: shapes that differ, and would broadcast.
    """
    if reconstruction.shape != images.shape or mu.shape != logvar.shape or len(mu) != len(images):
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in (reconstruction, images, mu, logvar))
        raise ShapeError(f"reconstruction, images, mu and logvar have shapes {shapes}: each pair must agree")
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
