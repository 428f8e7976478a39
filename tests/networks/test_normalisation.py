"""Unit-length features, also where a length is zero."""

import pytest
import torch

from minimax_al.networks import l2_normalise


@pytest.mark.parametrize("shape", [(5, 7), (2, 7, 3, 4)])
def test_equals_the_formula_in_float64(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = x.double() / x.double().square().sum(dim=1, keepdim=True).sqrt()
    torch.testing.assert_close(l2_normalise(x).double(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_zero_stays_zero_and_passes_no_gradient(dtype):
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=dtype, requires_grad=True)
    out = l2_normalise(x)
    out.sum().backward()
    assert out[0].tolist() == [0.0, 0.0]
    assert x.grad[0].tolist() == [0.0, 0.0]
    assert torch.isfinite(x.grad).all()
    assert x.grad[1].abs().sum() > 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_non_finite_values_are_kept(bad):
    out = l2_normalise(torch.tensor([[bad, 1.0], [3.0, 4.0]]))
    assert not torch.isfinite(out[0]).all()
    assert torch.isfinite(out[1]).all()


def test_gradients_are_those_of_finite_differences():
    x = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(l2_normalise, (x,))
