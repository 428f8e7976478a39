"""Strategies that cover the pool, on features."""

import pytest
import torch

from minimax_al.data import Dataset
from minimax_al.loop import ActiveLearner
from minimax_al.strategies.strategy_names import build_strategy
from minimax_al.training import FeatureSettings, Recipe, RuntimeSettings


def first_picks(name, features):
    targets = torch.arange(len(features)) % 3
    dataset = Dataset.from_features("drawn", list("abc"), (features, targets), (features[:3], targets[:3]))
    recipe = Recipe(
        features=FeatureSettings(centre=False), runtime=RuntimeSettings(device="cpu", precision="fp32", threads=1)
    )
    return ActiveLearner(dataset, build_strategy(name), recipe, seed=0).query(6).indices.tolist()


@pytest.mark.parametrize("name", ["centroids", "coverage", "maxherding", "probcover", "typicality"])
def test_first_labels_depend_on_the_directions_of_features_alone(name):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(80, 12, generator=generator)
    lengths = 2.0 ** torch.randint(-3, 4, (80, 1), generator=generator)  # powers of two scale without rounding
    assert first_picks(name, lengths * features) == first_picks(name, features)
