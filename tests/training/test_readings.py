"""Readings of the paper beyond the preset: each setting, and what it changes."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from minimax_al.deployment.model_file import load_model, save_model
from minimax_al.deployment.trained import trained_on
from minimax_al.errors import ConfigurationError
from minimax_al.loop import ActiveLearner
from minimax_al.networks import Adapter, CosineClassifier, Discriminator, count_parameters
from minimax_al.strategies import get_strategy
from minimax_al.testing import make_round
from minimax_al.training import MinimaxSettings, MinimaxTraining, Recipe, TaskSettings, fit_minimax, fit_supervised
from minimax_al.training.build import build_minimax_networks, build_task_model, class_means

WIDTH, CLASSES = 6, 3


@pytest.fixture
def networks():
    torch.manual_seed(0)
    adapter = Adapter(WIDTH, "linear").double()
    return adapter, CosineClassifier(WIDTH, CLASSES, 4).double(), Discriminator(WIDTH, 8).double()


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(4, WIDTH).double(), torch.tensor([0, 1, 2, 0]), torch.randn(9, WIDTH).double()


def trained(networks, batch, runtime, steps=1, **settings):
    training = MinimaxTraining(*map(deepcopy, networks), MinimaxSettings(update="joint", **settings), runtime)
    losses = [training.step(*batch) for _ in range(steps)]
    return training.networks, losses


def with_minimax(round_, **changes):
    settings = round_.recipe.minimax.changed(changes)
    on_features = round_.recipe.features.minimax.changed(changes)
    features = round_.recipe.features.model_copy(update={"minimax": on_features})
    return replace(round_, recipe=round_.recipe.model_copy(update={"minimax": settings, "features": features}))


def with_task(round_, **changes):
    task = round_.recipe.task.model_copy(update=changes)
    return replace(round_, recipe=round_.recipe.model_copy(update={"task": task}))


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def equal(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


# D against F


def test_f_plays_against_d_and_d_does_not_follow(networks, batch, runtime64):
    x, _, u = batch
    discriminator = networks[2]

    def taken_for_labelled(encoder):
        with torch.no_grad():
            return float(torch.cat([discriminator(encoder(x)), discriminator(encoder(u))]).sigmoid().log().mean())

    rates = {"encoder_rate": 1e-4, "classifier_rate": 1e-9, "discriminator_rate": 1e-9, "entropy_weight": 0.0}
    without, _ = trained(networks, batch, runtime64, 5, **rates)
    against, losses = trained(networks, batch, runtime64, 5, adversary_weight=1e4, **rates)
    assert taken_for_labelled(against["encoder"]) > taken_for_labelled(without["encoder"])
    first = networks[0]
    with torch.no_grad():
        # The loss is that of F after the supervised step, whose rate is small: close to the first F's.
        expected = F.softplus(-discriminator(first(x))).mean() + F.softplus(-discriminator(first(u))).mean()
        assert float(losses[0]["adversary"]) == pytest.approx(float(expected), rel=0.05)
    assert set(losses[0]) == {"classification", "labelledness", "adversary"}


def test_playing_against_d_and_helping_it_exclude_each_other():
    with pytest.raises(ConfigurationError, match="lets F play against D, and detach=False lets F help D"):
        MinimaxSettings().changed({"adversary_weight": 0.1, "detach": False})


# D's input


def test_d_reads_what_the_setting_names():
    features = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(0))
    d = {name: Discriminator(WIDTH, 8, reads=name) for name in ("features", "unnormalised")}
    d["unnormalised"].load_state_dict(d["features"].state_dict())
    with torch.no_grad():
        assert torch.allclose(d["features"](features), d["features"](3 * features), atol=1e-5)
        assert not torch.allclose(d["unnormalised"](features), d["unnormalised"](3 * features))
        scaled = features / features.norm(dim=1, keepdim=True) / 0.05
        assert torch.allclose(d["unnormalised"](scaled), d["features"](features), atol=1e-5)


@pytest.mark.parametrize("samples", ["images", "features"])
def test_d_on_the_bottleneck_learns_from_it_and_leaves_it_alone(samples):
    round_ = with_minimax(
        make_round(samples=samples), discriminator_input="bottleneck", bottleneck=5, entropy_weight=0.0
    )
    models = fit_minimax(round_)
    assert models.discriminator.in_features == 5
    (x,) = round_.feed.plain(round_.dataset.train, round_.unlabelled, 100)
    with torch.no_grad():
        expected = models.discriminator(models.classifier.bottleneck(models.encoder(x)))
        assert torch.equal(models.labelledness(models.outputs(x)), expected)
    query = get_strategy("mal").query(round_, models, 4)
    torch.testing.assert_close(query.scores["labelledness"], expected, rtol=1e-9, atol=1e-12)
    # D's loss is of detached features: with λ = 0 the classifier is the one that is trained without D.
    without = fit_minimax(with_minimax(round_, discriminator=False))
    assert equal(weights(models.classifier), weights(without.classifier))


def test_d_on_a_bottleneck_that_is_not_there_is_refused():
    round_ = with_minimax(make_round(samples="features"), discriminator_input="bottleneck", bottleneck=None)
    with pytest.raises(ConfigurationError, match="needs a bottleneck, and the classifier has none: set"):
        fit_minimax(round_)


def test_d_on_masks_reads_the_bottleneck_too():
    round_ = with_minimax(make_round("segmentation"), discriminator_input="bottleneck", bottleneck=5)
    assert fit_minimax(round_).discriminator.in_features == 5


# Cross-entropy first


@pytest.mark.parametrize("samples", ["images", "features"])
def test_the_warm_up_is_supervised_steps_before_the_game(samples, monkeypatch):
    round_ = with_minimax(make_round(samples=samples), warmup_steps=3)
    steps = []
    learn, play = MinimaxTraining.learn_labels, MinimaxTraining.step
    monkeypatch.setattr(MinimaxTraining, "learn_labels", lambda self, *b: (steps.append("CE"), learn(self, *b))[1])
    monkeypatch.setattr(MinimaxTraining, "step", lambda self, *b: (steps.append("game"), play(self, *b))[1])
    models = fit_minimax(round_)
    assert steps == ["CE", "CE", "CE", "game", "game"]
    assert set(models.history) == {"warm-up", "minimax", "task"}
    assert len(models.history["warm-up"]) == 1


def test_a_fit_resumed_after_its_warm_up_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    round_ = with_minimax(make_round(), warmup_steps=3)
    whole = fit_minimax(round_)
    kept = replace(round_, folder=tmp_path)
    play = MinimaxTraining.step
    monkeypatch.setattr(MinimaxTraining, "step", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fit_minimax(kept)
    monkeypatch.setattr(MinimaxTraining, "step", play)
    resumed = fit_minimax(kept)
    assert equal(weights(whole.encoder), weights(resumed.encoder))
    assert equal(weights(whole.task_model), weights(resumed.task_model))


# Carried over


def learner(strategy, samples="images", **task):
    round_ = make_round(samples=samples)
    made = ActiveLearner(round_.dataset, get_strategy(*strategy[:1], **strategy[1]), with_task(round_, **task).recipe)
    made.teach(round_.labelled, round_.dataset.train_targets[round_.labelled])
    return made


@pytest.mark.parametrize("samples", ["images", "features"])
def test_f_c_and_d_start_from_the_last_rounds(samples):
    made = learner(("mal", {"carry_over": True, "imprint": False}), samples)
    first = made.fit()
    made.teach(torch.tensor([3]), made.dataset.train_targets[[3]])
    round_ = made.round
    built = build_minimax_networks(round_, made.strategy.minimax_settings(round_))
    for network, name in zip(built, ("encoder", "classifier", "discriminator"), strict=True):
        assert equal(weights(getattr(first, name)), weights(network)), name
    alone = learner(("mal", {"imprint": False}), samples)
    alone.fit()
    alone.teach(torch.tensor([3]), alone.dataset.train_targets[[3]])
    assert alone.previous == {}


def test_only_new_classes_are_imprinted_on_carried_prototypes():
    round_ = make_round(samples="features")
    made = ActiveLearner(
        round_.dataset,
        get_strategy("mal", carry_over=True),
        round_.recipe.model_copy(update={"missing_classes": "warn"}),
    )
    known = round_.labelled[round_.dataset.train_targets[round_.labelled] != 2]
    new = round_.labelled[round_.dataset.train_targets[round_.labelled] == 2]
    made.teach(known, round_.dataset.train_targets[known])
    first = made.fit()
    made.teach(new, round_.dataset.train_targets[new])
    # No step is taken: what C ends with is what it started with.
    still = made.strategy.minimax_settings(made.round).changed({"learning_rate": 1e-30, "classifier_rate": 1e-30})
    second = fit_minimax(made.round, still)
    assert torch.equal(second.classifier.weight[:2], first.classifier.weight[:2])
    (x,) = round_.feed.plain(round_.dataset.train, new, 100)
    with torch.no_grad():
        mean = class_means(second.classifier.directions(second.encoder(x)), torch.zeros(len(new), dtype=torch.int64), 1)
    torch.testing.assert_close(second.classifier.weight[2:], mean, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["random", "mal", "ensemble"])
def test_m_starts_from_the_last_rounds_m(name):
    made = learner((name, {}), carry_over=True)
    first = made.fit()
    made.teach(torch.tensor([3]), made.dataset.train_targets[[3]])
    assert equal(weights(first.task_model), weights(build_task_model(made.round)))
    if name == "ensemble":
        member = build_task_model(made.round.as_member(1))
        assert equal(weights(first.others["member-1"]), weights(member))


def test_carried_networks_of_another_shape_are_refused():
    round_ = with_task(make_round(), carry_over=True)
    previous = {"task_model": {"head.weight": torch.zeros(2, 2)}}
    with pytest.raises(ConfigurationError, match="the task model of the last round is another network"):
        build_task_model(replace(round_, previous=previous))


# M as a cosine head


def test_m_as_a_cosine_head_is_equation_1_and_counts_as_the_paper_prints():
    round_ = with_task(make_round(), head="cosine", temperature=0.1)
    model = fit_supervised(round_).task_model
    (x,) = round_.feed.plain(round_.dataset.train, round_.unlabelled, 100)
    with torch.no_grad():
        features = model.encoder(x)
        expected = features / features.norm(dim=1, keepdim=True) @ model.head.weight.T / 0.1
        torch.testing.assert_close(model(x), expected)
    resnet = make_round()
    recipe = Recipe(encoder="resnet18", task=TaskSettings(head="cosine"))
    names = tuple(map(str, range(100)))
    big = replace(resnet, recipe=recipe, dataset=replace(resnet.dataset, class_names=names))
    assert f"{count_parameters(build_task_model(big)) / 1e6:.2f}M" == "11.23M"


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_a_cosine_m_is_written_and_read(task, tmp_path):
    round_ = with_task(make_round(task), head="cosine")
    model = fit_supervised(round_).task_model
    save_model(tmp_path / "m.safetensors", trained_on(round_.dataset, model, round_.recipe, {}))
    read = load_model(tmp_path / "m.safetensors").model
    (x,) = round_.feed.plain(round_.dataset.train, round_.unlabelled[:3], 3)
    with torch.no_grad():
        assert torch.equal(read(x), model(x))
