"""VAAL's autoencoder: the reconstruction has the image's size, the loss is the formula's."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from minimax_al.errors import ConfigurationError, ShapeError
from minimax_al.networks import VAE, LatentDiscriminator, vae_loss


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (64, 64), (96, 80), (224, 224), (33, 47), (1, 1)])
def test_the_reconstruction_has_the_images_size(size):
    with torch.device("meta"):
        output = VAE(size)(torch.zeros(2, 3, *size))
    assert output.reconstruction.shape == (2, 3, *size)
    assert output.mu.shape == output.logvar.shape == (2, 32)


def test_the_encoder_is_four_strided_convolutions():
    with torch.device("meta"):
        vae = VAE((32, 32))
    convolutions = [layer for layer in vae.encoder.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [128, 256, 512, 1024]
    assert {(layer.kernel_size, layer.stride) for layer in convolutions} == {((4, 4), (2, 2))}
    mirrored = [layer for layer in vae.decoder.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.out_channels for layer in mirrored] == [512, 256, 128, 3]


def test_codes_follow_the_mean_and_variance():
    vae = VAE((4, 4), latent_features=2, widths=(4, 4)).eval()
    images = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    noise = torch.empty(1, 2).normal_(generator=torch.Generator().manual_seed(5))
    torch.manual_seed(5)
    output = vae(images)
    code = output.mu + noise * torch.exp(output.logvar / 2)
    torch.testing.assert_close(output.reconstruction, vae.decode(code))
    mu, logvar = vae.encode(images)
    assert torch.equal(mu, output.mu)
    assert torch.equal(logvar, output.logvar)


def test_a_few_steps_reduce_the_loss_on_small_images():
    torch.manual_seed(0)
    vae = VAE((8, 8), latent_features=4, widths=(8, 16, 16, 16))
    images = torch.randn(4, 3, 8, 8).repeat(8, 1, 1, 1)
    optimiser = torch.optim.Adam(vae.parameters(), lr=5e-3)
    losses = []
    for _ in range(40):
        output = vae(images)
        loss = vae_loss(output.reconstruction, images, output.mu, output.logvar, beta=0.01)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
def test_the_loss_equals_the_formula_in_float64(beta):
    generator = torch.Generator().manual_seed(0)
    reconstruction, images = torch.randn(2, 5, 3, 4, 4, dtype=torch.float64, generator=generator)
    mu, logvar = torch.randn(2, 5, 6, dtype=torch.float64, generator=generator)
    divergences = [
        sum(0.5 * (m**2 + math.exp(v) - 1 - v) for m, v in zip(row_m, row_v, strict=True))
        for row_m, row_v in zip(mu.tolist(), logvar.tolist(), strict=True)
    ]
    expected = np.mean((reconstruction - images).numpy() ** 2) + beta * np.mean(divergences)
    assert vae_loss(reconstruction, images, mu, logvar, beta).item() == pytest.approx(expected, rel=1e-12)


def test_the_divergence_is_torchs():
    mu, logvar = torch.randn(2, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    posterior = torch.distributions.Normal(mu, (logvar / 2).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    expected = torch.distributions.kl_divergence(posterior, prior).sum(dim=1).mean()
    images = torch.zeros(5, 3, 2, 2, dtype=torch.float64)
    torch.testing.assert_close(vae_loss(images, images, mu, logvar), expected)


def test_the_loss_does_not_grow_with_the_batch():
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(4, *shape, generator=generator) for shape in [(3, 2, 2), (3, 2, 2), (5,), (5,)]]
    doubled = [torch.cat([tensor, tensor]) for tensor in tensors]
    torch.testing.assert_close(vae_loss(*doubled), vae_loss(*tensors))


def test_the_latent_discriminator_gives_one_logit_a_image():
    discriminator = LatentDiscriminator()
    assert discriminator(torch.randn(1, 32)).shape == (1,)
    widths = [(layer.in_features, layer.out_features) for layer in discriminator.layers if isinstance(layer, nn.Linear)]
    assert widths == [(32, 512), (512, 512), (512, 1)]


def test_wrong_shapes_and_settings_are_refused():
    vae = VAE((8, 8), widths=(4, 4))
    with pytest.raises(ShapeError, match=r"images have shape \(2, 3, 9, 8\).*built for \(B, 3, 8, 8\)"):
        vae(torch.zeros(2, 3, 9, 8))
    with pytest.raises(ShapeError, match=r"features have shape \(2, 31\): expected \(B, 32\)"):
        LatentDiscriminator()(torch.zeros(2, 31))
    with pytest.raises(ShapeError, match="each pair must agree"):
        vae_loss(torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4), torch.zeros(2, 5), torch.zeros(2, 5))
    with pytest.raises(ConfigurationError, match="height is 0"):
        VAE((0, 8))
    with pytest.raises(ConfigurationError, match="layers is 0"):
        VAE((8, 8), widths=())
