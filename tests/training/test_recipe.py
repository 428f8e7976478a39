import pytest
from pydantic import ValidationError
from torch import nn

from minimax_al.training import Recipe


@pytest.mark.parametrize("network", [nn.Linear(2, 2), nn.Linear, None, 18])
def test_a_network_as_encoder_is_refused_with_the_way_to_bring_one(network):
    with pytest.raises(ValidationError, match=r"is not a name: announce .* entry-point group 'minimax_al.encoders'"):
        Recipe(encoder=network)
