"""Settings of Algorithm 1 beyond the paper, on images and on features alike."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from minimax_al.data import Dataset
from minimax_al.errors import ConfigurationError
from minimax_al.networks import Adapter, CosineClassifier, Discriminator
from minimax_al.testing import make_round
from minimax_al.training import (
    FeatureSettings,
    MinimaxSettings,
    MinimaxTraining,
    Recipe,
    RuntimeSettings,
    fit_minimax,
)
from minimax_al.training.build import build_minimax_networks, imprint_prototypes

WIDTH, CLASSES = 6, 3


@pytest.fixture
def networks():
    """F on features, C and D, in float64 and away from their starting points."""
    torch.manual_seed(0)
    adapter = Adapter(WIDTH, "linear").double()
    with torch.no_grad():
        adapter.map.weight.add_(0.1 * torch.randn(WIDTH, WIDTH, dtype=torch.float64))
    return adapter, CosineClassifier(WIDTH, CLASSES, None).double(), Discriminator(WIDTH, 8).double()


def images(count, seed):
    return torch.randn(count, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def step(networks, batch, runtime, prefix=None, **settings):
    """One step of Algorithm 1; returns losses and the changed parameters by network."""
    encoder, classifier, discriminator = map(deepcopy, networks)
    whole = encoder if prefix is None else nn.Sequential(prefix, encoder)
    training = MinimaxTraining(whole, classifier, discriminator, MinimaxSettings(**settings), runtime)
    losses = training.step(*batch)
    parts = {"encoder": encoder, "classifier": classifier, "discriminator": discriminator}
    return losses, {name: [p.detach().clone() for p in part.parameters()] for name, part in parts.items()}


def moved(networks, after):
    names = ("encoder", "classifier", "discriminator")
    return {
        name: max(
            float((new - old).detach().abs().max()) for old, new in zip(part.parameters(), after[name], strict=True)
        )
        for name, part in zip(names, networks, strict=True)
    }


@pytest.mark.parametrize("update", ["alternating", "joint"])
@pytest.mark.parametrize("sign", ["maximise", "minimise"])
def test_both_paths_have_equal_losses_and_gradients_on_equal_features(networks, plain_encoder, runtime64, update, sign):
    frozen = plain_encoder().requires_grad_(False)
    x, u, y = images(5, 1), images(7, 2), torch.tensor([0, 1, 2, 0, 1])
    settings = {"update": update, "classifier_entropy": sign, "entropy_weight": 0.7}
    losses_images, after_images = step(networks, (x, y, u), runtime64, frozen, **settings)
    losses_features, after_features = step(networks, (frozen(x), y, frozen(u)), runtime64, **settings)
    torch.testing.assert_close(losses_features, losses_images, rtol=1e-12, atol=0)
    torch.testing.assert_close(after_features, after_images, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("sign", "falls"), [("maximise", False), ("minimise", True)])
def test_c_moves_the_entropy_by_its_sign_and_f_always_lowers_it(networks, runtime64, sign, falls):
    torch.manual_seed(1)
    x, u = torch.randn(4, WIDTH).double(), torch.randn(9, WIDTH).double()
    y = torch.tensor([0, 1, 2, 0])

    def entropy(encoder, classifier):
        probs = classifier(encoder(u)).softmax(dim=1)
        return float(-(probs * probs.log()).sum(dim=1).mean().detach())

    before = entropy(*networks[:2])
    # A huge λ leaves the sign of the entropy's gradient alone in Adam's first step; tiny rates keep it a gradient.
    settings = {"update": "joint", "entropy_weight": 1e6, "learning_rate": 1e-7, "classifier_entropy": sign}
    _, after = step(networks, (x, y, u), runtime64, **settings)
    encoder, classifier, _ = map(deepcopy, networks)
    for part, values in ((encoder, after["encoder"]), (classifier, after["classifier"])):
        for parameter, value in zip(part.parameters(), values, strict=True):
            parameter.data.copy_(value)
    assert entropy(encoder, networks[1]) < before
    assert (entropy(networks[0], classifier) < before) == falls


def test_each_network_has_its_own_rate(networks, runtime64):
    torch.manual_seed(1)
    batch = torch.randn(4, WIDTH).double(), torch.tensor([0, 1, 2, 0]), torch.randn(9, WIDTH).double()
    rates = {"encoder": 1e-3, "classifier": 1e-5, "discriminator": 1e-2}
    settings = {f"{name}_rate": rate for name, rate in rates.items()}
    _, after = step(networks, batch, runtime64, update="joint", **settings)
    # Adam's first step moves each parameter by its rate, whatever the gradient's size.
    assert moved(networks, after) == pytest.approx(rates, rel=1e-3)


def test_rates_follow_the_schedule(with_recipe):
    settings = MinimaxSettings(
        epochs=2, steps_per_epoch=2, batch_size=6, discriminator_hidden=8, schedule="cosine", classifier_rate=5e-5
    )
    seen = []

    class Recorded(MinimaxTraining):
        def step(self, *batch):
            seen.append({name: optimizer.param_groups[0]["lr"] for name, optimizer in self.optimizers.items()})
            return super().step(*batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minimax_al.training.fits.fits.MinimaxTraining", Recorded)
        fit_minimax(make_round(), settings)
    assert [each["classifier"] / each["encoder"] for each in seen] == pytest.approx([0.1] * 4)
    assert seen[0]["encoder"] == settings.learning_rate > seen[-1]["encoder"]


@pytest.mark.parametrize("bottleneck", [None, 5])
def test_prototypes_start_as_class_means_of_normalised_features(bottleneck):
    round_ = make_round()
    kept = round_.labelled[round_.targets[round_.labelled] != 1]
    round_ = replace(round_, labelled=kept)
    encoder, classifier, _ = build_minimax_networks(round_, MinimaxSettings(bottleneck=bottleneck))
    for network in (encoder, classifier):
        round_.runtime.place(network).train()
    before = classifier.weight[1].clone()
    imprint_prototypes(round_, encoder, classifier)
    assert encoder.training
    assert torch.equal(classifier.weight[1], before)  # no label, no mean

    (x,) = round_.feed.plain(round_.dataset.train, round_.labelled, 100)
    with torch.no_grad():
        unit = classifier.eval().directions(encoder.eval()(x))
    for label in (0, 2):
        mean = unit[round_.targets[round_.labelled] == label].mean(dim=0)
        torch.testing.assert_close(classifier.weight[label].detach(), mean / mean.norm())


def test_imprinting_is_refused_for_segmentation():
    round_ = make_round("segmentation")
    with pytest.raises(ConfigurationError, match="imprint=True is for classification"):
        fit_minimax(round_, round_.minimax.model_copy(update={"imprint": True}))


def test_masked_classes_take_no_part():
    round_ = make_round()
    kept = round_.labelled[round_.targets[round_.labelled] != 2]
    recipe = round_.recipe.model_copy(update={"missing_classes": "warn"})
    round_ = replace(round_, labelled=kept, recipe=recipe)
    models = fit_minimax(round_, round_.minimax.model_copy(update={"mask_missing": True}))
    (x,) = round_.feed.plain(round_.dataset.train, round_.unlabelled, 100)
    probs = models.outputs(x).logits.softmax(dim=1)
    assert not probs[:, 2].any()
    assert models.history["minimax"][-1]["entropy"] <= torch.tensor(2.0).log() + 1e-9


def vectors(count=40):
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(count) % CLASSES
    return torch.eye(CLASSES, WIDTH)[targets] + 0.3 * torch.randn(count, WIDTH, generator=generator), targets


@pytest.mark.parametrize("adapter", ["identity", "linear", "hidden"])
def test_the_whole_fit_runs_on_features(feature_round, adapter):
    dataset = Dataset.from_features("drawn", list("abc"), vectors(), vectors(9))
    recipe = Recipe(
        features=FeatureSettings(adapter=adapter, adapter_hidden=4),
        runtime=RuntimeSettings(device="cpu", precision="fp32"),
    )
    round_ = feature_round(dataset, recipe)
    models = fit_minimax(round_)
    x = dataset.train[:]
    assert (models.outputs(x).logits.argmax(dim=1) == dataset.train_targets).float().mean() > 0.8
    same = torch.equal(models.encoder(x), x - models.encoder.centre)
    assert same == (adapter == "identity")
    assert torch.equal(models.task_model.encoder(x), models.encoder(x))


def test_consistency_is_refused_on_features(feature_round):
    dataset = Dataset.from_features("drawn", list("abc"), vectors())
    settings = MinimaxSettings(consistency_weight=0.5)
    recipe = Recipe(features=FeatureSettings(minimax=settings), runtime=RuntimeSettings(device="cpu"))
    with pytest.raises(ConfigurationError, match="classification of images"):
        fit_minimax(feature_round(dataset, recipe))
