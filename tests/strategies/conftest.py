import pytest
import torch

from minimax_al.testing import make_round
from minimax_al.training import fit_minimax, fit_supervised


@pytest.fixture
def round_():
    return make_round()


@pytest.fixture
def minimax_models(round_):
    return fit_minimax(round_)


@pytest.fixture
def supervised_models(round_):
    return fit_supervised(round_)


@pytest.fixture
def look(round_):
    """The unlabelled images as networks see them, in one batch."""

    def through(network):
        (x,) = round_.feed.plain(round_.dataset.train, round_.unlabelled, 100)
        with torch.no_grad():
            return network(x)

    return through
