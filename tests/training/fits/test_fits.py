from dataclasses import replace

import pytest
import torch
from sklearn.metrics import roc_auc_score

from minimax_al.data import load_dataset
from minimax_al.errors import DataError, TrainingDivergedError
from minimax_al.strategies import get_strategy
from minimax_al.training import (
    MinimaxSettings,
    RuntimeSettings,
    TaskSettings,
    TaskTraining,
    VaalSettings,
    VaalTraining,
    fit_minimax,
    fit_supervised,
    fit_vaal,
)
from minimax_al.training.build import build_minimax_networks, build_task_model
from minimax_al.training.checkpoint import read_tensors
from minimax_al.training.fits import fits


class KilledError(Exception):
    pass


def weights(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.fixture
def longer(round_, with_recipe):
    """Three epochs of the game, two of the others, a checkpoint after every other one."""
    shared = {"steps_per_epoch": 2, "batch_size": 6, "checkpoint_every": 2, "schedule": "cosine"}
    return with_recipe(
        round_,
        minimax=MinimaxSettings(epochs=3, discriminator_hidden=8, **shared),
        task=TaskSettings(epochs=2, **shared),
        vaal=VaalSettings(epochs=3, latent=4, widths=(4, 8), **shared),
    )


def test_the_task_model_and_the_encoder_start_from_the_same_weights(round_):
    encoder, *_ = build_minimax_networks(round_, round_.recipe.minimax)
    assert equal(weights(build_task_model(round_).encoder), weights(encoder))
    assert equal(weights(build_task_model(round_, dropout=0.5)), weights(build_task_model(round_)))
    other = build_task_model(replace(round_, seed=1))
    assert not equal(weights(other.encoder), weights(encoder))
    member = build_task_model(round_.as_member(1))
    assert not equal(weights(member.encoder), weights(encoder))


def test_weights_outside_of_xaviers_rule_follow_the_seed_too(round_, with_recipe, monkeypatch):
    class Token(torch.nn.Module):
        """Stand-in for a transformer, whose class token is drawn when it is built."""

        def __init__(self):
            super().__init__()
            self.token = torch.nn.Parameter(torch.randn(3))

    monkeypatch.setattr("minimax_al.training.build.build_encoder", lambda *names, **settings: Token())
    networks = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        monkeypatch.setattr("minimax_al.training.build.TaskModel", lambda encoder, classes, dropout: encoder)
        monkeypatch.setattr(Token, "head", torch.nn.Linear(2, 2), raising=False)
        networks.append(build_task_model(round_))
    assert torch.equal(networks[0].token, networks[1].token)


def test_the_task_model_starts_from_a_copy_of_the_encoder(round_, monkeypatch):
    starts = []
    train = fits._train_task_model

    def spy(round_, task_model):
        starts.append(weights(task_model.encoder))
        return train(round_, task_model)

    monkeypatch.setattr(fits, "_train_task_model", spy)
    models = fit_minimax(round_)
    # F as the game left it, and still so after M was trained.
    assert equal(starts[0], weights(models.encoder))
    assert not equal(weights(models.task_model.encoder), weights(models.encoder))
    shared = {id(part) for part in models.task_model.parameters()} & {id(part) for part in models.encoder.parameters()}
    assert not shared


@pytest.mark.parametrize("fit", [fit_minimax, fit_supervised])
def test_networks_are_left_in_evaluation_mode(round_, fit):
    networks = fit(round_).networks
    assert not [name for name, network in networks.items() for part in network.modules() if part.training]
    assert set(networks) == (
        {"task_model"} if fit is fit_supervised else {"task_model", "encoder", "classifier", "discriminator"}
    )


def test_all_strategies_train_the_task_model_on_the_same_draws(round_, monkeypatch):
    seen = []
    step = TaskTraining.step

    def spy(training, x, y):
        seen[-1].append((x.clone(), y.clone()))
        return step(training, x, y)

    monkeypatch.setattr(TaskTraining, "step", spy)
    for name in ("random", "mal", "random+mal", "bald", "vaal", "mal-no-discriminator"):
        seen.append([])
        get_strategy(name).fit(round_)
    for batches in seen[1:]:
        assert len(batches) == len(seen[0]) > 0
        for (x, y), (first_x, first_y) in zip(batches, seen[0], strict=True):
            assert torch.equal(x, first_x)
            assert torch.equal(y, first_y)


def test_strategies_that_train_alike_end_alike(round_):
    first = get_strategy("random").fit(round_)
    for name in ("entropy", "coreset", "vaal", "ensemble"):
        assert equal(weights(first.task_model), weights(get_strategy(name).fit(round_).task_model)), name
    game = get_strategy("mal").fit(round_)
    for name in ("random+mal", "badge+mal", "mal-product"):
        other = get_strategy(name).fit(round_)
        assert all(equal(weights(network), weights(other.networks[key])) for key, network in game.networks.items())


def final_checkpoints(folder):
    return {
        str(path.relative_to(folder)): (read_tensors(path)[0], read_tensors(path)[1]["state"])
        for path in sorted(folder.rglob("*.safetensors"))
    }


@pytest.mark.parametrize("name", ["mal", "bald+mal", "vaal", "ensemble"])
def test_a_fit_killed_after_any_epoch_and_resumed_equals_an_uninterrupted_one(longer, tmp_path, name):
    strategy = get_strategy(name, members=2) if name == "ensemble" else get_strategy(name)
    told = []
    whole = replace(longer, folder=tmp_path / "whole", progress=lambda *event: told.append(event))
    models = strategy.fit(whole)
    expected = final_checkpoints(whole.folder)

    for kill_at in range(1, len(told) + 1):
        left = [kill_at]

        def kill(*event, left=left):
            left[0] -= 1
            if left[0] == 0:
                raise KilledError("here")

        interrupted = replace(longer, folder=tmp_path / f"{kill_at}", progress=kill)
        with pytest.raises(KilledError, match="here"):
            strategy.fit(interrupted)
        resumed = strategy.fit(interrupted)
        for key, network in models.networks.items():
            assert equal(weights(network), weights(resumed.networks[key])), (kill_at, key)
        assert resumed.history == models.history
        # Moments of the optimisers and history are in the checkpoints.
        found = final_checkpoints(interrupted.folder)
        assert found.keys() == expected.keys()
        for path, (tensors, state) in expected.items():
            assert equal(tensors, found[path][0]), (kill_at, path)
            assert found[path][1] == state


def test_checkpoints_of_another_round_are_not_used(longer, tmp_path):
    first = replace(longer, folder=tmp_path)
    fit_supervised(first)
    later = replace(first, number=1, labelled=first.labelled.flip(0))
    assert equal(
        weights(fit_supervised(later).task_model), weights(fit_supervised(replace(later, folder=None)).task_model)
    )


def test_without_anything_unlabelled_the_game_is_supervised_training(round_):
    everything = torch.arange(len(round_.dataset.train))
    full = replace(round_, labelled=everything, unlabelled=everything[:0], targets=round_.dataset.train_targets.clone())
    models = fit_minimax(full)
    assert models.discriminator is None
    assert set(models.history["minimax"][0]) == {"classification"}
    assert get_strategy("vaal").fit(full).others == {}


@pytest.mark.parametrize("fit", [fit_minimax, fit_vaal])
def test_the_last_unlabelled_image_can_be_played_with(round_, fit):
    fit(replace(round_, unlabelled=round_.unlabelled[-1:]))


def relabelled(round_, labels, **fields):
    targets = round_.targets.clone()
    targets[round_.labelled] = torch.tensor(labels)
    return replace(round_, targets=targets, **fields)


@pytest.mark.parametrize("fit", [fit_minimax, fit_supervised])
def test_unusable_labels_are_refused(round_, with_recipe, fit, caplog):
    with pytest.raises(DataError, match="9 labelled images show 1 of 3 classes: label images of at least two"):
        fit(relabelled(round_, [1] * 9))
    with pytest.raises(DataError, match="0 labelled images show 0 of 3 classes"):
        fit(replace(round_, labelled=round_.labelled[:0]))
    some = relabelled(round_, [0, 1] * 4 + [0])
    with pytest.raises(DataError, match=r"1 of 3 classes have no label yet \('blue'\): label at least one image"):
        fit(some)
    fit(with_recipe(some, missing_classes="warn"))
    assert "1 of 3 classes have no label yet ('blue'): they cannot be predicted in this round" in caplog.text


def test_a_diverging_training_names_its_place(round_, with_recipe):
    wild = TaskSettings(epochs=3, steps_per_epoch=2, batch_size=6, learning_rate=1e300)
    with pytest.raises(TrainingDivergedError, match="the classification loss of the task training is nan in epoch"):
        fit_supervised(with_recipe(round_, task=wild))


def test_vaals_discriminator_finds_the_classes_without_a_label(round_, with_recipe):
    """Zeros and ones have labels; against its autoencoder, D is to take the other digits for unlabelled."""
    digits = load_dataset("digits")
    order = torch.randperm(len(digits.train), generator=torch.Generator().manual_seed(0))
    labelled = order[digits.train_targets[order] < 2][:100]
    unlabelled = order[-400:][~torch.isin(order[-400:], labelled)]
    settings = VaalSettings(
        epochs=10,
        steps_per_epoch=15,
        batch_size=32,
        learning_rate=0.003,
        schedule="cosine",
        latent=16,
        widths=(8, 16),
        beta=1 / (3 * 8 * 8),
        vae_steps=1,
    )
    pools = {"labelled": labelled, "unlabelled": unlabelled.sort().values, "targets": digits.train_targets}
    runtime = RuntimeSettings(device="cpu", precision="fp32")
    round_ = with_recipe(replace(round_, dataset=digits, **pools), vaal=settings, runtime=runtime)
    vae, discriminator, history = fit_vaal(round_)
    assert not vae.training
    assert not discriminator.training
    assert len(history) == 10

    logits = round_.stream(lambda x: {"logits": discriminator(vae.encode(x)[0])}, round_.unlabelled)["logits"]
    new = digits.train_targets[round_.unlabelled] >= 2
    # Chance is 0.5; this seed gives 0.93, others 0.74 to 0.91.
    assert roc_auc_score(new, -logits) > 0.7


def test_a_vaal_step_moves_the_vae_by_its_loss_and_the_discriminator_by_its_own(round_, runtime64):
    """The VAE wants all images to pass for labelled; D wants to tell them apart; neither moves the other."""
    from minimax_al.training.build import build_vaal_networks

    vae, discriminator = build_vaal_networks(round_)
    training = VaalTraining(vae, discriminator, VaalSettings(latent=4, widths=(4, 8)), runtime64)
    before = weights(vae), weights(discriminator)
    x = torch.randn(8, 3, 16, 16, dtype=torch.float64)
    training._vae_step(x)
    assert equal(weights(discriminator), before[1])
    moved = {key: value for key, value in weights(vae).items() if "running" not in key and "tracked" not in key}
    losses = training._discriminator_step(x, 4)
    assert all(torch.equal(value, vae.state_dict()[key]) for key, value in moved.items())
    assert not equal(weights(discriminator), before[1])
    assert set(losses) == {"labelledness"}
