"""Views of an image: its file, its pick, the mask of its label, and a model's prediction per pixel."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from minimax_al.campaign.model.learning import Session
from minimax_al.campaign.store.schema import runs
from minimax_al.errors import DataError, UnknownNameError

from ...support.campaigns import TINY_RECIPE  # noqa: TID252 - shared fixtures
from ...support.fakes import random_image  # noqa: TID252 - the same images


def test_a_image_is_its_file_below_the_folder(campaign):
    assert campaign.image("a/000.png") == (campaign.images / "a/000.png").resolve()
    assert campaign.image(1) == campaign.image("a/000.png")
    (campaign.images / "a/000.png").unlink()
    with pytest.raises(DataError, match=r"'a/000\.png' is gone from .*: put it back, or run 'mal status'"):
        campaign.image(1)
    with pytest.raises(DataError, match="99 is not an image of this campaign"):
        campaign.image(99)


def test_a_link_is_followed_within_the_folder_and_refused_beyond(make_campaign, save_images, tmp_path):
    images = save_images(2)
    random_image(50).save(tmp_path / "outside.png")
    (images / "out.png").symlink_to(tmp_path / "outside.png")
    (images / "in.png").symlink_to(images / "a/000.png")
    campaign = make_campaign(images=images)
    assert campaign.image("in.png") == (images / "a/000.png").resolve()
    with pytest.raises(DataError, match=r"'out\.png' is a link that leads out of"):
        campaign.image("out.png")
    (images / "a/000.png").unlink()  # an image that was one when the campaign looked
    (images / "a/000.png").symlink_to("/etc/passwd")
    with pytest.raises(DataError, match="leads out of"):
        campaign.image("a/000.png")
    folder = images / "b"
    folder.rename(tmp_path / "b")
    folder.symlink_to(tmp_path / "b")
    with pytest.raises(DataError, match="leads out of"):
        campaign.image("b/001.png")


def test_find_pick_returns_the_rounds_pick(campaign):
    campaign.query(4)
    first = campaign.picks()
    campaign.skip([pick.item for pick in first], author="ann")
    campaign.query(12, "random")
    for pick in campaign.picks():
        assert campaign.pick(pick.item) == campaign.pick(pick.path, 2) == pick
    for pick in campaign.picks(1):
        assert campaign.pick(pick.item, 1) == pick
    campaign.label(first[0].item, "cat", author="ann")
    assert (campaign.pick(first[0].item).answer, campaign.pick(first[0].item).class_name) == ("label", "cat")


def test_an_image_without_a_pick_is_reported(campaign):
    with pytest.raises(DataError, match=r"'a/000\.png' was not picked in any round$"):
        campaign.pick(1)
    campaign.query(12)
    with pytest.raises(DataError, match=r"'a/000\.png' was not picked in round 7"):
        campaign.pick(1, 7)


def test_the_curve_has_one_point_per_number_of_labels(campaign, clock):
    measured = [(20, 0.5, 10), (10, 0.25, 8), (20, 0.75, 12), (30, 0.9, 0)]
    with campaign.store.writing() as connection:
        for number, (labels, accuracy, held_out) in enumerate(measured):
            row = {"state": "done", "strategy": "mal", "fingerprint": str(number), "metrics": {"accuracy": accuracy}}
            times = {"started_at": clock(), "finished_at": clock()}
            connection.execute(runs.insert().values(labels=labels, held_out=held_out, **row, **times))
    curve = campaign.curve()
    assert [(point.labels, point.score) for point in curve] == [(10, 0.25), (20, 0.75)]  # 30 was never measured
    for point, held_out in zip(curve, (8, 12), strict=True):
        for end in (point.low, point.high):  # the inversion of the score test
            deviation = 1.959963984540054 * math.sqrt(end * (1 - end) / held_out)
            assert abs(point.score - end) == pytest.approx(deviation, abs=1e-9)


def test_a_query_stores_the_models_views(make_campaign, save_images):
    recipe = TINY_RECIPE | {"encoder": "dconv4"}
    classes = ["left", "right", "other"]
    campaign = make_campaign(
        images=save_images(10), task="segmentation", classes=classes, stored_size=16, recipe=recipe
    )
    mask = np.zeros((16, 20), dtype=np.uint8)
    mask[:, 10:] = 1
    campaign.query(6)
    for pick in campaign.picks():
        assert campaign.view(pick.item, "prediction") is None
        assert campaign.view(pick.item, "label") is None
        campaign.label_mask(pick.item, mask, author="ann")
    with Image.open(campaign.view(pick.item, "label")) as label:
        np.testing.assert_array_equal(np.asarray(label), mask)
    campaign.query(2, "entropy")
    place = campaign.context
    session = Session(place, "entropy")
    session.fit()
    ids = [image.id for image in session.training_data.unlabelled]
    for pick in campaign.picks():
        index = len(session.training_data.labelled) + ids.index(pick.item)
        models = session.learner.models
        logits = session.learner.round.stream(
            lambda x, models=models: {"logits": models.outputs(x).logits}, torch.tensor([index])
        )["logits"][0].double()
        p = logits.softmax(0)
        entropy = -(p * p.log()).sum(0) / math.log(3)
        seen = {}
        for kind in ("prediction", "entropy"):
            with Image.open(campaign.view(pick.item, kind)) as view:
                assert (view.mode, view.size) == ("L", (20, 16))
                seen[kind] = np.asarray(view)
        columns = [int((column + 0.5) * 16 / 20) for column in range(20)]  # of the square, below those of the image
        np.testing.assert_array_equal(seen["prediction"], logits.argmax(0).numpy()[:, columns])
        assert np.abs(seen["entropy"] - 255 * entropy.numpy()[:, columns]).max() <= 0.51
    random_image(77, (20, 16)).save(campaign.images / pick.path)  # nobody has seen what is there now
    campaign.refresh()
    assert campaign.view(pick.item, "prediction") is None


def test_an_unknown_view_is_refused(campaign):
    assert campaign.view(1, "label") is None
    assert campaign.view(1, "entropy") is None
    with pytest.raises(UnknownNameError, match="unknown view 'entrpy'; did you mean 'entropy'"):
        campaign.view(1, "entrpy")
