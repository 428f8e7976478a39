"""Gradient reversal: the identity forward, the exact negative backward."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimax_al.networks import reverse_gradient


@given(seed=st.integers(0, 10_000), rows=st.integers(0, 5), dtype=st.sampled_from([torch.float32, torch.float64]))
@settings(deadline=None, max_examples=25)
def test_values_pass_unchanged_and_gradients_change_their_sign(seed, rows, dtype):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 3, generator=generator, dtype=dtype, requires_grad=True)
    upstream = torch.randn(rows, 3, generator=generator, dtype=dtype)
    out = reverse_gradient(x)
    assert torch.equal(out, x)
    (gradient,) = torch.autograd.grad(out, x, upstream)
    assert torch.equal(gradient, -upstream)


def test_reversing_twice_restores_the_gradient():
    x = torch.tensor([2.0, -1.0], requires_grad=True)
    reverse_gradient(reverse_gradient(x**2)).sum().backward()
    assert torch.equal(x.grad, 2 * x.detach())
