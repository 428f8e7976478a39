import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimax_al.data import Augmentation, Dataset, Features, ResidentImages, make_imbalanced, subset, with_validation
from minimax_al.errors import ConfigurationError, DataError, ShapeError
from minimax_al.training import Runtime, RuntimeSettings
from minimax_al.training.feed import Feed


def vectors(count=10, width=4, dtype=np.float16, seed=0):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(dtype)


def made(train=None, labels=None, **options):
    train = vectors() if train is None else train
    labels = np.arange(len(train)) % 2 if labels is None else labels
    return Dataset.from_features("made", ["a", "b"], (train, labels), **options)


@given(
    sizes=st.lists(st.integers(0, 7), min_size=1, max_size=4).filter(sum),
    data=st.data(),
    as_tensors=st.booleans(),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
)
def test_indexing_equals_indexing_of_the_joined_array(sizes, data, as_tensors, dtype):
    parts = [vectors(size, 3, dtype, seed) for seed, size in enumerate(sizes)]
    joined = np.concatenate(parts)
    given_rows = data.draw(st.none() | st.lists(st.integers(0, len(joined) - 1), min_size=1, max_size=9))
    rows = None if given_rows is None else np.array(given_rows)
    expected = joined if rows is None else joined[rows]
    shards = [torch.from_numpy(part) for part in parts] if as_tensors else parts
    features = Features(shards, rows)
    start, stop = sorted(data.draw(st.tuples(st.integers(0, len(expected)), st.integers(0, len(expected)))))
    chosen = torch.tensor(data.draw(st.lists(st.integers(0, len(expected) - 1), max_size=9)), dtype=torch.int64)

    assert features.shape == expected.shape
    for got, wanted in ((features[start:stop], expected[start:stop]), (features[chosen], expected[chosen.numpy()])):
        assert got.dtype == features.dtype == (torch.float64 if dtype == "float64" else torch.float32)
        assert np.array_equal(got.numpy(), wanted.astype(got.numpy().dtype))
    assert torch.equal(features.subset(chosen)[:], features[chosen])


def test_a_mapped_file_is_read_by_the_block(tmp_path):
    np.save(tmp_path / "pool.npy", vectors(20_000, 64))
    mapped = np.load(tmp_path / "pool.npy", mmap_mode="r")
    tracemalloc.start()
    features = Features(mapped)
    part = features.subset(torch.arange(0, 20_000, 2))
    for batch in part.stream(torch.arange(10_000).split(500)):
        assert batch.shape == (500, 64)
    assert tracemalloc.get_traced_memory()[1] < 1e6 < mapped.nbytes
    tracemalloc.stop()


def test_what_is_returned_may_be_changed():
    stored = torch.zeros(3, 2)
    for values in (Features(stored)[0:2], Features(stored)[torch.tensor([1])]):
        values.add_(1)
    assert not stored.any()


def test_names_follow_their_vectors():
    features = Features(vectors(3), names=["x", "y", "z"]).subset([2, 0])
    assert list(features.names) == ["z", "x"]
    assert list(Features(vectors(3)).subset([2]).names) == ["00002"]


@pytest.mark.parametrize(
    ("shards", "options", "error", "sentence"),
    [
        ([], {}, ShapeError, "at least one array"),
        (np.zeros(3), {}, ShapeError, r"must be \(n, d\) of a floating dtype, not \(3,\) float64"),
        (np.zeros((3, 2), dtype=np.int64), {}, ShapeError, r"not \(3, 2\) int64"),
        (torch.zeros(3, 0), {}, ShapeError, r"not \(3, 0\)"),
        ([np.zeros((3, 2)), np.zeros((3, 5))], {}, ShapeError, "of 2 and of 5 numbers"),
        (np.zeros((3, 2)), {"rows": np.array([0, 3])}, DataError, "index 3 is outside of 3"),
        (np.zeros((3, 2)), {"names": ["a"]}, ShapeError, "1 names for 3 feature vectors"),
    ],
)
def test_invalid_features_are_refused(shards, options, error, sentence):
    with pytest.raises(error, match=sentence):
        Features(shards, **options)


@pytest.mark.parametrize(("row", "value", "fault"), [(4, np.nan, "NaN"), (2, np.inf, "infinite"), (7, 0, "zeros")])
def test_unusable_vectors_are_refused_by_name(row, value, fault):
    spoilt = vectors()
    spoilt[row] = value
    with pytest.raises(DataError, match=f"'{row:05d}' has .*{fault}"):
        made(spoilt)


def test_a_dataset_of_features_is_one_like_any_other():
    dataset = made(test=(vectors(4), np.array([0, 1, 0, 1])))
    assert dataset.sample == "features"
    assert torch.equal(subset(dataset, [3, 1]).train[:], dataset.train[torch.tensor([3, 1])])
    held = with_validation(dataset, 3, seed=0)
    assert (len(held.train), len(held.test)) == (7, 3)
    assert len(make_imbalanced(dataset, seed=0, ratios=(0.2, 1.0)).train) == 6


def test_features_do_not_mix_with_images_or_masks():
    images = ResidentImages(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    dataset = made()
    with pytest.raises(ConfigurationError, match="mixes images and feature vectors"):
        replace(dataset, test=images, test_targets=torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ConfigurationError, match="learns from images"):
        replace(dataset, task="segmentation")
    with pytest.raises(ShapeError, match="4 numbers, test features 5"):
        made(test=(vectors(2, 5), np.array([0, 1])))
    with pytest.raises(ConfigurationError, match="pixels are not available"):
        _ = dataset.image_size


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_feed_yields_the_vectors_unchanged(precision):
    runtime = Runtime(RuntimeSettings(device="cpu", precision=precision))
    dataset = made(vectors(dtype=np.float32))
    feed = Feed(dataset, Augmentation(flip=True), runtime)
    (plain,) = feed.plain(dataset.train, torch.tensor([2, 5]), 8)
    assert torch.equal(plain, dataset.train[torch.tensor([2, 5])].to(runtime.dtype))
    pool = torch.arange(4)
    for batch, targets in feed.labelled(pool, dataset.train_targets, 4, 1, torch.Generator().manual_seed(0)):
        order = [int((dataset.train[:4].to(batch) == row).all(dim=1).nonzero()) for row in batch]
        assert sorted(order) == [0, 1, 2, 3]
        assert targets.tolist() == dataset.train_targets[torch.tensor(order)].tolist()
    for batch in feed.unlabelled(pool, 4, 1, torch.Generator().manual_seed(0)):
        assert batch.shape == (4, 4)
        assert batch.dtype == runtime.dtype
