"""WAAL's losses, written out, and the direction in which each network moves."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from minimax_al.strategies import get_strategy
from minimax_al.testing import make_round
from minimax_al.training.fits.waal import WaalSettings, WaalTraining, fit_waal


@pytest.fixture
def round_():
    return make_round()


def training_of(round_, **changes):
    models = fit_waal(round_)
    epochs = round_.minimax.model_copy(update={"learning_rate": 1e-3})
    return WaalTraining(
        deepcopy(models.task_model.encoder),
        deepcopy(models.task_model.head),
        deepcopy(models.others["critic"]),
        ratio=0.6,
        settings=WaalSettings(**changes),
        epochs=epochs,
        runtime=round_.runtime,
    )


def batch(round_):
    x, y = next(iter(round_.labelled_batches("waal", 6, 0, 1)))
    return x, y, next(iter(round_.unlabelled_batches("waal", 6, 0, 1)))


def distance(training, x, u):
    encoder, critic = training.networks["encoder"].eval(), training.networks["critic"]
    with torch.no_grad():
        score = lambda images: torch.sigmoid(critic(encoder(images))).mean()  # noqa: E731
        return float(score(u) - 0.6 * score(x))


def test_losses_are_those_of_the_formulas(round_):
    training = training_of(round_)
    x, y, u = batch(round_)
    networks = {name: deepcopy(network).train() for name, network in training.networks.items()}
    features = networks["encoder"](torch.cat([x, u])).detach()
    critic = lambda z: torch.sigmoid(networks["critic"](z))  # noqa: E731
    for network in training.networks.values():
        network.train()
    torch.manual_seed(3)
    losses = training.step(x, y, u)
    expected = F.cross_entropy(networks["classifier"](features[:6]), y)
    assert float(losses["classification"]) == pytest.approx(expected.item())
    expected = critic(features[6:]).mean() - 0.6 * critic(features[:6]).mean()
    assert float(losses["distance"]) == pytest.approx(expected.item())
    torch.manual_seed(3)
    share = torch.rand(6, 1, dtype=features.dtype)
    points = torch.cat([share * features[:6] + (1 - share) * features[6:], features[6:], features[:6]])
    # The encoder's step does not change the critic: its gradient is taken one point at a time.
    norms = [torch.func.grad(lambda z: critic(z[None]).sum())(point).norm() for point in points]
    expected = torch.stack([(norm - 1) ** 2 for norm in norms]).mean()
    assert float(losses["penalty"]) == pytest.approx(expected.item(), rel=1e-5)


def test_the_encoder_lowers_the_distance_and_the_critic_raises_it(round_):
    x, y, u = batch(round_)
    for trained, sign in (("encoder", -1), ("critic", 1)):
        training = training_of(round_, adversary_weight=1e4, gradient_penalty=0.0)
        for name, optimizer in training.optimizers.items():
            optimizer.param_groups[0]["lr"] = 1e-4 if name == trained else 0.0
        before = distance(training, x, u)
        for _ in range(5):
            training.step(x, y, u)
        assert sign * (distance(training, x, u) - before) > 0, trained


def test_without_the_adversary_unlabelled_images_do_not_move_the_classifier(round_):
    states = []
    for shift in (0.0, 5.0):
        training = training_of(round_, adversary_weight=0.0)
        x, y, u = batch(round_)
        for network in training.networks.values():
            network.eval()  # Batch norm would mix both batches.
        training.step(x, y, u + shift)
        states.append(training.networks["classifier"].state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("samples", ["images", "features"])
def test_picks_are_the_smallest_bounds_less_the_critic(samples):
    round_ = make_round(samples=samples)
    strategy = get_strategy("waal", critic_weight=3.0)
    models = strategy.fit(round_)
    (x,) = round_.feed.plain(round_.dataset.train, round_.unlabelled, 100)
    with torch.no_grad():
        losses = -models.task_model(x).softmax(dim=1).log()
        critic = torch.sigmoid(models.others["critic"](models.task_model.encoder(x)))
    total = 0.5 * losses.square().sum(dim=1).sqrt() + 0.5 * losses.abs().sum(dim=1) - 3.0 * critic
    query = strategy.query(round_, models, 5)
    assert query.indices.tolist() == round_.unlabelled[total.argsort()[:5]].tolist()


def test_nothing_unlabelled_leaves_the_supervised_model(round_):
    labelled = torch.arange(len(round_.dataset.train))
    everything = replace(
        round_, labelled=labelled, unlabelled=labelled[:0], targets=round_.dataset.train_targets.clone()
    )
    assert set(fit_waal(everything).history) == {"task"}
