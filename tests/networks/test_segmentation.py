"""Networks on feature maps against their float64 formulas and against their counterparts on vectors."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from minimax_al.errors import ConfigurationError, ShapeError
from minimax_al.networks import (
    CosineClassifier,
    Discriminator,
    PixelDiscriminator,
    PixelTaskModel,
    build_encoder,
    enable_mc_dropout,
    initialise_xavier,
)


def build(**settings):
    classifier = CosineClassifier(6, 4, **{"bottleneck": None, "output_stride": 8, **settings}).double()
    initialise_xavier(classifier, torch.Generator().manual_seed(0))
    return classifier


def feature_map(height=3, width=2):
    return torch.randn(2, 6, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def bilinear(maps, size):
    """Bilinear upsampling by its definition: pixel centres, edges repeated."""
    height, width = maps.shape[2:]
    out = np.zeros((*maps.shape[:2], *size))
    for i in range(size[0]):
        for j in range(size[1]):
            y = min(max((i + 0.5) * height / size[0] - 0.5, 0), height - 1)
            x = min(max((j + 0.5) * width / size[1] - 0.5, 0), width - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            dy, dx = y - top, x - left
            upper = (1 - dx) * maps[:, :, top, left] + dx * maps[:, :, top, right]
            lower = (1 - dx) * maps[:, :, bottom, left] + dx * maps[:, :, bottom, right]
            out[:, :, i, j] = (1 - dy) * upper + dy * lower
    return out


@pytest.mark.parametrize(("size", "expected_size"), [(None, (24, 16)), ((24, 16), (24, 16)), ((21, 13), (21, 13))])
def test_logits_equal_the_formula(size, expected_size):
    classifier = build(temperature=0.1)
    maps = feature_map().numpy()
    unit = maps / np.sqrt((maps**2).sum(axis=1, keepdims=True))
    prototypes = classifier.prototypes.weight.detach().numpy()[:, :, 0, 0]
    small = np.einsum("kd,bdhw->bkhw", prototypes, unit) / 0.1
    logits = classifier(feature_map(), size=size).detach().numpy()
    np.testing.assert_allclose(logits, bilinear(small, expected_size), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bottleneck", [None, 3])
def test_a_map_of_one_location_is_the_classifier_on_vectors(bottleneck):
    on_maps = build(bottleneck=bottleneck, output_stride=1)
    on_vectors = CosineClassifier(6, 4, bottleneck).double()
    on_vectors.load_state_dict({key: value.reshape(value.shape[:2]) for key, value in on_maps.state_dict().items()})
    maps = feature_map(1, 1)
    torch.testing.assert_close(on_maps(maps)[:, :, 0, 0], on_vectors(maps[:, :, 0, 0]))


@pytest.mark.parametrize("reversal", ["after_bottleneck", "before_bottleneck"])
@pytest.mark.parametrize("bottleneck", [None, 3])
def test_reversal_turns_the_features_gradient_and_no_prototypes(bottleneck, reversal):
    classifier = build(bottleneck=bottleneck, reversal=reversal)

    def gradients(*, reverse):
        maps = feature_map().requires_grad_()
        log_probs = F.log_softmax(classifier(maps, reverse=reverse), dim=1)
        (log_probs.exp() * log_probs).sum(dim=1).mean().backward()
        parameters = {name: parameter.grad.clone() for name, parameter in classifier.named_parameters()}
        classifier.zero_grad()
        return maps.grad, parameters

    plain_maps, plain = gradients(reverse=False)
    turned_maps, turned = gradients(reverse=True)
    assert plain_maps.abs().sum() > 0
    assert torch.equal(turned_maps, -plain_maps)
    assert torch.equal(turned["prototypes.weight"], plain["prototypes.weight"])
    sign = -1 if reversal == "after_bottleneck" else 1
    for name in set(plain) - {"prototypes.weight"}:
        assert torch.equal(turned[name], sign * plain[name])


def test_a_location_of_zeros_gives_finite_gradients():
    classifier = build().float()
    maps = feature_map().float()
    maps[:, :, 0, 0] = 0
    maps.requires_grad_()
    F.cross_entropy(classifier(maps), torch.zeros(2, 24, 16, dtype=torch.long)).backward()
    assert torch.isfinite(maps.grad).all()
    assert not maps.grad[:, :, 0, 0].any()


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (28, 28), (5, 17)])
def test_the_discriminator_takes_maps_of_any_size(size):
    discriminator = PixelDiscriminator(6, hidden=8)
    assert discriminator(torch.randn(3, 6, *size)).shape == (3,)
    assert discriminator(torch.randn(1, 6, *size)).shape == (1,)


def test_the_discriminator_sees_directions_only():
    discriminator = PixelDiscriminator(6, hidden=8).double()
    scales = torch.rand(2, 1, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5
    torch.testing.assert_close(discriminator(feature_map() * scales), discriminator(feature_map()))


def test_the_discriminators_input_is_divided_by_the_temperature():
    warm, cold = PixelDiscriminator(6, hidden=8).double(), PixelDiscriminator(6, hidden=8, temperature=0.5).double()
    for discriminator in (warm, cold):
        initialise_xavier(discriminator, torch.Generator().manual_seed(0))
    torch.testing.assert_close(warm(feature_map()), 10 * cold(feature_map()))


def test_the_discriminator_learns_to_tell_two_planted_pools_apart():
    generator = torch.Generator().manual_seed(0)
    labelled = torch.randn(32, 6, 4, 4, generator=generator) + torch.tensor([2.0, 0, 0, 0, 0, 0]).view(6, 1, 1)
    unlabelled = torch.randn(32, 6, 4, 4, generator=generator)
    discriminator = PixelDiscriminator(6, hidden=8)
    initialise_xavier(discriminator, generator)
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=1e-2)
    for _ in range(30):
        loss = F.softplus(-discriminator(labelled)).mean() + F.softplus(discriminator(unlabelled)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (discriminator(labelled) > 0).float().mean() > 0.9
    assert (discriminator(unlabelled) < 0).float().mean() > 0.9


@pytest.mark.parametrize("size", [(32, 32), (33, 20)])
def test_the_task_models_logits_have_the_images_size(size):
    model = PixelTaskModel(build_encoder("dconv4", task="segmentation", width=8), 5).eval()
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    logits = model(images)
    assert logits.shape == (2, 5, *size)
    small = F.conv2d(model.encoder(images), model.head.weight, model.head.bias)
    expected = bilinear(small.detach().double().numpy(), size)
    np.testing.assert_allclose(logits.detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    assert model.classify(model.encoder(images)).shape == (2, 5, -(-size[0] // 8) * 8, -(-size[1] // 8) * 8)


def test_mc_dropout_drops_whole_channels():
    model = PixelTaskModel(build_encoder("dconv4", task="segmentation", width=8), 5, dropout=0.5)
    enable_mc_dropout(model)
    torch.manual_seed(0)
    dropped = model.dropout(torch.ones(4, 8, 3, 3))
    assert torch.equal(dropped.amin(dim=(2, 3)), dropped.amax(dim=(2, 3)))
    assert 0 < (dropped == 0).float().mean() < 1
    assert {type(layer) for layer in model.modules() if layer.training} == {torch.nn.Dropout2d}


def test_logits_stay_in_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert build().float()(feature_map().float()).dtype == torch.float32
        assert PixelDiscriminator(6, hidden=8)(feature_map().float()).dtype == torch.float32


def test_vectors_and_maps_are_not_mistaken_for_each_other():
    with pytest.raises(ShapeError, match=r"expected \(B, 6, h, w\)"):
        build()(torch.zeros(2, 6, dtype=torch.float64))
    with pytest.raises(ShapeError, match=r"expected \(B, 6, h, w\)"):
        PixelDiscriminator(6)(torch.zeros(2, 5, 3, 3))
    with pytest.raises(ShapeError, match=r"expected \(B, 6\)"):
        Discriminator(6)(torch.zeros(2, 6, 3, 3))


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigurationError, match="output_stride is 0"):
        build(output_stride=0)
    with pytest.raises(ConfigurationError, match="bottleneck is 0"):
        build(bottleneck=0)
    with pytest.raises(ConfigurationError, match="temperature is -1"):
        PixelDiscriminator(6, temperature=-1)
