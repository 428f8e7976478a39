"""Loss prediction: the ranking loss pair by pair, the levels by hooks, and what reaches the encoder."""

from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minimax_al.errors import ConfigurationError
from minimax_al.networks import LossPrediction, build_encoder, encoder_levels
from minimax_al.testing import make_round
from minimax_al.training.fits import learning_loss
from minimax_al.training.fits.learning_loss import (
    LearningLossSettings,
    LearningLossTraining,
    fit_learning_loss,
    image_losses,
    predicted_losses,
    ranking_loss,
)
from minimax_al.training.heads import out_of_fold
from minimax_al.training.runtime.ranks import ALONE


@pytest.mark.parametrize("count", [2, 5, 8])
def test_the_ranking_loss_is_a_hinge_per_pair(count):
    generator = torch.Generator().manual_seed(count)
    predicted, losses = torch.randn(2, count, generator=generator)
    hinges = []
    for i in range(count // 2):
        j = count - 1 - i
        sign = 1 if losses[i] > losses[j] else -1
        hinges.append(max(0.0, -sign * float(predicted[i] - predicted[j]) + 0.5))
    assert float(ranking_loss(predicted, losses, 0.5, ALONE.mean)) == pytest.approx(np.mean(hinges), rel=1e-5)


def test_a_batch_of_one_image_has_no_pair():
    predicted = torch.ones(1, requires_grad=True)
    loss = ranking_loss(predicted, torch.ones(1), 1.0, ALONE.mean)
    loss.backward()
    assert loss.item() == 0
    assert float(predicted.grad.abs().sum()) == 0


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_every_rank_takes_part_in_the_mean_whatever_its_number_of_pairs(count):
    calls = []

    def mean(values, counted=None):
        calls.append(len(values))
        return ALONE.mean(values, counted)

    ranking_loss(torch.rand(count), torch.rand(count), 1.0, mean)
    assert calls == [count // 2]  # a rank that left out a collective would stop the others


@pytest.mark.parametrize(
    ("name", "last", "task"),
    [
        ("conv4", ["block1", "block2", "block3", "block4"], "classification"),
        ("resnet18", ["layer1", "layer2", "layer3", "layer4"], "classification"),
        ("dconv4", ["block1", "block2", "block4"], "segmentation"),
    ],
)
def test_levels_are_the_last_maps_of_each_size(name, last, task):
    encoder = build_encoder(name, task=task).eval()
    outputs = {}
    for key, layer in encoder.named_children():
        layer.register_forward_hook(lambda _module, _inputs, output, key=key: outputs.update({key: output}))
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = encoder(images)
        expected = [outputs[key] for key in last]
        levels, found = encoder_levels(encoder, images)
    assert len(levels) == len(expected)
    assert all(torch.equal(*pair) for pair in zip(levels, expected, strict=True))
    assert torch.equal(found, features)


def one_step(round_, *, attached, **changes):
    fitted = fit_learning_loss(round_)
    settings = LearningLossSettings(**changes)
    training = LearningLossTraining(
        deepcopy(fitted.task_model),
        deepcopy(fitted.others["loss_prediction"]),
        settings,
        round_.recipe.task,
        round_.runtime,
    )
    x, y = next(iter(round_.labelled_batches("task", 6, 0, 1)))
    losses = training.step(x, y, torch.tensor(attached))
    return losses, training.task_model.state_dict(), training.module.state_dict()


def test_the_ranking_loss_moves_the_encoder_only_while_attached():
    round_ = make_round()
    without, detached, attached = (
        one_step(round_, attached=attached, weight=weight)
        for attached, weight in ((True, 0.0), (False, 1.0), (True, 1.0))
    )
    assert all(torch.equal(without[1][key], detached[1][key]) for key in without[1])
    assert not all(torch.equal(without[1][key], attached[1][key]) for key in without[1])
    # The module itself learns either way.
    assert not all(torch.equal(without[2][key], detached[2][key]) for key in without[2])


def test_the_share_of_attached_epochs(monkeypatch):
    round_ = make_round()
    task = round_.recipe.task.model_copy(update={"epochs": 5, "steps_per_epoch": 1})
    object.__setattr__(round_, "recipe", round_.recipe.model_copy(update={"task": task}))
    seen = []
    step = LearningLossTraining.step
    monkeypatch.setattr(
        LearningLossTraining,
        "step",
        lambda self, x, y, attached: (seen.append(bool(attached)), step(self, x, y, attached))[1],
    )
    fit_learning_loss(round_, LearningLossSettings(attached=0.6))
    assert seen == [True, True, True, False, False]


def test_losses_of_masks_are_means_over_their_pixels():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 2, 2, generator=generator)
    masks = torch.randint(4, (3, 2, 2), generator=generator)
    masks[0, 0] = 255
    masks[2] = 255
    expected = [F.cross_entropy(logits[0, :, 1].T, masks[0, 1]), F.cross_entropy(logits[1:2], masks[1:2]), 0.0]
    assert image_losses(logits, masks).tolist() == pytest.approx([float(value) for value in expected])


def test_on_features_the_module_orders_out_of_fold_losses(monkeypatch):
    round_ = make_round(samples="features")
    found = []
    fold = out_of_fold.out_of_fold
    monkeypatch.setattr(learning_loss, "out_of_fold", lambda *args: (found.append(fold(*args)), found[-1])[1])
    models = fit_learning_loss(round_)
    (held,) = found
    losses = F.cross_entropy(held.logits, held.targets, reduction="none")
    (x,) = round_.feed.plain(round_.dataset.train, round_.labelled[held.positions], 100)
    with torch.no_grad():
        predicted = predicted_losses(models, models.outputs(x))
    order = np.corrcoef(losses.argsort().argsort(), predicted.argsort().argsort())[0, 1]
    assert order > 0.9


def test_a_level_without_channels_is_refused():
    with pytest.raises(ConfigurationError, match="width of level 1 is 0"):
        LossPrediction([3, 0])
