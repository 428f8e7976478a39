"""Choosing on features that are read block by block: the picks of a pool in memory, and a stated cost."""

import importlib

import numpy as np
import pytest
import torch

from minimax_al.data import Dataset, Features
from minimax_al.loop import ActiveLearner
from minimax_al.strategies import get_strategy, pool_features
from minimax_al.training import Recipe, RuntimeSettings

herding = importlib.import_module("minimax_al.acquisition.herding")

ON_FEATURES = (
    *("margin", "entropy", "least_confidence", "cluster_margin", "dropquery", "uherding", "badge", "coreset"),
    *("centroids", "coverage", "typicality", "probcover", "maxherding"),
)


@pytest.fixture
def dataset(tmp_path):
    generator = np.random.default_rng(0)
    targets = torch.from_numpy(generator.integers(3, size=240))
    centres = generator.normal(size=(3, 12)) * 2
    vectors = (centres[targets] + generator.normal(size=(240, 12))).astype(np.float16)
    np.save(tmp_path / "pool.npy", vectors)
    pool = Features(np.load(tmp_path / "pool.npy", mmap_mode="r"))
    return Dataset("drawn", "classification", ("a", "b", "c"), pool, targets, pool.subset([]), targets[:0])


def query(dataset, strategy):
    recipe = Recipe(missing_classes="warn", scoring_batch_size=32, runtime=RuntimeSettings(device="cpu"))
    learner = ActiveLearner(dataset, strategy, recipe)
    first = torch.arange(0, 240, 12)
    learner.teach(first, dataset.train_targets[first])
    learner.fit()
    return learner.query(9).indices.tolist()


@pytest.mark.parametrize("strategy", ON_FEATURES)
def test_a_pool_that_is_read_by_blocks_gives_the_same_picks(dataset, strategy, monkeypatch):
    expected = query(dataset, strategy)
    monkeypatch.setattr(pool_features, "MOST_NUMBERS", 0)
    read = []
    between = Features.__getitem__

    def watched(features, which):
        block = between(features, which)
        read.append(len(block))
        return block

    monkeypatch.setattr(Features, "__getitem__", watched)
    assert query(dataset, strategy) == expected
    assert read


@pytest.mark.parametrize("strategy", ON_FEATURES)
def test_every_strategy_on_features_states_time_and_memory(strategy):
    description = type(get_strategy(strategy)).__doc__
    assert "Time O(" in description
    assert "memory" in description


@pytest.mark.parametrize(
    ("settings", "seen"),
    [
        ({}, 220),
        ({"most_images": 30}, 180),
        ({"most_images": 30, "images_per_pick": 5}, 45),
        ({"most_images": 100, "images_per_pick": 5}, 100),
        ({"most_images": 4, "images_per_pick": 1}, 9),
    ],
)
def test_uherding_looks_at_some_images_for_each_pick(dataset, settings, seen, monkeypatch):
    looked_at = []
    rows_of_unit_length = herding._unit_rows
    monkeypatch.setattr(herding, "_unit_rows", lambda rows: looked_at.append(len(rows)) or rows_of_unit_length(rows))
    picks = query(dataset, get_strategy("uherding", **settings))
    assert len(set(picks)) == 9
    assert looked_at[0] == seen
