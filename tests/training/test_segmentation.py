"""Segmentation from the losses to the loop, on shapes drawn on the fly."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.classification import MulticlassJaccardIndex

from minimax_al.data import Augmentation, ResidentImages, load_dataset
from minimax_al.errors import ConfigurationError, DataError
from minimax_al.loop import ActiveLearner
from minimax_al.strategies import get_strategy
from minimax_al.testing import make_round
from minimax_al.training import (
    MinimaxSettings,
    Models,
    Outputs,
    Recipe,
    RuntimeSettings,
    TaskSettings,
    VaalSettings,
    evaluate,
    fit_minimax,
    fit_supervised,
)
from minimax_al.training.feed import Feed
from minimax_al.training.minimax import classification_loss, negative_entropy

QUICK = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4}


@pytest.fixture
def round_():
    return make_round("segmentation")


@pytest.fixture(scope="module")
def shapes():
    return load_dataset("shapes", size=24, train=16, test=4)


def recipe(**fields):
    return Recipe(
        encoder="dconv4",
        width=4,
        minimax=MinimaxSettings(**QUICK),
        task=TaskSettings(**QUICK),
        vaal=VaalSettings(**QUICK, latent=4, widths=(4, 8)),
        scoring_batch_size=5,
        runtime=RuntimeSettings(device="cpu", precision="fp64"),
    ).model_copy(update=fields)


def random_logits(shape=(3, 4, 5, 6), seed=0):
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def told_by_red():
    """Images with red values of 40, 80 or 120, and masks with the class of each value."""
    masks = torch.randint(0, 3, (24, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return (40 + 40 * masks)[:, None].repeat(1, 3, 1, 1), masks


def probabilities(logits):
    odds = np.exp(logits.detach().numpy())
    return odds / odds.sum(axis=1, keepdims=True)


def test_ignored_pixels_neither_count_nor_pull():
    """The loss against a loop over pixels; its gradient, (p − y) / pixels, is zero where pixels are ignored."""
    logits = random_logits().requires_grad_()
    targets = torch.randint(0, 4, (3, 5, 6), generator=torch.Generator().manual_seed(1))
    targets[0, :2], targets[1] = 255, 255
    p = probabilities(logits)
    kept = [(b, i, j) for b, i, j in np.ndindex(3, 5, 6) if targets[b, i, j] != 255]
    loss = classification_loss(logits, targets)
    expected = -np.mean([np.log(p[b, targets[b, i, j], i, j]) for b, i, j in kept])
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-12)
    loss.backward()
    gradient = np.zeros(p.shape)
    for b, i, j in kept:
        gradient[b, :, i, j] = p[b, :, i, j] / len(kept)
        gradient[b, targets[b, i, j], i, j] -= 1 / len(kept)
    np.testing.assert_allclose(logits.grad, gradient, atol=1e-15)


def test_a_batch_without_a_labelled_pixel_pulls_nothing():
    logits = random_logits().requires_grad_()
    classification_loss(logits, torch.full((3, 5, 6), 255)).backward()
    assert not logits.grad.any()


def test_entropy_is_a_mean_over_pixels_in_training_and_in_scoring():
    logits = random_logits()
    p = probabilities(logits)
    entropies = np.array([-(p[b] * np.log(p[b])).sum(axis=0).mean() for b in range(3)])
    outputs = Outputs(torch.zeros(3, 3, 5, 6), torch.zeros(3, 2, 1, 1), logits)
    np.testing.assert_allclose(outputs.entropy(), entropies, rtol=1e-12)
    assert float(negative_entropy(logits)) == pytest.approx(-entropies.mean(), rel=1e-12)


@pytest.mark.parametrize("name", ["entropy", "margin", "least_confidence"])
def test_scores_a_image_are_means_over_its_pixels(round_, name):
    models = fit_supervised(round_)
    query = get_strategy(name).query(round_, models, 3)
    (x,) = round_.feed.plain(round_.dataset.train, round_.unlabelled, 100)
    with torch.no_grad():
        p = np.sort(probabilities(models.task_model(x)), axis=1)
    values = {
        "entropy": -(p * np.log(p)).sum(axis=1),
        "margin": p[:, -1] - p[:, -2],
        "least_confidence": 1 - p[:, -1],
    }[name].mean(axis=(1, 2))
    np.testing.assert_allclose(query.scores[name], values, rtol=1e-9)
    order = np.argsort(values if name == "margin" else -values)
    assert query.indices.tolist() == round_.unlabelled[order[:3]].tolist()


@pytest.mark.parametrize("name", ["bald", "coreset", "vaal", "mal"])
def test_picks_do_not_depend_on_the_batches_of_scoring(round_, with_recipe, name):
    strategy = get_strategy(name)
    models = strategy.fit(round_)
    picks = [
        strategy.query(with_recipe(round_, scoring_batch_size=size), models, 4).indices.tolist() for size in (1, 7, 99)
    ]
    assert picks[0] == picks[1] == picks[2]


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(flip=True),
        Augmentation(flip=True, pad_crop=3),
        Augmentation(flip=True, crop=9),
        Augmentation(flip=True, pad_crop=2, crop=12, input_size=24),
    ],
)
def test_image_and_mask_stay_aligned(round_, augmentation):
    """Images whose red values determine their masks; the padding is black."""
    pixels, masks = told_by_red()
    if augmentation.input_size:  # what is resized has no hard edges between pixels
        masks[:], pixels[:] = masks[:, :1, :1], pixels[:, :, :1, :1]
    dataset = replace(round_.dataset, train=ResidentImages(pixels), mean=(0.0, 0.0, 0.0), std=(1 / 255,) * 3)
    feed = Feed(dataset, augmentation, round_.runtime)
    seen = set()
    for x, y in feed.labelled(torch.arange(24), masks, 8, 6, torch.Generator().manual_seed(1)):
        inside = y != 255
        seen |= set(y.unique().tolist())
        if augmentation.input_size:
            x[:, :, ~inside.any(dim=0)] = 0
            inside &= (x[:, 0] % 40 == 0) & (x[:, 0] > 0)  # away from the edge of the padding
            assert inside.double().mean() > 0.7
        else:
            assert (x[:, 0][~inside] == 0).all()
        assert torch.equal(x[:, 0][inside], 40.0 + 40 * y[inside])
    assert seen == ({0, 1, 2, 255} if augmentation.pad_crop else {0, 1, 2})


STRATEGIES = ("random", "entropy", "margin", "least_confidence", "bald", "coreset", "ensemble", "vaal", "mal")
RULES = ("mal-threshold", "mal-filter", "mal-product", "mal-no-minimax", "mal-no-discriminator", "random+mal")


@pytest.mark.parametrize("name", [*STRATEGIES, *RULES])
def test_the_loop_runs_with_every_strategy(shapes, name):
    learner = ActiveLearner(shapes, name, recipe(), seed=1)
    learner.teach(range(6), shapes.train_targets[:6])
    learner.fit()
    metrics = learner.evaluate().metrics
    assert set(metrics) == {"miou", "pixel_accuracy"} | ({"classifier_miou"} if "mal" in name else set())
    query = learner.query(3)
    assert len(set(query.indices.tolist()) - set(range(6))) == 3
    assert all(values.shape == (10,) for values in query.scores.values())
    learner.teach(query.indices, shapes.train_targets[query.indices])
    assert len(learner.pool.labelled) == 9


@pytest.mark.parametrize("name", ["badge", "batchbald"])
def test_strategies_for_classification_say_so(shapes, name):
    with pytest.raises(ConfigurationError, match="is for classification, not for segmentation"):
        ActiveLearner(shapes, name, recipe())


def test_any_size_of_image_is_learnt_from():
    """Sides that neither the output stride nor the autoencoder's halvings divide."""
    odd = load_dataset("shapes", size=19, train=8, test=3)
    for name in ("vaal", "mal"):
        learner = ActiveLearner(odd, name, recipe())
        learner.teach(range(4), odd.train_targets[:4])
        learner.fit()
        assert len(learner.query(2).indices) == 2


def test_evaluation_equals_torchmetrics_on_all_logits_at_once(round_):
    targets = round_.dataset.test_targets.clone()
    targets[:, :3], targets[5] = 255, 255
    round_ = replace(round_, dataset=replace(round_.dataset, test_targets=targets))
    models = fit_minimax(round_)
    (x,) = round_.feed.plain(round_.dataset.test, torch.arange(24), 100)
    with torch.no_grad():
        logits = {"miou": models.task_model(x), "classifier_miou": models.outputs(x).logits}
    evaluation = evaluate(round_, models)
    for name, values in logits.items():
        jaccard = MulticlassJaccardIndex(3, ignore_index=255)(values, targets.long())
        assert evaluation.metrics[name] == pytest.approx(float(jaccard), abs=1e-6)
    shown = [iou for iou in evaluation.per_class if iou is not None]
    assert evaluation.metrics["miou"] == pytest.approx(np.mean(shown))


class _Reader(nn.Module):
    """A model that reads the class off the red of a pixel."""

    encoder = nn.Identity()

    def classify(self, pixels, size):
        assert pixels.shape[2:] == size
        return -(pixels[:, :1] - torch.tensor([40.0, 80.0, 120.0]).view(3, 1, 1)).abs()


@pytest.mark.parametrize("crop", [None, 9])
def test_evaluation_cuts_masks_as_it_cuts_images(round_, with_recipe, crop):
    pixels, masks = told_by_red()
    dataset = replace(
        round_.dataset, test=ResidentImages(pixels), test_targets=masks, mean=(0.0, 0.0, 0.0), std=(1 / 255,) * 3
    )
    round_ = with_recipe(replace(round_, dataset=dataset), augmentation=Augmentation(crop=crop))
    assert evaluate(round_, Models(_Reader())).metrics == {"miou": 1.0, "pixel_accuracy": 1.0}


def test_test_masks_that_are_void_throughout(round_):
    void = torch.full_like(round_.dataset.test_targets, 255)
    models = fit_supervised(round_)
    with pytest.raises(DataError, match="all pixels of the test masks of 'squares' are void"):
        evaluate(replace(round_, dataset=replace(round_.dataset, test_targets=void)), models)


def test_unusable_labels_are_refused(round_):
    with pytest.raises(DataError, match="all pixels of the 9 labelled images are void"):
        fit_supervised(replace(round_, targets=torch.full_like(round_.targets, 255)))
    one = torch.where(round_.targets == 1, 1, torch.full_like(round_.targets, 255))
    with pytest.raises(DataError, match="9 labelled images show 1 of 3 classes"):
        fit_minimax(replace(round_, targets=one))


def test_a_void_image_among_the_labelled_is_no_obstacle(round_):
    targets = round_.targets.clone()
    targets[round_.labelled[:5]] = 255
    fitted = fit_minimax(replace(round_, targets=targets))
    assert all(np.isfinite(list(epoch.values())).all() for losses in fitted.history.values() for epoch in losses)


@pytest.mark.parametrize("name", ["random", "mal"])
def test_training_learns_to_segment(name):
    """Far beyond what background alone would give, a quarter of its own IoU."""
    dataset = load_dataset("shapes", size=24, train=80, test=40)
    settings = {"epochs": 4, "steps_per_epoch": 20, "batch_size": 16, "learning_rate": 5e-3}
    learned = recipe(
        width=12,
        minimax=MinimaxSettings(**settings, update="joint"),
        task=TaskSettings(**settings),
        runtime=RuntimeSettings(device="cpu", precision="fp32"),
    )
    learner = ActiveLearner(dataset, name, learned)
    learner.teach(range(60), dataset.train_targets[:60])
    learner.fit()
    background = float((dataset.test_targets == 0).double().mean()) / 4
    assert learner.evaluate().metrics["miou"] > background + 0.08
