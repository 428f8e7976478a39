"""Searches by likeness are exact, whatever the features look like."""

import numpy as np
import pytest

from minimax_al.data.features.feature_description import FeatureDescription
from minimax_al.data.features.feature_writer import open_writer
from minimax_al.errors import DataError
from minimax_al.exploring.likeness import order_by_likeness
from minimax_al.exploring.neighbours import NeighbourIndex


def store_of(folder, *shards):
    width = shards[0].shape[1]
    description = FeatureDescription("test", "none", "0" * 64, {"size": 8}, width)
    start = 0
    for shard in shards:
        keys = np.zeros((len(shard), 32), np.uint8)
        keys[:, :8] = np.arange(start, start + len(shard), dtype=">u8")[:, None].view(np.uint8)
        with open_writer(folder, description) as writer:
            writer.append(keys, shard.astype(np.float16))
            store = writer.store
        start += len(shard)
    return store


def reference(vectors, examples, among, count):
    """The plain computation in float64."""
    units = vectors.astype(np.float16).astype(np.float64)
    lengths = np.linalg.norm(units, axis=1, keepdims=True)
    units /= np.where(lengths > 0, lengths, 1)
    query = units[examples].mean(axis=0)
    similarity = units @ (query / np.linalg.norm(query))
    return sorted(among, key=lambda row: (-similarity[row], row))[:count], similarity


KINDS = {
    "gaussian": lambda draws: draws.normal(size=(700, 33)),
    "sparse": lambda draws: np.maximum(draws.normal(size=(700, 33)) - 1, 0),
    "clusters": lambda draws: np.eye(33)[draws.integers(0, 5, 700)] * 100 + draws.normal(0, 1, (700, 33)),
    "one large number": lambda draws: np.c_[np.full(700, 60_000.0), draws.normal(size=(700, 32))],
    "far from the origin": lambda draws: 50 + draws.normal(0, 0.5, (700, 33)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_equal_a_plain_computation(kind, tmp_path):
    draws = np.random.default_rng(3)
    vectors = KINDS[kind](draws)
    index = NeighbourIndex(store_of(tmp_path / "features", vectors[:300], vectors[300:]), tmp_path / "codes")
    for examples, count in (([5], 1), ([5], 40), ([699, 2, 301], 200), ([0], 10_000)):
        among = np.sort(draws.choice(700, 500, replace=False))
        found = index.nearest(np.array(examples), among, count)
        rows, similarity = reference(vectors, examples, among.tolist(), count)
        assert np.allclose(found.similarities, np.sort(similarity[among])[::-1][:count], atol=2e-6)
        # Rows may differ only where float32 cannot tell two similarities apart.
        assert np.abs(similarity[found.rows] - similarity[rows]).max() < 2e-6


def test_codes_are_written_once_and_follow_the_store(tmp_path):
    draws = np.random.default_rng(0)
    first, second = draws.normal(size=(2, 50, 8))
    index = NeighbourIndex(store_of(tmp_path / "features", first), tmp_path / "codes")
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "codes").rglob("*.npy")}
    assert len(files) == 2
    grown = NeighbourIndex(store_of(tmp_path / "features", second), tmp_path / "codes")
    after = {file: file.stat().st_mtime_ns for file in (tmp_path / "codes").rglob("*.npy")}
    assert len(after) == 4
    assert files.items() <= after.items()
    assert len(grown.nearest(np.array([0]), np.arange(100), 100).rows) == 100
    assert index.nearest(np.array([0]), np.arange(50), 1).rows.tolist() == [0]


def test_damaged_codes_are_computed_again(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(50, 8))
    store = store_of(tmp_path / "features", vectors)
    NeighbourIndex(store, tmp_path / "codes")
    for file in (tmp_path / "codes").rglob("*.npy"):
        file.write_bytes(b"half")
    index = NeighbourIndex(store, tmp_path / "codes")
    assert index.nearest(np.array([7]), np.arange(50), 1).rows.tolist() == [7]


def test_examples_that_cancel_out_are_refused(tmp_path):
    vectors = np.array([[1.0, 0], [-1.0, 0], [0, 0], [0, 1]])
    index = NeighbourIndex(store_of(tmp_path / "features", vectors), tmp_path / "codes")
    for examples in ([0, 1], [2]):
        with pytest.raises(DataError, match="the examples' features cancel out: give other examples"):
            index.nearest(np.array(examples), np.arange(4), 2)
    assert index.nearest(np.array([3]), np.array([0, 1, 2]), 3).similarities.tolist() == [0, 0, 0]


def test_an_order_by_likeness_keeps_clusters_together():
    draws = np.random.default_rng(1)
    kinds = draws.integers(0, 4, 60)
    vectors = np.eye(6)[kinds] + draws.normal(0, 0.1, (60, 6))
    units = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    units[[7, 3]] = 0  # without features
    order = order_by_likeness(units)
    assert sorted(order.tolist()) == list(range(60))
    assert order[-2:].tolist() == [3, 7]
    changes = np.count_nonzero(np.diff(kinds[order[:-2]]))
    assert changes == 3


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_images_keep_their_order(count):
    assert order_by_likeness(np.eye(count, 5, dtype=np.float32)).tolist() == list(range(count))
