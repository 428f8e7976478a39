"""Every built-in strategy and every named combination keeps the contract that plug-ins have to keep."""

import pytest

from minimax_al.errors import ConfigurationError
from minimax_al.strategies import get_strategy, list_strategies
from minimax_al.testing import check_strategy

PLAIN = (
    "badge",
    "bald",
    "batchbald",
    "centroids",
    "coreset",
    "dropquery",
    "entropy",
    "margin",
    "random",
    "vaal",
    "bait",
    "alfa_mix",
    "galaxy",
    "powerbald",
)
UNDER_MAL = [f"{name}+mal" for name in PLAIN]
EVERY = [*list_strategies(), *UNDER_MAL]


@pytest.mark.parametrize("name", EVERY)
def test_classification(name):
    check_strategy(name)


@pytest.mark.parametrize("name", [name for name in EVERY if "segmentation" in get_strategy(name).tasks])
def test_segmentation(name):
    check_strategy(name, task="segmentation")


@pytest.mark.parametrize("name", [name for name in EVERY if "features" in get_strategy(name).sample_kinds])
def test_features(name):
    check_strategy(name, samples="features")


def test_samples_that_a_strategy_is_not_for():
    with pytest.raises(ConfigurationError, match="strategy Vaal needs images, but 'vectors' holds features"):
        check_strategy("vaal", samples="features")


def test_a_task_that_a_strategy_is_not_for():
    with pytest.raises(ConfigurationError, match="strategy Badge is for classification, not for segmentation"):
        check_strategy("badge", task="segmentation")
