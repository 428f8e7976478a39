"""Every training keeps the likeliest classes of the pool's images, which need no torch to read."""

import numpy as np
import pytest

from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.progress.pool_predictions import (
    POOL,
    Likeliest,
    latest_pool_predictions,
    likeliest_classes,
    write_pool_predictions,
)
from minimax_al.campaign.progress.runs import run_folder

from ...support.feature_campaigns import CLASSES, class_of, write_clusters  # noqa: TID252 - shared fixtures


@pytest.fixture
def campaign(make_campaign, tmp_path):
    images, table = write_clusters(tmp_path / "pool", noise=0.6)
    campaign = make_campaign(classes=CLASSES, images=images, recipe=None, features=str(table), near_duplicates="off")
    for pick in (campaign.query(15), *campaign.picks())[1:]:
        campaign.label(pick.item, class_of(pick.path), "ann")
    return campaign


def latest(campaign):
    with campaign.store.reading() as connection:
        return latest_pool_predictions(connection, campaign.folder), list(class_ids(connection).values())


def test_a_training_on_features_predicts_the_whole_pool(campaign):
    assert latest(campaign)[0] is None
    campaign.train()
    found, ids = latest(campaign)
    assert found.items.tolist() == list(range(1, 46))
    assert found.classes.shape == (45, 3)
    assert set(found.classes.ravel().tolist()) == set(ids)
    assert np.allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert (np.diff(found.probabilities, axis=1) <= 0).all()
    assert found.trained_on.sum() == 15
    labelled = {pick.item for pick in campaign.picks()}
    assert set(found.items[found.trained_on].tolist()) == labelled


def test_predictions_equal_the_suggestions_of_the_same_model(campaign):
    campaign.train()
    found, ids = latest(campaign)
    campaign.query(20)  # by the same model: nothing was labelled since
    names = dict(zip(ids, CLASSES, strict=True))
    at = {item: position for position, item in enumerate(found.items.tolist())}
    for pick in campaign.picks():
        assert names[int(found.classes[at[pick.item], 0])] == pick.suggestion
        assert found.probabilities[at[pick.item], 0] == pytest.approx(pick.confidence, abs=1e-5)


def test_the_latest_whole_file_counts(campaign):
    first = campaign.train().run
    left = next(item for item in range(1, 46) if item not in {pick.item for pick in campaign.picks()})
    campaign.label(left, "red", "ann")
    second = campaign.train().run
    assert latest(campaign)[0].run == second
    file = run_folder(campaign.folder, second) / POOL
    file.write_bytes(file.read_bytes()[:100])  # as a power cut may leave it
    assert latest(campaign)[0].run == first


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_likeliest_classes_against_a_plain_computation(classes, tmp_path):
    draws = np.random.default_rng(classes)
    logits = draws.normal(size=(50, classes)) * 3
    probabilities = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    found = likeliest_classes(probabilities)
    for row, order, entropy in zip(probabilities.astype(np.float64), found.classes, found.entropy, strict=True):
        assert order.tolist() == sorted(range(classes), key=lambda one: -row[one])[:5]
        assert entropy == pytest.approx(-sum(p * np.log(p) for p in row) / np.log(classes), abs=1e-5)
    assert isinstance(found, Likeliest)
    write_pool_predictions(tmp_path, np.arange(50)[::-1], found, np.arange(classes) + 10, np.zeros(50, dtype=bool))
    with np.load(tmp_path / POOL) as arrays:
        assert arrays["items"].tolist() == list(range(50))
        assert arrays["classes"][0].tolist() == (found.classes[-1] + 10).tolist()
