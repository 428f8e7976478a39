from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from minimax_al.networks import CosineClassifier, Discriminator, build_encoder
from minimax_al.training import MinimaxSettings, MinimaxTraining, Runtime, RuntimeSettings, minimax
from minimax_al.training.minimax import classification_loss, frozen_statistics, labelledness_loss, negative_entropy

T = 0.05
CLASSES = 3


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    x_labelled, x_unlabelled = torch.randn(2, 5, 3, 2, 2, generator=generator, dtype=torch.float64)
    return x_labelled, torch.tensor([0, 1, 2, 0, 1]), x_unlabelled


@pytest.fixture
def build(plain_encoder, runtime64):
    """Algorithm 1 on tiny float64 networks; the same ones for the same arguments."""

    def training(**settings):
        chosen = MinimaxSettings(learning_rate=1e-3, discriminator_hidden=4, **settings)
        encoder = plain_encoder()
        classifier = CosineClassifier(6, CLASSES, bottleneck=4, temperature=T, reversal=chosen.reversal)
        discriminator = Discriminator(6, hidden=4, temperature=T) if chosen.discriminator else None
        return MinimaxTraining(encoder, classifier, discriminator, chosen, runtime64)

    return training


def as_numpy(network):
    return {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def features_by_hand(encoder, x):
    weights = as_numpy(encoder)
    return np.tanh(x.numpy().reshape(len(x), -1) @ weights["1.weight"].T + weights["1.bias"])


def probabilities_by_hand(classifier, features):
    weights = as_numpy(classifier)
    if "bottleneck.weight" in weights:
        features = features @ weights["bottleneck.weight"].T + weights["bottleneck.bias"]
    odds = np.exp(unit(features) @ weights["prototypes.weight"].T / T)
    return odds / odds.sum(axis=1, keepdims=True)


def labelledness_by_hand(discriminator, features):
    weights = list(as_numpy(discriminator).values())
    hidden = unit(features) / T
    for weight, bias in zip(weights[0:4:2], weights[1:4:2], strict=True):
        hidden = np.maximum(hidden @ weight.T + bias, 0)
    return 1 / (1 + np.exp(-(hidden @ weights[4].T + weights[5])[:, 0]))


def mean_entropy(training, x):
    with torch.no_grad():
        logits = training.networks["classifier"](training.networks["encoder"](x))
    return -float(negative_entropy(logits))


def parameters(training, name):
    return [value.clone() for value in training.networks[name].state_dict().values()]


def equal(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("update", ["alternating", "joint"])
def test_the_losses_of_a_step_are_equations_1_to_3(build, batches, update, monkeypatch):
    training = build(update=update)
    # Without optimiser steps in between, all three losses are of the same weights.
    monkeypatch.setattr(training, "_descend", lambda loss, *names: None)
    x_labelled, y, x_unlabelled = batches
    networks = training.networks
    phi_L, phi_U = (features_by_hand(networks["encoder"], x) for x in (x_labelled, x_unlabelled))
    p_L, p_U = (probabilities_by_hand(networks["classifier"], phi) for phi in (phi_L, phi_U))
    d_L, d_U = (labelledness_by_hand(networks["discriminator"], phi) for phi in (phi_L, phi_U))

    losses = training.step(*batches)

    assert float(losses["classification"]) == pytest.approx(-np.log(p_L[np.arange(5), y]).mean(), rel=1e-12)
    assert float(losses["entropy"]) == pytest.approx(-(p_U * np.log(p_U)).sum(axis=1).mean(), rel=1e-12)
    assert float(losses["labelledness"]) == pytest.approx(-np.log(d_L).mean() - np.log(1 - d_U).mean(), rel=1e-12)


def test_without_bottleneck_the_classifier_is_equation_1_to_the_letter():
    torch.manual_seed(0)
    classifier = CosineClassifier(6, CLASSES, bottleneck=None, temperature=T).double()
    features, y = torch.randn(7, 6, dtype=torch.float64), torch.arange(7) % CLASSES
    by_hand = -np.log(probabilities_by_hand(classifier, features.numpy())[np.arange(7), y]).mean()
    assert classification_loss(classifier(features), y).item() == pytest.approx(by_hand, rel=1e-12)


def test_the_entropy_of_probabilities_that_underflow_is_zero_with_zero_gradient():
    logits = torch.tensor([[1000.0, 0.0, -1000.0]], requires_grad=True)
    loss = negative_entropy(logits)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.tolist() == [[0, 0, 0]]


def test_pixel_losses_are_means_over_pixels():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, CLASSES, 2, 3, generator=generator, dtype=torch.float64)
    targets = torch.tensor([[[0, 1, 255], [2, 255, 0]], [[255, 255, 1], [1, 0, 2]]])
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(axis=1, keepdims=True)
    kept = [-np.log(p[b, targets[b, i, j], i, j]) for b, i, j in np.ndindex(2, 2, 3) if targets[b, i, j] != 255]
    assert float(classification_loss(logits, targets)) == pytest.approx(np.mean(kept), rel=1e-12)
    assert float(negative_entropy(logits)) == pytest.approx((p * np.log(p)).sum(axis=1).mean(), rel=1e-12)
    assert float(classification_loss(logits, torch.full_like(targets, 255))) == 0


def test_labelledness_does_not_overflow():
    loss = labelledness_loss(torch.tensor([-1e4]), torch.tensor([1e4]))
    assert float(loss) == pytest.approx(2e4)


@pytest.mark.parametrize("update", ["alternating", "joint"])
@pytest.mark.parametrize(
    "case",
    [
        ("after_bottleneck", "encoder", -1),
        ("after_bottleneck", "classifier.bottleneck", -1),
        ("after_bottleneck", "classifier.prototypes", +1),
        ("before_bottleneck", "encoder", -1),
        ("before_bottleneck", "classifier.bottleneck", +1),
        ("before_bottleneck", "classifier.prototypes", +1),
    ],
)
def test_c_raises_the_unlabelled_entropy_and_f_lowers_it(build, batches, monkeypatch, update, case):
    reversal, part, direction = case
    training = build(update=update, reversal=reversal, discriminator=False)
    monkeypatch.setattr(minimax, "classification_loss", lambda logits, targets, mean: 0 * logits.sum())
    for network in training.networks.values():
        network.requires_grad_(requires_grad=False)
    name, _, layer = part.partition(".")
    training.networks[name].get_submodule(layer).requires_grad_(requires_grad=True)
    before = mean_entropy(training, batches[2])
    training.step(*batches)
    assert direction * (mean_entropy(training, batches[2]) - before) > 1e-6


def adam_by_hand(weights, gradients, lr=1e-3):
    """Adam's steps for a list of gradients, one per step, with one set of moments."""
    m = v = np.zeros_like(weights)
    for step, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        weights = weights - lr * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return weights


def gradient_of(training, loss, name):
    (gradient,) = torch.autograd.grad(loss, [dict(training.networks[name].named_parameters())[KEY[name]]])
    return gradient.numpy()


KEY = {"encoder": "1.weight", "classifier": "prototypes.weight"}
SIGN = {"encoder": -1, "classifier": +1}
"""F descends L_CE − λ L_Ent, C descends L_CE + λ L_Ent."""


def losses_of(training, batches):
    x_labelled, y, x_unlabelled = batches
    encoder, classifier = training.networks["encoder"], training.networks["classifier"]
    loss_ce = classification_loss(classifier(encoder(x_labelled)), y)
    return loss_ce, negative_entropy(classifier(encoder(x_unlabelled)))


@pytest.mark.parametrize("name", ["encoder", "classifier"])
def test_a_joint_step_is_one_adam_step_on_the_summed_loss(build, batches, name):
    training = build(update="joint", entropy_weight=0.3)
    weights = training.networks[name].state_dict()[KEY[name]].numpy().copy()
    loss_ce, loss_ent = losses_of(training, batches)
    gradient = gradient_of(training, loss_ce + SIGN[name] * 0.3 * loss_ent, name)
    training.step(*batches)
    expected = adam_by_hand(weights, [gradient])
    np.testing.assert_allclose(training.networks[name].state_dict()[KEY[name]], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["encoder", "classifier"])
def test_an_alternating_step_is_two_adam_steps_with_one_set_of_moments(build, batches, name):
    training = build(entropy_weight=0.3)
    weights = training.networks[name].state_dict()[KEY[name]].numpy().copy()
    first = gradient_of(training, losses_of(training, batches)[0], name)
    halfway = build(entropy_weight=0.0)
    halfway.step(*batches)
    second = gradient_of(halfway, SIGN[name] * 0.3 * losses_of(halfway, batches)[1], name)
    training.step(*batches)
    expected = adam_by_hand(weights, [first, second])
    np.testing.assert_allclose(training.networks[name].state_dict()[KEY[name]], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("update", "steps"), [("alternating", 2), ("joint", 1)])
def test_each_network_has_its_own_optimizer(build, batches, update, steps):
    training = build(update=update)
    training.step(*batches)
    counts = {
        name: {int(state["step"]) for state in optimizer.state_dict()["state"].values()}
        for name, optimizer in training.optimizers.items()
    }
    assert counts == {"encoder": {steps}, "classifier": {steps}, "discriminator": {1}}


@pytest.mark.parametrize("discriminator", [True, False])
@pytest.mark.parametrize("update", ["alternating", "joint"])
def test_without_entropy_term_training_is_supervised_bit_for_bit(update, discriminator):
    torch.manual_seed(0)
    encoder = build_encoder("conv4", width=4)
    classifier = CosineClassifier(encoder.out_features, CLASSES, bottleneck=4)
    x_labelled, x_unlabelled = torch.randn(2, 3, 6, 3, 8, 8)
    y = torch.arange(6) % CLASSES

    plain = nn.Sequential(deepcopy(encoder), deepcopy(classifier)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3, fused=True)
    for x in x_labelled:
        optimizer.zero_grad()
        nn.functional.cross_entropy(plain(x.to(memory_format=torch.channels_last)), y).backward()
        optimizer.step()

    settings = MinimaxSettings(entropy_weight=0, update=update, learning_rate=1e-3)
    head = Discriminator(encoder.out_features, hidden=8) if discriminator else None
    training = MinimaxTraining(
        encoder, classifier, head, settings, Runtime(RuntimeSettings(device="cpu", precision="fp32"))
    )
    for x, unlabelled in zip(x_labelled, x_unlabelled, strict=True):
        training.step(x.to(memory_format=torch.channels_last), y, unlabelled)

    trained = nn.Sequential(encoder, classifier).state_dict()
    for key, value in plain.state_dict().items():
        assert torch.equal(trained[key], value), key


@pytest.mark.parametrize("update", ["alternating", "joint"])
@pytest.mark.parametrize("entropy_weight", [0.0, 0.1])
def test_a_detached_discriminator_moves_nothing_else(build, batches, update, entropy_weight):
    settings = {"update": update, "entropy_weight": entropy_weight}
    without, detached = build(discriminator=False, **settings), build(**settings)
    attached = build(detach=False, **settings)
    untrained = parameters(detached, "discriminator")
    for training in (without, detached, attached):
        training.step(*batches)
    assert equal(parameters(without, "encoder"), parameters(detached, "encoder"))
    assert equal(parameters(without, "classifier"), parameters(detached, "classifier"))
    assert not equal(untrained, parameters(detached, "discriminator"))
    assert not equal(parameters(without, "encoder"), parameters(attached, "encoder"))
    assert equal(parameters(without, "classifier"), parameters(attached, "classifier"))


def test_the_discriminator_learns_that_labelled_is_high(build):
    generator = torch.Generator().manual_seed(0)
    x_labelled = torch.randn(20, 3, 2, 2, generator=generator, dtype=torch.float64) + 3
    x_unlabelled = torch.randn(20, 3, 2, 2, generator=generator, dtype=torch.float64) - 3
    training = build(entropy_weight=0)
    training.networks["encoder"].requires_grad_(requires_grad=False)
    for _ in range(100):
        training.step(x_labelled, torch.arange(20) % CLASSES, x_unlabelled)
    encoder, discriminator = training.networks["encoder"], training.networks["discriminator"]
    assert discriminator(encoder(x_labelled)).min() > 0 > discriminator(encoder(x_unlabelled)).max()


def test_frozen_statistics_normalise_by_the_batch_and_remember_nothing():
    torch.manual_seed(0)
    layer = nn.BatchNorm1d(4)
    before = deepcopy(layer.state_dict())
    x = torch.randn(8, 4) * 5 + 2
    with frozen_statistics(nn.Sequential(layer)):
        torch.testing.assert_close(layer(x), (x - x.mean(0)) / (x.var(0, unbiased=False) + layer.eps).sqrt())
    with pytest.raises(ZeroDivisionError, match="zero"), frozen_statistics(layer):
        layer(x / (1 // 0))
    assert all(torch.equal(layer.state_dict()[key], value) for key, value in before.items())
    layer(x)
    assert not torch.equal(layer.running_mean, before["running_mean"])
