import math

import pytest
import torch
from safetensors import safe_open
from torch import nn

from minimax_al.errors import CheckpointError, TrainingDivergedError
from minimax_al.training import checkpoint, epochs
from minimax_al.training.epochs import EpochSettings, run_epochs
from minimax_al.training.seeding import generator_for

STEPS = 3


class KilledError(Exception):
    pass


class Regression:
    """A small training with dropout and batch norm, whose draws come from torch's global generator."""

    def __init__(self, settings):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.networks = {"regressor": self.network}
        self.optimizers = {"regressor": settings.build_optimizer(self.network)}
        self.rates = []

    def step(self, x, y):
        self.rates.append(self.optimizers["regressor"].param_groups[0]["lr"])
        loss = (self.network(x) - y).square().mean()
        self.optimizers["regressor"].zero_grad()
        loss.backward()
        self.optimizers["regressor"].step()
        return {"error": loss.detach()}


def batches(epoch):
    generator = generator_for(0, "toy", epoch)
    return [(torch.randn(5, 4, generator=generator), torch.randn(5, 1, generator=generator)) for _ in range(STEPS)]


def run(settings, **options):
    training = Regression(settings)
    arguments = {"steps": STEPS, "seed": 0, "device": torch.device("cpu")} | options
    history = run_epochs("toy", training, settings, arguments.pop("batches", batches), **arguments)
    return training, history


def state_of(training):
    moments = training.optimizers["regressor"].state_dict()["state"]
    return {
        **{f"network {key}": value for key, value in training.network.state_dict().items()},
        **{f"moment {index} {key}": value for index, state in moments.items() for key, value in state.items()},
    }


@pytest.mark.parametrize("checkpoint_every", [1, 2, 3])
@pytest.mark.parametrize("killed_after", [1, 2, 3, 4])
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path, killed_after, checkpoint_every):
    settings = EpochSettings(epochs=4, schedule="cosine", checkpoint_every=checkpoint_every)
    whole, history = run(settings)
    told = []

    def kill(name, done, epochs, losses):
        told.append((name, done, epochs, losses))
        if done == killed_after and len(told) == killed_after:
            raise KilledError("here")

    path = tmp_path / "toy.safetensors"
    with pytest.raises(KilledError, match="here"):
        run(settings, checkpoint=path, progress=kill)
    torch.rand(3)  # the global generator is not where it was
    resumed, history_resumed = run(settings, checkpoint=path, progress=kill)

    assert history_resumed == history
    expected, found = state_of(whole), state_of(resumed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    last = 0 if killed_after < checkpoint_every else killed_after // checkpoint_every * checkpoint_every
    first_done = 4 if killed_after == 4 else last  # the last epoch always writes
    assert [done for _, done, *_ in told] == [*range(1, killed_after + 1), *range(first_done + 1, 5)]


def test_a_finished_training_is_not_trained_again(tmp_path):
    settings = EpochSettings(epochs=2)
    first, history = run(settings, checkpoint=tmp_path / "toy")
    again, history_again = run(settings, checkpoint=tmp_path / "toy")
    assert history_again == history
    assert again.rates == []
    assert all(torch.equal(value, state_of(again)[key]) for key, value in state_of(first).items())


def test_the_callers_global_generator_is_given_back():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        expected = torch.rand(1)
        torch.manual_seed(5)
        run(EpochSettings(epochs=1))
        assert torch.equal(torch.rand(1), expected)


def test_learning_rates():
    constant, _ = run(EpochSettings(epochs=2, learning_rate=0.01))
    assert constant.rates == [0.01] * (2 * STEPS)
    cosine, _ = run(EpochSettings(epochs=2, learning_rate=0.01, schedule="cosine"))
    expected = [0.005 * (1 + math.cos(math.pi * step / (2 * STEPS))) for step in range(2 * STEPS)]
    assert cosine.rates == pytest.approx(expected, rel=1e-12)
    quarters, _ = run(EpochSettings(epochs=4, learning_rate=0.01, schedule="step"))
    assert quarters.rates == pytest.approx([0.01 / 10 ** (step // STEPS) for step in range(4 * STEPS)], rel=1e-12)


def test_sgd_follows_its_momentum_and_decay():
    settings = EpochSettings(optimizer="sgd", momentum=0.8, weight_decay=0.1, learning_rate=0.05)
    network = nn.Linear(2, 1, bias=False)
    optimizer, weight = settings.build_optimizer(network), network.weight.detach().clone()
    momentum = torch.zeros_like(weight)
    for value in (1.0, -2.0, 0.5):
        network.weight.grad = torch.full_like(weight, value)
        optimizer.step()
        momentum = 0.8 * momentum + value + 0.1 * weight
        weight = weight - 0.05 * momentum
    torch.testing.assert_close(network.weight.detach(), weight)


def test_a_number_of_steps_in_all_ends_in_a_shorter_pass(tmp_path):
    settings = EpochSettings(optimizer="sgd", total_steps=8, learning_rate=0.01, schedule="step", checkpoint_every=1)
    assert settings.plan(STEPS) == [3, 3, 2]

    def parts(epoch):
        return batches(epoch)[: settings.plan(STEPS)[epoch]]

    whole, history = run(settings, batches=parts)
    assert len(history) == 3
    assert whole.rates == pytest.approx([0.01, 0.01, 0.001, 0.001, 1e-4, 1e-4, 1e-5, 1e-5], rel=1e-12)

    def killed(epoch):
        if epoch == 2:
            raise KilledError
        return parts(epoch)

    with pytest.raises(KilledError):
        run(settings, batches=killed, checkpoint=tmp_path / "toy")
    resumed, _ = run(settings, batches=parts, checkpoint=tmp_path / "toy")
    assert all(torch.equal(value, state_of(resumed)[name]) for name, value in state_of(whole).items())


def test_losses_are_means_over_the_steps_of_an_epoch():
    _, history = run(EpochSettings(epochs=2, learning_rate=1e-12))
    assert [set(losses) for losses in history] == [{"error"}] * 2
    _, by_step = run(EpochSettings(epochs=1, learning_rate=1e-12), batches=lambda epoch: batches(0)[:1])
    assert history[0] != by_step[0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_non_finite_loss_names_its_place(tmp_path, value):
    def diverging(epoch):
        return [(x * (value if epoch == 1 else 1), y) for x, y in batches(epoch)]

    path = tmp_path / "toy.safetensors"
    settings = EpochSettings(epochs=3, checkpoint_every=1)
    with pytest.raises(TrainingDivergedError, match=r"the error loss of the toy training is (nan|inf) in epoch 2"):
        run(settings, batches=diverging, checkpoint=path)
    resumed, history = run(settings, checkpoint=path)
    assert len(history) == 3
    assert len(resumed.rates) == 2 * STEPS


@pytest.mark.parametrize(
    ("change", "differs"),
    [({"identity": "other labels"}, "identity"), ({"epochs": 5}, "settings"), ({"learning_rate": 1.0}, "settings")],
)
def test_a_checkpoint_of_something_else_is_refused(tmp_path, change, differs):
    path = tmp_path / "toy.safetensors"
    run(EpochSettings(epochs=2), checkpoint=path, identity="these labels")
    options = {"identity": change.get("identity", "these labels")}
    settings = EpochSettings(**{"epochs": 2} | {key: value for key, value in change.items() if key != "identity"})
    with pytest.raises(CheckpointError, match=f"was written for another {differs}; remove it to start afresh"):
        run(settings, checkpoint=path, **options)


def test_a_checkpoint_is_read_once(tmp_path, monkeypatch):
    path, opened = tmp_path / "toy.safetensors", []
    run(EpochSettings(epochs=2), checkpoint=path)

    def counting(*arguments, **options):
        opened.append(arguments[0])
        return safe_open(*arguments, **options)

    monkeypatch.setattr(checkpoint, "safe_open", counting)
    run(EpochSettings(epochs=2), checkpoint=path)
    assert opened == [path]


def test_weights_are_digested_for_checkpoints_alone(tmp_path, monkeypatch):
    digested = []
    monkeypatch.setattr(epochs, "_start_of", lambda training: digested.append(training) or "start")
    run(EpochSettings(epochs=1))
    assert digested == []
    training, _ = run(EpochSettings(epochs=1), checkpoint=tmp_path / "toy")
    assert digested == [training]


@pytest.mark.parametrize(("images", "steps"), [(1, 1), (128, 1), (129, 2), (1000, 8)])
def test_an_epoch_is_one_pass(images, steps):
    assert EpochSettings().steps(images) == steps
    assert EpochSettings(steps_per_epoch=3).steps(images) == 3
