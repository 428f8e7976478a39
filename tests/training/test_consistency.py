from dataclasses import replace

import numpy as np
import pytest
import torch

from minimax_al.errors import ConfigurationError
from minimax_al.testing import make_round
from minimax_al.training import MinimaxSettings, fit_minimax
from minimax_al.training.consistency import consistency_loss


def test_loss_is_the_formula_of_fixmatch():
    generator = torch.Generator().manual_seed(0)
    weak, strong = 4 * torch.randn(2, 50, 5, generator=generator, dtype=torch.float64)
    loss, confident = consistency_loss(weak, strong, 0.7)

    probs = np.exp(weak.numpy()) / np.exp(weak.numpy()).sum(axis=1, keepdims=True)
    other = np.exp(strong.numpy()) / np.exp(strong.numpy()).sum(axis=1, keepdims=True)
    sure = probs.max(axis=1) >= 0.7
    assert 0 < sure.sum() < 50
    expected = -(np.log(other[np.arange(50), probs.argmax(axis=1)]) * sure).sum() / 50
    assert float(loss) == pytest.approx(expected)
    assert float(confident) == pytest.approx(sure.mean())


def test_pseudo_labels_receive_no_gradient():
    weak, strong = (torch.randn(6, 3, requires_grad=True) for _ in range(2))
    consistency_loss(weak, strong, 0.0)[0].backward()
    assert weak.grad is None
    assert strong.grad.abs().sum() > 0


def test_no_confident_prediction_means_zero_loss():
    strong = torch.randn(6, 3, requires_grad=True)
    loss, confident = consistency_loss(torch.zeros(6, 3), strong, 0.9)
    loss.backward()
    assert loss.item() == 0 == confident.item()
    assert torch.equal(strong.grad, torch.zeros(6, 3))


@pytest.mark.parametrize("update", ["alternating", "joint"])
@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_a_round_is_fitted_with_consistency(round_, with_recipe, update, weight):
    settings = MinimaxSettings(
        epochs=2, steps_per_epoch=3, batch_size=6, discriminator_hidden=8, update=update,
        entropy_weight=weight, consistency_weight=1.0, consistency_threshold=0.0,
    )  # fmt: skip
    models = fit_minimax(with_recipe(round_, minimax=settings))
    assert {"consistency", "confident", "entropy", "labelledness"} < models.history["minimax"][0].keys()
    assert models.history["minimax"][-1]["confident"] == 1  # with threshold 0 every image counts

    plain = fit_minimax(with_recipe(round_, minimax=settings.model_copy(update={"consistency_weight": 0.0})))
    assert "consistency" not in plain.history["minimax"][0]


def test_agreement_grows_when_it_alone_is_learnt(round_, with_recipe):
    settings = MinimaxSettings(
        epochs=12, steps_per_epoch=4, batch_size=32, discriminator=False, learning_rate=3e-3,
        entropy_weight=0.0, consistency_weight=1.0, consistency_threshold=0.0,
    )  # fmt: skip
    history = fit_minimax(with_recipe(round_, minimax=settings)).history["minimax"]
    assert history[-1]["consistency"] < 0.8 * history[0]["consistency"]


def test_without_unlabelled_images_there_is_nothing_to_agree_on(round_, with_recipe):
    settings = MinimaxSettings(epochs=1, steps_per_epoch=2, batch_size=6, consistency_weight=1.0)
    everything = torch.arange(len(round_.targets))
    full = replace(
        with_recipe(round_, minimax=settings),
        labelled=everything, unlabelled=everything[:0], targets=round_.dataset.train_targets,
    )  # fmt: skip
    assert "consistency" not in fit_minimax(full).history["minimax"][0]


def test_segmentation_refuses_it(with_recipe):
    round_ = with_recipe(make_round(task="segmentation"), minimax=MinimaxSettings(consistency_weight=0.5))
    with pytest.raises(ConfigurationError, match=r"consistency_weight=0\.5 is for the classification"):
        fit_minimax(round_)
