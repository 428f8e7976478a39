"""Where F runs once for several losses, their gradients are those of runs of their own."""

from copy import deepcopy

import pytest
import torch

from minimax_al.networks import CosineClassifier, Discriminator, build_encoder
from minimax_al.training import MinimaxSettings, MinimaxTraining
from minimax_al.training.minimax import classification_loss, labelledness_loss, negative_entropy

WEIGHT = 0.3


@pytest.fixture
def networks():
    torch.manual_seed(0)
    encoder = build_encoder("conv4", width=4).double()
    classifier = CosineClassifier(encoder.out_features, 3, bottleneck=5).double()
    return [encoder, classifier, Discriminator(encoder.out_features, hidden=6).double()]


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(1)
    x_labelled, x_unlabelled = torch.randn(2, 6, 3, 8, 8, generator=generator, dtype=torch.float64)
    return x_labelled, torch.arange(6) % 3, x_unlabelled


@pytest.fixture
def seen(networks, batches, runtime64, monkeypatch):
    """Gradients of one training step of copies of the networks, summed up by network; no optimiser moves them."""

    def step(**settings):
        copies = [deepcopy(network).eval() for network in networks]
        training = MinimaxTraining(*copies, MinimaxSettings(entropy_weight=WEIGHT, **settings), runtime64)
        found = {}

        def descend(loss, *names):
            parameters = [(name, key, p) for name in names for key, p in training.networks[name].named_parameters()]
            gradients = torch.autograd.grad(loss, [p for *_, p in parameters], retain_graph=True, allow_unused=True)
            for (name, key, _), gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    found[name, key] = found.get((name, key), 0) + gradient

        monkeypatch.setattr(training, "_descend", descend)
        passes = []
        training.networks["encoder"].register_forward_hook(lambda *_: passes.append(1))
        training.step(*batches)
        return found, len(passes)

    return step


def alone(networks, loss, names):
    """Gradients of one loss that has all runs to itself."""
    copies = [network and deepcopy(network).eval() for network in networks]
    value = loss(*copies)
    named = dict(zip(("encoder", "classifier", "discriminator"), copies, strict=True))
    parameters = [(name, key, p) for name in names for key, p in named[name].named_parameters()]
    gradients = torch.autograd.grad(value, [p for *_, p in parameters])
    return {(name, key): gradient for (name, key, _), gradient in zip(parameters, gradients, strict=True)}


@pytest.mark.parametrize(("settings", "runs"), [({"update": "joint"}, 1), ({}, 2), ({"detach": False}, 4)])
def test_gradients_are_those_of_separate_runs(networks, batches, seen, settings, runs):
    x_labelled, y, x_unlabelled = batches
    both = ["encoder", "classifier"]
    supervised = alone(networks, lambda f, c, d: classification_loss(c(f(x_labelled)), y), both)
    entropy = alone(networks, lambda f, c, d: WEIGHT * negative_entropy(c(f(x_unlabelled), reverse=True)), both)
    whose = ["discriminator"] if settings.get("detach", True) else ["discriminator", "encoder"]
    labelledness = alone(networks, lambda f, c, d: labelledness_loss(d(f(x_labelled)), d(f(x_unlabelled))), whose)

    found, passes = seen(**settings)

    assert passes == runs
    expected = {key: supervised.get(key, 0) + entropy.get(key, 0) + labelledness.get(key, 0) for key in found}
    assert found.keys() == supervised.keys() | labelledness.keys()
    for key, gradient in expected.items():
        torch.testing.assert_close(found[key], gradient, rtol=1e-11, atol=1e-12)


def test_features_from_before_the_supervised_step_have_another_gradient(networks, batches, runtime64):
    """Why alternating steps cannot share a run of F between their losses."""
    x_labelled, y, x_unlabelled = batches
    gradients = []
    for moved in (False, True):
        encoder, classifier, _ = (deepcopy(network) for network in networks)
        if moved:
            settings = MinimaxSettings(entropy_weight=0, discriminator=False, learning_rate=1e-2)
            MinimaxTraining(encoder, classifier, None, settings, runtime64).step(x_labelled, y, x_unlabelled)
        gradients.append(
            alone([encoder, classifier, None], lambda f, c, d: negative_entropy(c(f(x_unlabelled))), ["encoder"])
        )
    key = ("encoder", "block1.0.weight")
    assert (gradients[0][key] - gradients[1][key]).norm() > 0.1 * gradients[0][key].norm()
