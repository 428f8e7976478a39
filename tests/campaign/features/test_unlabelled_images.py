"""Columns of unlabelled images: the same images as objects, in a tenth of the memory."""

import hashlib
import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from minimax_al.campaign.features import pool_features
from minimax_al.campaign.features.pool_features import ImageParts
from minimax_al.campaign.features.training_data import TrainingData
from minimax_al.campaign.features.unlabelled_images import (
    UnlabelledImage,
    UnlabelledImages,
    hashes_of,
    ids_of,
    paths_of,
)
from minimax_al.campaign.settings.settings import make_settings
from minimax_al.data.features.feature_description import FeatureDescription
from minimax_al.data.features.feature_writer import open_writer


def rows(count):
    return [
        UnlabelledImage(3 * n, f"a/é{n}\udcff.png", hashlib.sha256(bytes([n % 256, n // 256])).hexdigest(), 20 + n, 30)
        for n in range(count)
    ]


def test_images_are_read_as_they_were_stored():
    images = UnlabelledImages.read(rows(7))
    assert list(images) == rows(7)
    assert (images[2], images[-1], images[1:3]) == (rows(7)[2], rows(7)[-1], rows(7)[1:3])
    assert list(images.take(np.array([5, 0]))) == [rows(7)[5], rows(7)[0]]
    assert len(UnlabelledImages.read([])) == 0


def test_columns_equal_those_of_objects():
    images = UnlabelledImages.read(rows(5))
    assert np.array_equal(hashes_of(images), hashes_of(rows(5)))
    assert np.array_equal(ids_of(images), ids_of(rows(5)))
    assert list(paths_of(images)) == list(paths_of(rows(5)))


@pytest.mark.parametrize("count", [0, 1, 5, 600])
def test_the_fingerprint_is_the_hash_of_the_whole_text(count, monkeypatch):
    monkeypatch.setattr("minimax_al.campaign.features.training_data._AT_ONCE", 64)
    settings = make_settings(images="/images")
    training_data = TrainingData(("a", "b"), (), (), UnlabelledImages.read(rows(count)), 0)
    hashes = [image.content_hash for image in rows(count)]
    parts = [["a", "b"], [], [], hashes, [0, settings.stored_size, "classification"], {"name": "mal"}, {}]
    expected = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    assert training_data.fingerprint(settings, {"name": "mal"}, {}) == expected
    assert replace(training_data, unlabelled=tuple(rows(count))).fingerprint(settings, {"name": "mal"}, {}) == expected


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_images_without_features_are_found_in_columns_as_in_objects(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(pool_features, "_AT_ONCE", at_once)
    with open_writer(tmp_path, FeatureDescription("given", "", "0" * 64, {}, 2)) as writer:
        stored = hashes_of([row for number, row in enumerate(rows(17)) if number % 3])
        writer.append(stored, np.ones((len(stored), 2), dtype=np.float16))
    lacking = pool_features.PoolFeatures._without_row
    expected = [row for number, row in enumerate(rows(17)) if number % 3 == 0]
    columns = ImageParts(rows(17)[:4], (), UnlabelledImages.read(rows(17)[4:]))
    assert list(columns) == rows(17)
    assert list(lacking(writer.store, columns)) == list(lacking(writer.store, iter(rows(17)))) == expected


def test_an_image_takes_few_bytes():
    tracemalloc.start()
    try:
        images = UnlabelledImages.read((n, f"pool/{n:06d}.jpg", f"{n:064x}", 20, 20) for n in range(20_000))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100 * len(images)
