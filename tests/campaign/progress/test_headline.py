"""What models are judged by: of classes the accuracy, of masks the mIoU, in these words and with their intervals."""

from dataclasses import replace

import numpy as np
import pytest

from minimax_al.campaign.model.measuring import miou_interval
from minimax_al.campaign.package.reporting import summary_sentences
from minimax_al.campaign.progress.advice import Measurement, advise
from minimax_al.campaign.progress.headline import read_interval, read_score, wilson_interval
from minimax_al.training.evaluation import HEADLINE
from minimax_al.vocabulary import HEADLINES

from ...support.campaigns import TINY_RECIPE  # noqa: TID252 - shared fixtures


@pytest.fixture
def masked(make_campaign, save_images):
    """A campaign of masks with 25 labels of 40."""
    campaign = make_campaign(
        images=save_images(40),
        task="segmentation",
        classes=["left", "right", "nowhere"],
        stored_size=16,
        recipe=TINY_RECIPE | {"encoder": "dconv4"},
        near_duplicates="off",
    )
    campaign.query(25, "random")
    for number, pick in enumerate(campaign.picks()):
        mask = np.zeros((16, 20), dtype=np.uint8)
        mask[:, 5 + number % 10 :] = 1
        mask[:2] = 255
        campaign.label_mask(pick.item, mask, author="ann")
    return campaign


def test_training_and_campaigns_judge_by_the_same():
    assert HEADLINES == HEADLINE


def test_masks_are_judged_by_their_miou_everywhere(masked):
    model = masked.train("entropy")
    now = masked.status()
    assert (model.metric, model.metric_name, model.score) == ("miou", "mIoU", model.metrics["miou"])
    assert model.metrics["miou"] != model.metrics["pixel_accuracy"]
    low, high = model.interval
    assert 0 < low <= model.score <= high < 1
    (point,) = masked.curve()
    assert (point.score, point.low, point.high) == (model.score, low, high)
    assert "was measured on 5 images only" in summary_sentences(now)[1]
    sentence = summary_sentences(replace(now, model=replace(now.model, measured_on=10)))[1]
    assert f"has mIoU {100 * model.score:.1f} % (95 % interval" in sentence
    assert "is right on" not in sentence
    assert "Learning curve" not in masked.report().read_text()  # of five images


def test_the_interval_is_the_bootstrap_over_images(masked):
    """The predictions themselves, drawn again image by image, as the definition has it."""
    model = masked.train("entropy")
    from minimax_al.campaign.features.datasets import build_dataset
    from minimax_al.campaign.features.training_data import read_training_data

    with masked.store.reading() as connection:
        training_data = read_training_data(connection)
    truth = build_dataset(masked.context, training_data).test_targets.numpy()
    said = {one.path: one.square for one in masked.predict(masked.images).images}
    images = [(said[known.path], mask) for known, mask in zip(training_data.held_out, truth, strict=True)]
    assert miou(images) == pytest.approx(model.score)
    generator = np.random.default_rng(1)
    drawn = [miou([images[i] for i in generator.integers(len(images), size=len(images))]) for _ in range(1500)]
    assert model.interval == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.012)


def miou(images):
    ious = []
    for label in range(3):
        shared = sum(((said == label) & (mask == label)).sum() for said, mask in images)
        either = sum((((said == label) & (mask != 255)) | (mask == label)).sum() for said, mask in images)
        if either:
            ious.append(shared / either)
    return np.mean(ious)


def test_equal_images_have_an_interval_of_length_zero():
    alike = np.tile([[30, 10, 0]], (7, 1))
    either = np.tile([[40, 20, 0]], (7, 1))
    assert miou_interval(alike, either, seed=0) == pytest.approx(((0.75 + 0.5) / 2,) * 2)
    assert miou_interval(alike, either, seed=0) == miou_interval(alike, either, seed=0)


@pytest.mark.parametrize(
    ("metrics", "held_out", "score", "interval"),
    [
        ({"accuracy": 0.75, "calibration_error": 0.1}, 8, 0.75, wilson_interval(0.75, 8)),
        ({"miou": 0.4, "pixel_accuracy": 0.8}, 8, 0.4, None),  # of an older version
        ({"miou": 0.4, "pixel_accuracy": 0.8, "miou_low": 0.3, "miou_high": 0.5}, 8, 0.4, (0.3, 0.5)),
        ({}, 0, None, None),
    ],
)
def test_the_headline_of_a_run(metrics, held_out, score, interval):
    assert read_score(metrics) == score
    assert read_interval(metrics, held_out) == interval


def test_advice_speaks_of_what_it_goes_by():
    points = [Measurement(n, 0.9 - 3 * n**-0.5, 2000) for n in (100, 200, 400, 800)]
    assert "points of mIoU (90 %" in advise(points, 5000, 200, 0.005, 0, metric="mIoU").reason
    assert "points of accuracy (90 %" in advise(points, 5000, 200, 0.005, 0).reason
    few = [point._replace(measured_on=9) for point in points]
    assert "mIoU is too uncertain" in advise(few, 5000, 200, 0.005, 0, metric="mIoU").reason


def test_a_class_absent_from_all_masks_is_reported(masked, caplog):
    masked.train("entropy")
    assert "1 of 3 classes have no label yet ('nowhere')" in caplog.text
