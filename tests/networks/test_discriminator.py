"""The discriminator against Eq. 3 in float64."""

import numpy as np
import pytest
import torch

from minimax_al.errors import ConfigurationError, ShapeError
from minimax_al.networks import Discriminator, initialise_xavier


def test_logits_equal_the_formula():
    discriminator = Discriminator(6, hidden=5, temperature=0.1).double()
    initialise_xavier(discriminator, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name, parameter in discriminator.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(generator=torch.Generator().manual_seed(2))
    features = torch.randn(7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    hidden = features.numpy() / np.linalg.norm(features.numpy(), axis=1, keepdims=True) / 0.1
    state = [value.numpy() for value in discriminator.state_dict().values()]
    for weight, bias in (state[:2], state[2:4]):
        hidden = np.maximum(hidden @ weight.T + bias, 0)
    expected = (hidden @ state[4].T + state[5])[:, 0]
    np.testing.assert_allclose(discriminator(features).detach().numpy(), expected, rtol=1e-12)


def test_one_axis_remains_even_for_one_image():
    assert Discriminator(6)(torch.randn(1, 6)).shape == (1,)


def test_logits_stay_in_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert Discriminator(6)(torch.randn(3, 6)).dtype == torch.float32


def test_wrong_features_and_settings_are_refused():
    with pytest.raises(ShapeError, match=r"features have shape \(3, 5\): expected \(B, 6\)"):
        Discriminator(6)(torch.randn(3, 5))
    with pytest.raises(ConfigurationError, match="hidden is -1"):
        Discriminator(6, hidden=-1)
