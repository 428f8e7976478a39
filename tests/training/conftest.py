from dataclasses import replace

import pytest
import torch
from torch import nn

from minimax_al.testing import make_round
from minimax_al.testing.stage import unlabelled_among
from minimax_al.training import Round, Runtime, RuntimeSettings


@pytest.fixture
def round_():
    return make_round()


@pytest.fixture
def runtime64():
    return Runtime(RuntimeSettings(device="cpu", precision="fp64"))


@pytest.fixture
def with_recipe():
    """A round with other fields in its recipe."""

    def change(round_, **fields):
        recipe = round_.recipe.model_copy(update=fields)
        return replace(round_, recipe=recipe, runtime=Runtime(recipe.runtime))

    return change


@pytest.fixture
def plain_encoder():
    """An encoder whose every number can be written out: (B, 3, 2, 2) → tanh(A x + b), (B, 6)."""

    def build(seed=0):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Tanh()).double()

    return build


@pytest.fixture(autouse=True)
def _leave_global_generator_alone():
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.fixture
def feature_round():
    """Build a round over a data set of features, its first third labelled."""

    def build(dataset, recipe, labelled=None):
        labelled = torch.arange(len(dataset.train) // 3) if labelled is None else labelled
        targets = torch.full_like(dataset.train_targets, -1)
        targets[labelled] = dataset.train_targets[labelled]
        return Round(
            dataset=dataset,
            targets=targets,
            labelled=labelled,
            unlabelled=unlabelled_among(len(dataset.train), labelled),
            recipe=recipe,
            runtime=Runtime(recipe.runtime),
        )

    return build
